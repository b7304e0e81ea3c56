package runtime_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// endless returns a raw module whose turn repeats the instructions until its fuel ends.
func endless(body ...[]byte) *wasmtest.Module {
	return raw([]byte{0x03, 0x40}, wasmtest.Join(body...), []byte{0x0c, 0, 0x0b}, answering(0, 0))
}

func repeat(n int, instructions []byte) (b []byte) {
	for range n {
		b = append(b, instructions...)
	}
	return b
}

// BenchmarkFuel says how long a turn's fuel lasts in sorts of work that are far from one
// another, most of them written to cheat: the promise is about 20 ms.
func BenchmarkFuel(b *testing.B) {
	fill := func(n int32) []byte {
		return wasmtest.Join(wasmtest.Const32(0), wasmtest.Const32(0), wasmtest.Const32(n), []byte{0xfc, 11, 0})
	}
	tree := endless([]byte{0x10, rawNext})
	for i := range byte(30) {
		tree.Functions = append(tree.Functions, wasmtest.Function{Type: voidType, Body: []byte{0x10, rawNext + 1 + i, 0x10, rawNext + 1 + i}})
	}
	tree.Functions = append(tree.Functions, wasmtest.Function{Type: voidType})
	recursion := raw([]byte{0x10, rawNext}, answering(0, 0))
	recursion.Functions = append(recursion.Functions, wasmtest.Function{Type: voidType, Body: []byte{0x10, rawNext}})
	indirect := endless(wasmtest.Const32(rawNext), []byte{0x11, rawNext, 0})
	indirect.Table = rawNext + 1
	indirect.Functions = append(indirect.Functions, wasmtest.Function{Type: voidType})
	for _, c := range []struct {
		name   string
		module *wasmtest.Module
	}{
		{"loop", endless()},
		{"straight", endless(repeat(60, []byte{0x20, 0, 0x41, 1, 0x6a, 0x21, 0}))},
		{"loads", endless(repeat(15, []byte{0x41, 0, 0x28, 2, 0, 0x1a}))},
		{"divide", endless(repeat(15, []byte{0x20, 0, 0x41, 7, 0x6e, 0x21, 0}))},
		{"fill-64", endless(fill(64))},
		{"fill-65536", endless(fill(65536))},
		{"calls", tree},
		{"indirect-calls", indirect},
		{"recursion", recursion},
		{"memory.grow", endless(wasmtest.Const32(0), []byte{opGrow, 0, opDrop})},
		{"storage_get", endless(repeat(4, wasmtest.Const32(1)), []byte{0x10, rawGet, opDrop})},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRuntime(b, runtime.Options{})
			room := newRoom(b, load(b, r, c.module.Bytes()), "room")
			for b.Loop() {
				if _, err := room.Turn(b.Context(), batch(), nil); err == nil {
					b.Fatal("it ended")
				}
			}
			b.ReportMetric(float64(room.Fuel())/1000/(float64(b.Elapsed().Microseconds())/float64(b.N)), "kunits/us")
		})
	}
}
