package jsonx

import "unsafe"

// word reads eight bytes of b from i on, which must be there. WebAssembly loads words from any
// address; the compiler makes eight loads of encoding/binary's form.
func word(b []byte, i int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), i))
}
