package wasm

// Costs, in units of fuel. One unit stands for about one plain instruction.
//
// Between two charges on any path lie at most maxDebt plain instructions and the call
// of one free leaf, so code that is written to cheat executes at most about
// (maxDebt+leafLimit)/loopCost instructions for each unit that it pays.
const (
	// loopCost is paid at each pass of a loop's header. The code that Go generates jumps
	// through a loop header at nearly every branch, so this is one basic block's worth.
	loopCost = 8
	// enterCost is paid on entering a function that is no free leaf.
	enterCost = 16
	// maxDebt is how many instructions may run before they are paid.
	maxDebt = 64
	// leafLimit is the largest weight of a free leaf: a function without calls, loops
	// and bulk operations, which its callers pay for.
	leafLimit = 32
	// callCost and indirectCost are added for a call of a known and of an unknown callee.
	callCost, indirectCost = 4, 20
	// importCost is paid for each call of the host, beside what it charges by bytes.
	importCost = 200
	// growCost is paid for each memory.grow.
	growCost = 1000
	// divideCost is paid for a division or a square root, and for the remainder.
	divideCost = 24
	// fillCost and copyCost are paid for each bulk operation, beside its bytes. wazero
	// fills by copying what it has filled already, which is slow for small pieces.
	fillCost, copyCost = 150, 16
	// BulkShift: a bulk operation pays its number of bytes shifted right by this.
	BulkShift = 3
)

// settle appends: store the fuel that is on the stack, and end if it is below zero.
func settle(o []byte, fuel uint32) []byte {
	o = appendU32(append(o, opGlobalSet), fuel)
	o = appendU32(append(o, opGlobalGet), fuel)
	return append(o, opI64Const, 0, opI64LtS, opIf, blockVoid, opUnreachable, opEnd)
}

// appendCharge appends the payment of n units.
func appendCharge(o []byte, fuel uint32, n int) []byte {
	o = appendU32(append(o, opGlobalGet), fuel)
	o = appendS64(append(o, opI64Const), int64(n))
	return settle(append(o, opI64Sub), fuel)
}

// appendBulkCharge appends the payment for a bulk operation whose length in bytes is
// the i32 on top of the stack, where it stays. local is an i32 of ours.
func appendBulkCharge(o []byte, fuel, local uint32) []byte {
	o = appendU32(append(o, opLocalTee), local)
	o = appendU32(append(o, opGlobalGet), fuel)
	o = appendU32(append(o, opLocalGet), local)
	o = append(o, opI64ExtendU, opI64Const, BulkShift, opI64ShrU, opI64Sub)
	return settle(o, fuel)
}

// debt is the greatest number of unpaid instructions on any path to a place, or
// unreached if no path leads there.
type debt int

const unreached debt = -1

func (d debt) add(n int) debt {
	if d == unreached {
		return d
	}
	return d + debt(n)
}

// frame is an open block of the function that is being read.
type frame struct {
	loop bool
	// skip is the debt on the path past the first arm of an if that has no else yet.
	skip debt
	// join is the debt of the branches to the end.
	join debt
}

// weigh returns the cost of an instruction that its surroundings pay for.
func (w *meter) weigh(in *instruction) int {
	switch in.op {
	case 0x01, opBlock, opLoop, opElse, opEnd:
		return 0
	case opCall:
		imports := uint32(len(w.m.Imports))
		if in.index < imports {
			return importCost
		}
		if i := in.index - imports; uint64(i) < uint64(len(w.leaves)) && w.leaves[i] >= 0 {
			return callCost + int(w.leaves[i])
		}
		return callCost
	case opCallIndirect:
		return indirectCost
	case opMemoryGrow:
		return growCost
	case opMisc:
		switch in.sub {
		case miscMemoryFill:
			return fillCost
		case miscMemoryCopy, miscMemoryInit:
			return copyCost
		}
	}
	if slow[in.op] {
		return divideCost
	}
	return 1
}

// slow marks divisions, remainders and square roots.
var slow = func() (s [256]bool) {
	for _, op := range []byte{
		0x6d, 0x6e, 0x6f, 0x70, // i32.div_s, div_u, rem_s, rem_u
		0x7f, 0x80, 0x81, 0x82, // i64
		0x91, 0x95, 0x9f, 0xa3, // f32.sqrt, f32.div, f64.sqrt, f64.div
	} {
		s[op] = true
	}
	return s
}()

// flow follows the control flow over an instruction: it opens and closes frames and
// carries the debt to where branches lead.
func (w *meter) flow(in *instruction) {
	switch in.op {
	case opBlock:
		w.frames = append(w.frames, frame{skip: unreached, join: unreached})
	case opLoop:
		w.frames = append(w.frames, frame{loop: true, skip: unreached, join: unreached})
	case opIf:
		w.frames = append(w.frames, frame{skip: w.debt, join: unreached})
	case opElse:
		f := &w.frames[len(w.frames)-1]
		f.join = max(f.join, w.debt)
		w.debt, f.skip = f.skip, unreached
	case opEnd:
		f := &w.frames[len(w.frames)-1]
		w.debt = max(w.debt, f.join, f.skip)
		w.frames = w.frames[:len(w.frames)-1]
	case opBr, opBrIf:
		w.branch(in.index)
	case opBrTable:
		for _, label := range in.labels {
			w.branch(label)
		}
	}
	switch in.op {
	case opBr, opBrTable, opReturn, opUnreachable:
		w.debt = unreached
	}
}

func (w *meter) branch(label uint32) {
	if uint64(label) >= uint64(len(w.frames)) {
		w.r.fail("branch to an unknown label")
		return
	}
	if f := &w.frames[len(w.frames)-1-int(label)]; !f.loop {
		f.join = max(f.join, w.debt)
	}
}
