package wasm_test

import (
	"bytes"
	"testing"

	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// active is an active data segment.
func active(at int32, data string) []byte {
	b := append(append([]byte{0}, wasmtest.Const32(at)...), 0x0b)
	return append(wasmtest.U32(b, uint32(len(data))), data...)
}

// withData returns a module with these data segments and, unlike a module of package wasmtest alone,
// without their number.
func withData(segments ...[]byte) *wasmtest.Module {
	m := function([]byte{0x20, 0})
	body := wasmtest.Join(wasmtest.U32(nil, uint32(len(segments))), wasmtest.Join(segments...))
	m.Extra = append(wasmtest.U32([]byte{11}, uint32(len(body))), body...)
	return m
}

// segmentsOf returns the number of data segments of a module, -1 if it has no data section.
func segmentsOf(t *testing.T, binary []byte) int {
	t.Helper()
	for at := 8; at < len(binary); {
		id := binary[at]
		size, n, shift := 0, at+1, 0
		for ; ; n++ {
			size |= int(binary[n]&0x7f) << shift
			if shift += 7; binary[n] < 0x80 {
				break
			}
		}
		if id == 11 {
			return int(binary[n+1])
		}
		at = n + 1 + size
	}
	return -1
}

// TestData merges the data segments of modules, and leaves them out; the memory is the same.
func TestData(t *testing.T) {
	zeros := string(make([]byte, 33))
	passive := append([]byte{1, 2}, "hi"...)
	for _, c := range []struct {
		name     string
		segments [][]byte
		want     int // segments
		stays    bool
	}{
		{"one", [][]byte{active(8, "hello")}, 1, false},
		{"neighbors", [][]byte{active(0, "ab"), active(2, "cd"), active(4, "ef")}, 1, false},
		{"a gap of 32", [][]byte{active(0, "ab"), active(34, "cd")}, 1, false},
		{"a gap of 33", [][]byte{active(0, "ab"), active(35, "cd")}, 2, false},
		{"another order", [][]byte{active(100, "b"), active(0, "a")}, 2, false},
		{"the last byte", [][]byte{active(65535, "z"), active(0, "a")}, 2, false},
		{"zeros and nothing", [][]byte{active(0, zeros), active(33, ""), active(33, "x")}, 1, false},
		{"overlapping", [][]byte{active(0, "abc"), active(2, "x")}, 2, true},
		{"overlapping, in another order", [][]byte{active(2, "x"), active(0, "abc")}, 2, true},
		{"passive", [][]byte{active(0, "abc"), passive}, 2, true},
		{"none", nil, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary := withData(c.segments...).Bytes()
			memory := func(binary []byte) []byte {
				b, _ := instantiate(t, binary).Memory().Read(0, 65536)
				return b
			}
			want := memory(binary)
			merged, _ := rewrite(t, binary)
			if got := segmentsOf(t, merged); got != c.want {
				t.Errorf("%d segments, want %d", got, c.want)
			}
			if !bytes.Equal(memory(merged), want) {
				t.Error("merged, it is another memory")
			}
			m, err := wasm.Parse(binary)
			if err != nil {
				t.Fatal(err)
			}
			stripped, _, err := m.Rewrite(wasm.RewriteOptions{MaxPages: 1, StripData: true})
			if err != nil {
				t.Fatal(err)
			}
			if got := segmentsOf(t, stripped); (got >= 0) != c.stays {
				t.Errorf("%d segments are left", got)
			}
			got := memory(stripped)
			if !m.InitMemory(got) || !bytes.Equal(got, want) {
				t.Error("stripped, it is another memory")
			}
		})
	}
}

// TestCountedData: a module that counts its segments may copy from them later.
func TestCountedData(t *testing.T) {
	m := function([]byte{0x20, 0})
	m.Data, m.DataAt = []byte("abc"), 4
	parsed, err := wasm.Parse(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := parsed.Rewrite(wasm.RewriteOptions{MaxPages: 1, StripData: true})
	if err != nil || segmentsOf(t, out) != 1 {
		t.Errorf("%d segments, %v", segmentsOf(t, out), err)
	}
	if !parsed.InitMemory(nil) {
		t.Error("there was something to write")
	}
}

func TestDataOutside(t *testing.T) {
	for _, at := range []int32{65534, -1} {
		m, err := wasm.Parse(withData(active(0, "ok"), active(at, "abc")).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if m.InitMemory(make([]byte, 65536)) {
			t.Errorf("three bytes at %d were written to a memory of 64 KiB", at)
		}
	}
}
