package wasm_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// TestPartsShareNothing rewrites a module in as many parts as there may be and in one. What all of it
// reads first, looking for leaves, must not be what the parts write to: the race detector would say so,
// and the results would differ.
func TestPartsShareNothing(t *testing.T) {
	m := function([]byte{0x20, 0})
	// Leaves with branch tables come first, so that there are labels from them when the parts begin.
	table := wasmtest.Join(rep(8, []byte{0x02, 0x40}), []byte{0x20, 0, 0x0e, 7, 0, 1, 2, 3, 4, 5, 6, 7}, rep(8, []byte{0x0b}), []byte{0x20, 0})
	m.Functions = append(m.Functions, wasmtest.Function{Type: number, Body: table})
	for range 400 {
		for _, name := range []string{"branch table", "nested loops", "if", "long", "copy"} {
			m.Functions = append(m.Functions, wasmtest.Function{Type: number, Locals: []byte{wasmtest.I64, wasmtest.I32}, Body: wasmtest.Join(bodies[name]...)})
		}
		loop := wasmtest.Join([]byte{0x03, 0x40, 0x20, 0, 0x04, 0x40}, table, []byte{0x1a, 0x0c, 1, 0x0b, 0x0b, 0x20, 0})
		m.Functions = append(m.Functions, wasmtest.Function{Type: number, Body: loop})
	}
	binary := m.Bytes()
	parsed, err := wasm.Parse(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	rewritten := func() []byte {
		out, _, err := parsed.Rewrite(wasm.RewriteOptions{MaxPages: 2000})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	one := rewritten()
	instantiate(t, one)
	runtime.GOMAXPROCS(4)
	for range 5 {
		if !bytes.Equal(rewritten(), one) {
			t.Fatal("in parts, it becomes another module")
		}
	}
}
