package wasm

// Costs, in units of fuel. A unit is about an eighth of a nanosecond of one core in code as
// compilers write it, where a core is busy with several instructions at a time; package runtime's
// BenchmarkFuel prints what it is in such code, and in code that is written to cheat. Costs are
// added up while a module is rewritten, so that a dearer instruction makes no code slower.
const (
	// loopCost is paid by a branch back to the header of a loop, with all that is unpaid on its
	// path. entryDebt is what may be unpaid when a loop begins; it and headerCost, for the look
	// at what is left, are owed where the loop is left.
	loopCost, entryDebt, headerCost = 8, 4, 4
	// enterCost is paid on entering a function that is no free leaf.
	enterCost = 8
	// callCost and indirectCost are paid for a call of a known and of an unknown callee,
	// beside what it carries. What a callee that is no free leaf may leave unpaid at its end,
	// exitDebt, is in them: exitDebt is added to callCost.
	callCost, indirectCost, exitDebt = 16, 48, 16
	// smallBody is the length in bytes of a function that pays no more for its place on the
	// stack.
	smallBody = 4 << 10
	// importCost is paid for each call of the host, beside what it charges by bytes;
	// hostCost for instructions that wazero leaves to its Go part.
	importCost, hostCost = 400, 800
	// leafLimit is the largest weight of a free leaf: a function without calls, loops
	// and bulk operations, which its callers pay for.
	leafLimit = 48
	// truncCost is paid for a saturating conversion.
	truncCost = 10
	// fillCost and copyCost are paid for each bulk operation, beside its bytes. wazero
	// fills by copying what it has filled already, which is slow for small pieces.
	fillCost, copyCost = 150, 32
	// BulkShift: a bulk operation pays its number of bytes shifted right by this.
	BulkShift = 2
	// growShift: a growth of the memory pays its number of pages shifted left by this,
	// which is for sixteen faults of the system's pages: their first use costs that much.
	growCost, growShift = 240, 15
	// moveCost is paid for each value that is carried to where paths meet.
	moveCost = 2
	// freeLocals is how many locals a function may have before its branches cost more:
	// where paths meet, each local that differs is moved.
	freeLocals = 64
)

const (
	// maxDebt is how much may be unpaid on a path.
	maxDebt = 64
	// maxUnchecked is how much may be paid between two looks at what is left.
	maxUnchecked = 1 << 13
)

// costs holds the cost of each opcode that has nothing but itself to pay for: about its
// latency in cycles. What makes no code by itself is free.
var costs = func() (c [256]uint8) {
	for op := range c {
		c[op] = 1
	}
	set := func(cost uint8, ops ...int) {
		for _, op := range ops {
			c[op] = cost
		}
	}
	span := func(cost uint8, from, to int) {
		for op := from; op <= to; op++ {
			c[op] = cost
		}
	}
	set(0, 0x01, opBlock, opLoop, opElse, opEnd, opDrop, opLocalGet, opI32Const, opI64Const, opF32Const, opF64Const, opRefNull)
	set(2, opIf, opBrIf, opSelect, opSelectTyped, opGlobalSet, opTableGet)
	set(6, opBrTable)
	span(3, 0x28, 0x35)      // loads
	span(3, 0x36, 0x3e)      // stores
	span(2, 0x5b, 0x66)      // comparisons of floats
	set(3, 0x67, 0x68, 0x69) // clz, ctz, popcnt
	set(3, 0x79, 0x7a, 0x7b) //
	set(5, 0x6c, 0x7e)       // mul
	span(32, 0x6d, 0x70)     // i32.div, rem
	span(40, 0x7f, 0x82)     // i64.div, rem
	span(16, 0x8d, 0x90)     // ceil, floor, trunc, nearest
	span(16, 0x9b, 0x9e)     //
	span(4, 0x92, 0x98)      // arithmetic of floats
	span(4, 0xa0, 0xa6)      //
	set(30, 0x91, 0x9f)      // sqrt
	set(30, 0x95, 0xa3)      // div
	span(8, 0xa8, 0xab)      // floats to integers
	span(8, 0xae, 0xb1)      //
	span(4, 0xb2, 0xbb)      // integers to floats
	span(2, 0xbc, 0xbf)      // reinterpretations
	return c
}()

// weigh returns the cost of an instruction by itself.
func (w *meter) weigh(in *instruction) int {
	switch in.op {
	case opCall:
		t, ok := w.m.FuncType(in.index)
		if !ok {
			w.r.fail("a call of an unknown function")
			return 0
		}
		n := len(t.Params) + len(t.Results)
		i := int(in.index) - len(w.m.Imports)
		switch {
		case i < 0:
			return importCost + n
		case i < len(w.leaves) && w.leaves[i] >= 0:
			return callCost + n + int(w.leaves[i])
		}
		return callCost + exitDebt + n
	case opCallIndirect:
		if int64(in.index) >= int64(len(w.m.types)) {
			w.r.fail("a call of an unknown type")
			return 0
		}
		t := &w.m.types[in.index]
		n := len(t.Params) + len(t.Results)
		if w.m.hostInTable {
			return importCost + n
		}
		return indirectCost + n
	case opGlobalGet, opGlobalSet:
		// Behind the module's own globals is the fuel.
		if int64(in.index) >= int64(len(w.m.globals)) {
			w.r.fail("an unknown global")
		}
	case opMemoryGrow:
		return growCost
	case opRefFunc:
		if _, ok := w.m.FuncType(in.index); !ok {
			w.r.fail("a reference to an unknown function")
		}
		return hostCost
	case opMisc:
		switch in.sub {
		case miscMemoryFill:
			return fillCost
		case miscMemoryCopy, miscMemoryInit:
			return copyCost
		}
		return truncCost
	case opSIMD:
		return vectorCost(in.sub)
	}
	return int(costs[in.op])
}

// moves returns the cost of the values that an instruction moves to where paths meet.
func (w *meter) moves(in *instruction) int {
	switch in.op {
	case opBr, opBrIf:
		if f := w.target(in.index); f != nil {
			return moveCost*f.carries + w.wide
		}
	case opBrTable:
		// All labels carry the same number.
		if f := w.target(in.labels[0]); f != nil {
			return moveCost*f.carries + w.wide
		}
	case opReturn:
		return moveCost * w.frames[0].results
	case opElse, opEnd:
		f := &w.frames[len(w.frames)-1]
		if f.loop {
			return 0
		}
		return moveCost*f.results + w.wide
	case opIf:
		return w.wide
	case opLoop:
		params, _ := w.arity(in)
		return moveCost*params + w.wide
	}
	return 0
}

// vectorCost returns the cost of a vector instruction.
func vectorCost(sub uint32) int {
	switch sub {
	case 107, 108, 109, 213: // i8x16 shifts, i64x2.mul
		return 24
	case 103, 104, 105, 106, 116, 117, 122, 148, // roundings
		227, 231, 239, 243, // square roots, divisions
		248, 249, 250, 251, 252, 253, 254, 255: // conversions
		return 36
	}
	return 12
}
