package wasm

import "fmt"

// reader reads the primitives of the binary format (WebAssembly Core 2.0, section 5).
// The first fault is kept; after it every read returns zero.
type reader struct {
	b   []byte
	at  int // next byte
	end int // first byte that does not belong to it
	err *Error
}

func newReader(b []byte) *reader { return &reader{b: b, end: len(b)} }

func (r *reader) fail(format string, args ...any) {
	r.failWith(ErrNotWasm, format, args...)
}

func (r *reader) unsupported(format string, args ...any) {
	r.failWith(ErrUnsupported, format, args...)
}

func (r *reader) failWith(err error, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Reason: fmt.Sprintf(format, args...), Offset: r.at, Err: err}
	}
	r.at = r.end
}

func (r *reader) more() bool { return r.err == nil && r.at < r.end }

func (r *reader) byte() byte {
	if r.at >= r.end {
		r.fail("unexpected end")
		return 0
	}
	c := r.b[r.at]
	r.at++
	return c
}

// u32 reads an unsigned LEB128 integer of at most 32 bits.
func (r *reader) u32() uint32 {
	// One byte is by far the most frequent length.
	if r.at < r.end && r.b[r.at] < 0x80 {
		r.at++
		return uint32(r.b[r.at-1])
	}
	var v uint64
	for shift := uint(0); shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	r.fail("integer too large")
	return 0
}

// skipLEB skips a signed or unsigned LEB128 integer of at most bits bits; wazero
// checks its value.
func (r *reader) skipLEB(bits int) {
	for range (bits + 6) / 7 {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail("integer too long")
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(r.end-r.at) {
		r.fail("length %d goes past the end", n)
		return nil
	}
	s := r.b[r.at : r.at+int(n) : r.at+int(n)]
	r.at += int(n)
	return s
}

// count reads the length of a vector whose items take at least one byte each.
func (r *reader) count(what string) int {
	n := r.u32()
	if uint64(n) > uint64(r.end-r.at) {
		r.fail("%d %s cannot fit", n, what)
		return 0
	}
	return int(n)
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

func appendU32(b []byte, v uint32) []byte { return appendU64(b, uint64(v)) }

func appendU64(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }
