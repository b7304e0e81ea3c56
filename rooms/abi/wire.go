package abi

import (
	"math/bits"
	"unicode/utf8"
)

// AppendUvarint appends v as an unsigned LEB128 integer in its shortest form.
func AppendUvarint(b []byte, v uint64) []byte {
	if v < 0x80 {
		return append(b, byte(v)) // small enough to be inlined where most lengths are
	}
	return appendLong(b, v)
}

// appendLong stays a call: by the profile of the shipped module, the compiler would put its loop
// into every caller.
//
//go:noinline
func appendLong(b []byte, v uint64) []byte {
	for v >= 1<<56 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	// At most eight bytes are left, which are appended as one word, and cut.
	var word uint64
	shift := 0
	for ; v >= 0x80; shift += 8 {
		word |= (v&0x7f | 0x80) << (shift & 63)
		v >>= 7
	}
	word |= v << (shift & 63)
	n := len(b) + shift/8 + 1
	return append(b, byte(word), byte(word>>8), byte(word>>16), byte(word>>24),
		byte(word>>32), byte(word>>40), byte(word>>48), byte(word>>56))[:n]
}

// UvarintLen returns the number of bytes that AppendUvarint appends for v: one for each seven bits, by
// 9/64 in place of the slower division by 7.
func UvarintLen(v uint64) int { return int(9*uint(bits.Len64(v))+64) >> 6 }

// PutUvarint writes v to the first [UvarintLen] bytes of b.
func PutUvarint(b []byte, v uint64) {
	for ; v >= 0x80; v >>= 7 {
		b[0], b = byte(v)|0x80, b[1:]
	}
	b[0] = byte(v)
}

// AppendBytes appends the length of v and v.
func AppendBytes(b, v []byte) []byte {
	switch n := len(v); {
	case n < 0x80:
		b = append(b, byte(n))
	case n < 0x4000:
		b = append(b, byte(n)|0x80, byte(n>>7))
	default:
		b = appendLong(b, uint64(n))
	}
	return append(b, v...)
}

// AppendString appends the length of v and v.
func AppendString(b []byte, v string) []byte {
	if v == "" {
		return append(b, 0)
	}
	return append(AppendUvarint(b, uint64(len(v))), v...)
}

// AppendBool appends 1 or 0.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// A Decoder reads the primitives of the codec. The first fault is kept and every
// later read returns a zero value, so a caller checks [Decoder.Err] once. What it
// allocates is in proportion to its input, however large the counts in it claim to be.
type Decoder struct {
	b   []byte
	err error
}

// NewDecoder returns a decoder of b. Byte slices that it returns alias b.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Err returns the first fault, a *[FieldError], or nil.
func (d *Decoder) Err() error { return d.err }

// Len returns the number of bytes that are left.
func (d *Decoder) Len() int { return len(d.b) }

// Malformed records a fault of form in a field. It stays a call, as Limit does: faults are rare, and
// every read of a field has some.
//
//go:noinline
func (d *Decoder) Malformed(field, reason string) {
	if d.err == nil {
		d.err = &FieldError{Field: field, Reason: reason, Err: ErrMalformed}
		d.b = nil
	}
}

// Limit records a crossed limit in a field.
//
//go:noinline
func (d *Decoder) Limit(field, reason string) {
	if d.err == nil {
		d.err = &FieldError{Field: field, Reason: reason, Err: ErrLimit}
		d.b = nil
	}
}

// End records a fault if bytes are left, and returns the first fault.
func (d *Decoder) End(field string) error {
	if d.err == nil && len(d.b) > 0 {
		d.Malformed(field, "trailing bytes")
	}
	return d.err
}

// Byte reads one byte.
func (d *Decoder) Byte(field string) byte {
	if len(d.b) == 0 {
		d.Malformed(field, "cut short")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// Bool reads 0 or 1.
func (d *Decoder) Bool(field string) bool {
	switch d.Byte(field) {
	case 0:
		return false
	case 1:
		return true
	}
	d.Malformed(field, "not 0 or 1")
	return false
}

// Uvarint reads an integer in its shortest form, at most limit.
func (d *Decoder) Uvarint(field string, limit uint64) uint64 {
	if b := d.b; len(b) > 0 && b[0] < 0x80 && uint64(b[0]) <= limit { // most are lengths
		d.b = b[1:]
		return uint64(b[0])
	}
	return d.long(field, limit)
}

func (d *Decoder) long(field string, limit uint64) uint64 {
	var v uint64
	for i, c := range d.b {
		if c >= 0x80 && i < 9 {
			v |= uint64(c&0x7f) << (7 * i & 63)
			continue
		}
		v |= uint64(c) << (7 * i & 63)
		switch {
		case i == 9 && c > 1:
			d.Malformed(field, "integer over 64 bits")
		case c == 0 && i > 0:
			d.Malformed(field, "integer not in its shortest form")
		case v > limit:
			d.Limit(field, "too large")
		default:
			d.b = d.b[i+1:]
			return v
		}
		return 0
	}
	d.Malformed(field, "cut short")
	return 0
}

// Fixed reads n bytes; the result aliases the input.
func (d *Decoder) Fixed(field string, n int) []byte {
	if len(d.b) < n {
		d.Malformed(field, "cut short")
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// Bytes reads a length of at most limit and so many bytes; the result aliases the input.
func (d *Decoder) Bytes(field string, limit int) []byte {
	n := d.Uvarint(field, uint64(limit))
	if d.err != nil {
		return nil
	}
	return d.Fixed(field, int(n))
}

// String reads a length of at most limit and so many bytes of UTF-8, as a copy.
func (d *Decoder) String(field string, limit int) string {
	v := d.Bytes(field, limit)
	if !utf8.Valid(v) {
		d.Malformed(field, "not UTF-8")
		return ""
	}
	return string(v)
}

// same skips a string that is s, of 1 to 127 bytes, and reports whether it was there.
func (d *Decoder) same(s string) bool {
	n := len(s)
	if n == 0 || n > 0x7f || len(d.b) <= n || int(d.b[0]) != n || string(d.b[1:n+1]) != s {
		return false
	}
	d.b = d.b[n+1:]
	return true
}

// Count reads the length of a list of at most limit items. A list claims at least
// one byte per item, so a count beyond the bytes left is malformed.
func (d *Decoder) Count(field string, limit int) int { return d.countOf(field, limit, 1) }

// countOf is Count for items of at least size bytes each, so that a caller may make room
// for all of them at once.
func (d *Decoder) countOf(field string, limit, size int) int {
	n := d.Uvarint(field, uint64(limit))
	if n > uint64(len(d.b)/size) {
		d.Malformed(field, "count beyond the input")
		return 0
	}
	return int(n)
}
