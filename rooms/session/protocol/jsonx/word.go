//go:build !wasm

package jsonx

import "encoding/binary"

// word reads eight bytes of b from i on, which must be there.
func word(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }
