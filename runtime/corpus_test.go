package runtime_test

import (
	"encoding/binary"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// A cheat is a module whose turn never ends, made of what takes long for what it says.
type cheat struct {
	name string
	// slow says that its instructions do not show what they take: only the clock does.
	slow   bool
	module *wasmtest.Module
}

// More value types, and opcodes that tests write.
const (
	f64Type = 0x7c

	opBlock = 0x02
	opLoop  = 0x03
	opIf    = 0x04
	opBr    = 0x0c
	opBrIf  = 0x0d
	opTable = 0x0e
	opCall  = 0x10
	opCallI = 0x11
	opGet   = 0x20
	opSet   = 0x21
	opTee   = 0x22
	opLoad  = 0x28
	opStore = 0x36
	opEnd   = 0x0b
	opAnd   = 0x71
	opMul   = 0x6c
	opShr   = 0x76
	void    = 0x40
)

// Locals of the modules of this file: the first is the parameter of a turn.
const (
	locI32, locI64, locF64, locAt = 2, 1, 3, 4
)

var cheatLocals = []byte{wasmtest.I64, wasmtest.I32, f64Type, wasmtest.I32}

// repeat returns n copies of the instructions.
func repeat(n int, instructions ...[]byte) (b []byte) {
	one := wasmtest.Join(instructions...)
	for range n {
		b = append(b, one...)
	}
	return b
}

// forever returns a module whose turn does first once and body again and again.
func forever(first []byte, body ...[]byte) *wasmtest.Module {
	m := raw(first, []byte{opLoop, void}, wasmtest.Join(body...), []byte{opBr, 0, opEnd}, answering(0, 0))
	m.Functions[2].Locals = cheatLocals
	return m
}

// endless is forever with nothing before.
func endless(body ...[]byte) *wasmtest.Module { return forever(nil, body...) }

// with adds functions without parameters and results.
func with(m *wasmtest.Module, bodies ...[]byte) *wasmtest.Module {
	for _, b := range bodies {
		m.Functions = append(m.Functions, wasmtest.Function{Type: voidType, Body: b})
	}
	return m
}

func withMemory(m *wasmtest.Module, pages uint32) *wasmtest.Module {
	m.Memory = wasmtest.Pages(pages)
	return m
}

// next are instructions that leave a number on the stack that hangs on all before it.
func random(mask int32) []byte {
	return wasmtest.Join([]byte{opGet, locI32}, wasmtest.Const32(1103515245), []byte{opMul}, wasmtest.Const32(12345),
		[]byte{opAdd32, opTee, locI32}, wasmtest.Const32(8), []byte{opShr}, wasmtest.Const32(mask), []byte{opAnd})
}

func chase(mask int32) []byte {
	// The next address hangs on what is loaded (zeros), so that no load begins before the last ended.
	return wasmtest.Join(random(mask), []byte{opLoad, 2, 0}, []byte{opGet, locI32, opAdd32, opSet, locI32})
}

func fill(n int32) []byte {
	return wasmtest.Join(wasmtest.Const32(0), wasmtest.Const32(0), wasmtest.Const32(n), []byte{0xfc, 11, 0})
}

func move(to, from, n int32) []byte {
	return wasmtest.Join(wasmtest.Const32(to), wasmtest.Const32(from), wasmtest.Const32(n), []byte{0xfc, 10, 0, 0})
}

// f64Op applies an operation of two operands to the f64.
func f64Op(op byte, operand uint64) []byte {
	b := binary.LittleEndian.AppendUint64([]byte{opGet, locF64, 0x44}, operand)
	return append(b, op, opSet, locF64)
}

func setF64(bits uint64) []byte {
	return append(binary.LittleEndian.AppendUint64([]byte{0x44}, bits), opSet, locF64)
}

func div32(operand int32) []byte {
	return wasmtest.Join([]byte{opGet, locI32}, wasmtest.Const32(operand), []byte{0x6e}, wasmtest.Const32(1), []byte{0x72, opSet, locI32})
}

// cheats returns the corpus.
func cheats() []cheat {
	const mib = 16 // pages
	l := []cheat{
		{"empty loop", false, endless()},
		{"loops without a pass", false, endless(repeat(1000, []byte{opLoop, void, opEnd}))},
		{"additions", false, endless(repeat(60, []byte{opGet, locI32}, wasmtest.Const32(1), []byte{opAdd32, opSet, locI32}))},
		{"multiplications", false, endless(repeat(60, []byte{opGet, locI32, opGet, locI32, opMul, opSet, locI32}))},
		{"loads", false, endless(repeat(15, wasmtest.Const32(0), []byte{opLoad, 2, 0, opDrop}))},
		{"chase, 32 KiB", false, endless(repeat(8, chase(0x7ffc)))},
		{"chase, 1 MiB", true, withMemory(endless(repeat(8, chase(0xffffc))), 1*mib)},
		{"chase, 32 MiB", true, withMemory(endless(repeat(8, chase(0x1fffffc))), 32*mib)},
		{"stores", false, endless(repeat(15, wasmtest.Const32(64), []byte{opGet, locI32, opStore, 2, 0}))},
		{"store, then load more", true, endless(repeat(15, wasmtest.Const32(64), []byte{opGet, locI32, 0x3a, 0, 0}, wasmtest.Const32(64), []byte{opLoad, 2, 0, opSet, locI32}))},
		{"stores over two pages", true, endless(repeat(15, wasmtest.Const32(4095), []byte{opGet, locI32, opStore, 0, 0}))},
		{"first touch", true, withMemory(forever(nil, []byte{opGet, locAt}, wasmtest.Const32(4096), []byte{opAdd32}, wasmtest.Const32(0x3ffffff), []byte{opAnd, opTee, locAt, opGet, locAt, opStore, 2, 0}), 64*mib)},
		{"first touch, grown", true, forever(wasmtest.Join(wasmtest.Const32(62*mib), []byte{opGrow, 0, opDrop}),
			[]byte{opGet, locAt}, wasmtest.Const32(4096), []byte{opAdd32}, wasmtest.Const32(0x1ffffff), []byte{opAnd, opTee, locAt, opGet, locAt, opStore, 2, 0})},
		{"memory.grow, all of it", false, endless(wasmtest.Const32(1), []byte{opGrow, 0, opDrop})},
		{"divisions", false, endless(repeat(15, div32(3)))},
		{"remainders, 64 bits", false, forever(wasmtest.Join(wasmtest.Const64(-7), []byte{opSet, locI64}), repeat(15, []byte{opGet, locI64}, wasmtest.Const64(-3), []byte{opGet, locI64, 0x82, 0x84, opSet, locI64}))},
		{"square roots", false, forever(setF64(0x4008000000000000), repeat(15, []byte{opGet, locF64, 0x9f, opSet, locF64}))},
		{"float divisions", false, forever(setF64(0x4008000000000000), repeat(15, f64Op(0xa3, 0x3ff8000000000000), f64Op(0xa2, 0x3ff8000000000000)))},
		{"roundings", false, forever(setF64(0x4008000000000000), repeat(15, []byte{opGet, locF64, 0x9e, opSet, locF64}))},
		{"subnormal numbers", true, forever(setF64(0x000fffffffffffff), repeat(15, f64Op(0xa2, 0x3fe0000000000001), f64Op(0xa2, 0x4000000000000000)))},
		{"unforeseen branches", true, endless(repeat(4, random(1), []byte{opIf, void}, []byte{opGet, locAt}, wasmtest.Const32(1), []byte{opAdd32, opSet, locAt, opEnd}))},
		{"unforeseen jumps", true, endless(repeat(4,
			[]byte{opBlock, void, opBlock, void, opBlock, void, opBlock, void, opBlock, void, opBlock, void, opBlock, void, opBlock, void}, random(7), []byte{opTable, 7, 0, 1, 2, 3, 4, 5, 6, 7},
			repeat(8, []byte{opEnd, opGet, locAt}, wasmtest.Const32(3), []byte{opAdd32, opSet, locAt})))},
		{"fill, 16 bytes", false, endless(fill(16))},
		{"fill, 64 bytes", false, endless(fill(64))},
		{"fill, 64 KiB", false, endless(fill(65536))},
		{"fill, 16 MiB", true, withMemory(endless(fill(16<<20)), 17*mib)},
		{"copy, 16 bytes", false, endless(move(0, 100, 16))},
		{"copy, 64 KiB, overlapping", false, withMemory(endless(move(1, 0, 65536)), 2)},
		{"copy, 16 MiB", true, withMemory(endless(move(16<<20, 0, 16<<20)), 33*mib)},
		{"memory.grow by nothing", false, endless(wasmtest.Const32(0), []byte{opGrow, 0, opDrop})},
		{"memory.grow by too much", false, endless(wasmtest.Const32(65535), []byte{opGrow, 0, opDrop})},
		{"storage_get", false, endless(repeat(4, wasmtest.Const32(1)), []byte{opCall, rawGet, opDrop})},
		{"storage_get, new keys", false, endless([]byte{opGet, locAt}, wasmtest.Const32(1), []byte{opAdd32}, wasmtest.Const32(1023), []byte{opAnd, opTee, locAt}, wasmtest.Const32(1024), wasmtest.Const32(4096), wasmtest.Const32(0), []byte{opCall, rawGet, opDrop})},
		{"log", false, endless(wasmtest.Const32(1), wasmtest.Const32(0), wasmtest.Const32(abi.MaxLogLine), []byte{opCall, rawLog})},
		{"ref.func", false, endless(repeat(15, []byte{0xd2, rawNext - 1, 0xd1, opDrop}))},
	}
	l = append(l, callCheats()...)
	l = append(l, moveCheats()...)
	return append(l, vectorCheats()...)
}

// callCheats call.
func callCheats() []cheat {
	tree := endless([]byte{opCall, rawNext})
	for i := range byte(30) {
		with(tree, []byte{opCall, rawNext + 1 + i, opCall, rawNext + 1 + i})
	}
	with(tree, nil)
	small := with(endless(repeat(8, []byte{opCall, rawNext})), wasmtest.Join(wasmtest.Const32(0), []byte{opLoad, 2, 0, opDrop}))
	indirect := with(endless(wasmtest.Const32(rawNext), []byte{opCallI, rawNext, 0}), nil)
	indirect.Table = rawNext + 1
	throughTable := endless(repeat(4, wasmtest.Const32(1), wasmtest.Const32(0), wasmtest.Const32(0), wasmtest.Const32(rawLog), []byte{opCallI, 2, 0}))
	throughTable.Table = rawLog + 1
	targets := endless(random(7), wasmtest.Const32(rawNext), []byte{opAdd32, opCallI, rawNext, 0})
	for range 8 {
		with(targets, []byte{opBlock, void, opLoop, void, opEnd, opEnd})
	}
	targets.Table = rawNext + 8
	mutual := with(endless([]byte{opCall, rawNext}), []byte{opCall, rawNext + 1}, []byte{opCall, rawNext})
	through := with(endless([]byte{opCall, rawNext}), wasmtest.Join(wasmtest.Const32(rawNext), []byte{opCallI, rawNext, 0}))
	through.Table = rawNext + 1
	// The first thing that a function with many live locals does is to call itself.
	wide := with(endless([]byte{opCall, rawNext}), nil)
	f := &wide.Functions[len(wide.Functions)-1]
	f.Body = append([]byte{}, opCall, rawNext)
	for i := range byte(64) {
		f.Locals = append(f.Locals, wasmtest.I64)
		f.Body = append(f.Body, wasmtest.Join(wasmtest.Const32(0), []byte{0x29, 3, 0, opSet, i})...)
	}
	f.Body = append(f.Body, opCall, rawNext)
	for i := range byte(64) {
		f.Body = append(f.Body, wasmtest.Join(wasmtest.Const32(0), []byte{opGet, i, 0x37, 3, 0})...)
	}
	// Recursion as deep as it gets, and then a trap that no charge sees.
	deep := with(endless([]byte{opCall, rawNext}), wasmtest.Join(
		wasmtest.Const32(0), wasmtest.Const32(0), []byte{opLoad, 2, 0}, wasmtest.Const32(1), []byte{opAdd32, opTee, 0, opStore, 2, 0},
		[]byte{opGet, 0}, wasmtest.Const32(100_000), []byte{0x4a, opIf, void, opUnreachable, opEnd, opCall, rawNext}))
	deep.Functions[len(deep.Functions)-1].Locals = []byte{wasmtest.I32}
	return []cheat{
		{"calls of small functions", false, small},
		{"tree of calls", false, tree},
		{"indirect calls", false, indirect},
		{"indirect calls of the host", false, throughTable},
		{"unforeseen calls", true, targets},
		{"recursion", true, with(endless([]byte{opCall, rawNext}), []byte{opCall, rawNext})},
		{"mutual recursion", true, mutual},
		{"indirect recursion", true, through},
		{"recursion, wide frames", true, wide},
		{"recursion, huge frames", true, hugeFrames()},
		{"recursion, then a trap", true, deep},
	}
}

// hugeFrames has a function with a place on the stack for each of many values, which calls itself
// before it makes any of them.
func hugeFrames() *wasmtest.Module {
	m := with(endless([]byte{opCall, rawNext}), nil)
	f := &m.Functions[len(m.Functions)-1]
	f.Body = []byte{opCall, rawNext}
	for range 60 {
		f.Locals = append(f.Locals, wasmtest.I64)
	}
	for range 300 {
		f.Body = append(f.Body, wasmtest.Join(wasmtest.Const32(0), []byte{opLoad, 2, 0, opIf, void})...)
		for i := range byte(60) {
			f.Body = append(f.Body, wasmtest.Join(wasmtest.Const32(int32(i)*8), []byte{0x29, 3, 0, opSet, i})...)
		}
		f.Body = append(f.Body, opEnd, opCall, rawManifestFunc, opDrop)
	}
	for i := range byte(60) {
		f.Body = append(f.Body, wasmtest.Join(wasmtest.Const32(0), []byte{opGet, i, 0x37, 3, 0})...)
	}
	return m
}

// moveCheats move many values with few instructions, where paths meet.
func moveCheats() []cheat {
	many := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = wasmtest.I64
		}
		return b
	}
	const n = 1000
	// A loop whose parameters change places: one more is pushed, and the last n are carried.
	rotate := raw(repeat(n, wasmtest.Const64(1)), []byte{opLoop, rawNext}, wasmtest.Const64(5), []byte{opBr, 0, opEnd}, answering(0, 0))
	rotate.Functions = append(rotate.Functions, wasmtest.Function{Type: wasmtest.Type{Params: many(n)}, Body: nil})
	// A function that gives n values to another.
	results := endless([]byte{opCall, rawNext, opCall, rawNext + 1})
	results.Functions = append(results.Functions,
		wasmtest.Function{Type: wasmtest.Type{Results: many(n)}, Body: repeat(n, wasmtest.Const64(1))},
		wasmtest.Function{Type: wasmtest.Type{Params: many(n)}, Body: nil})
	// Locals that are set on a path that is never taken.
	locals := func(n int) *wasmtest.Module {
		var set, use []byte
		for i := range uint32(n) {
			set = append(set, wasmtest.U32(wasmtest.Join(wasmtest.Const32(int32(i)), []byte{0x29, 3, 0, opSet}), 5+i)...)
			use = append(use, wasmtest.U32(wasmtest.Join(wasmtest.Const32(0), []byte{opGet}), 5+i)...)
			use = append(use, 0x37, 3, 0)
		}
		// The path is open for a number that the memory never holds.
		never := func(then []byte) []byte {
			return wasmtest.Join(wasmtest.Const32(8), []byte{opLoad, 2, 0, opIf, void}, then, []byte{opEnd})
		}
		m := forever(wasmtest.Join(wasmtest.Const32(8), wasmtest.Const32(0), []byte{opStore, 2, 0}), never(set), never(set), never(use))
		m.Functions[2].Locals = append(append([]byte{}, cheatLocals...), many(n)...)
		return m
	}
	return []cheat{
		{"loop of 1,000 parameters", false, rotate},
		{"calls with 1,000 values", false, results},
		{"60 locals that may differ", true, locals(60)},
		{"1,000 locals that may differ", true, locals(1000)},
	}
}

// vectorCheats compute with vectors.
func vectorCheats() []cheat {
	op := func(sub uint32) []byte {
		return wasmtest.Join([]byte{opGet, 5, opGet, 5}, wasmtest.U32([]byte{0xfd}, sub), []byte{opSet, 5})
	}
	unary := func(sub uint32) []byte {
		return wasmtest.Join([]byte{opGet, 5}, wasmtest.U32([]byte{0xfd}, sub), []byte{opSet, 5})
	}
	vector := func(body []byte) *wasmtest.Module {
		m := endless(repeat(15, body))
		m.Functions[2].Locals = append(append([]byte{}, cheatLocals...), 0x7b)
		return m
	}
	return []cheat{
		{"vector: i64x2.mul", false, vector(op(213))},
		{"vector: f64x2.div", false, vector(op(243))},
		{"vector: f64x2.sqrt", false, vector(unary(239))},
		{"vector: i8x16.popcnt", false, vector(unary(98))},
		{"vector: i32x4.trunc_sat_f32x4_u", false, vector(unary(249))},
		{"vector: i8x16.shr_s", false, vector(wasmtest.Join([]byte{opGet, 5, opGet, locI32}, wasmtest.U32([]byte{0xfd}, 108), []byte{opSet, 5}))},
	}
}
