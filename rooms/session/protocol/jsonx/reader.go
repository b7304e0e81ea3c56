package jsonx

import (
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A Reader walks over one JSON value. The first fault is kept: later reads return zero
// values and loops end, so a caller checks [Reader.End] once.
//
//	r := jsonx.NewReader(data)
//	for key := range r.Object() {
//		switch string(key) {
//		case "text":
//			text = r.String()
//		case "reply":
//			reply = r.Uint()
//		}
//	}
//	if err := r.End(); err != nil { ... }
type Reader struct {
	b     []byte
	start int // of the value
	i     int
	depth int
	err   error
}

// NewReader returns a reader of b. Byte slices that it returns may alias b.
func NewReader(b []byte) *Reader {
	i := space(b, 0)
	return &Reader{b: b, start: i, i: i}
}

// Err returns the first fault, an *[Error], or nil.
func (r *Reader) Err() error { return r.err }

// End returns the first fault. Bytes after the value are one, and so is a value that was
// not read.
func (r *Reader) End() error {
	if r.err == nil {
		unread := r.i == r.start
		if r.i = space(r.b, r.i); r.i < len(r.b) || unread {
			r.fail(ErrSyntax)
		}
	}
	return r.err
}

func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err = &Error{Offset: r.i, Err: err}
	}
}

// Fail records err as the reader's fault at the present place, unless there is one
// already. It is for callers that find a value out of range: pass [ErrType], or an error of
// their own.
func (r *Reader) Fail(err error) { r.fail(err) }

// Peek returns the first byte of the next value: one of { [ " t f n - 0-9; 0 when there is
// none.
func (r *Reader) Peek() byte {
	if r.err != nil || r.i >= len(r.b) {
		return 0
	}
	return r.b[r.i]
}

// Object reads an object: the loop gets each member's name and reads the value, or leaves
// it and it is skipped. The name is valid until the next round. Members come in the order
// of the input, duplicates included. A value of another type is a fault.
func (r *Reader) Object() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !r.open('{') {
			return
		}
		for first := true; r.more('}', first); first = false {
			key := r.key()
			if r.err != nil {
				return
			}
			at := r.i
			if !yield(key) {
				return
			}
			if r.err == nil && r.i == at {
				r.Skip()
			}
		}
	}
}

// Array reads an array: the loop gets each element's index and reads the element, or leaves
// it and it is skipped. A value of another type is a fault.
func (r *Reader) Array() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !r.open('[') {
			return
		}
		for n := 0; r.more(']', n == 0); n++ {
			at := r.i
			if !yield(n) {
				return
			}
			if r.err == nil && r.i == at {
				r.Skip()
			}
		}
	}
}

func (r *Reader) open(c byte) bool {
	switch {
	case r.err != nil:
		return false
	case r.i >= len(r.b):
		r.fail(ErrSyntax)
		return false
	case r.b[r.i] != c:
		r.fail(ErrType)
		return false
	case r.depth == MaxDepth:
		r.fail(ErrDepth)
		return false
	}
	r.depth++
	r.i++
	return true
}

// more goes to the next element, or closes the array or object.
func (r *Reader) more(end byte, first bool) bool {
	if r.err != nil {
		return false
	}
	r.i = space(r.b, r.i)
	if r.i >= len(r.b) {
		r.fail(ErrSyntax)
		return false
	}
	if r.b[r.i] == end {
		r.i++
		r.depth--
		return false
	}
	if !first {
		if r.b[r.i] != ',' {
			r.fail(ErrSyntax)
			return false
		}
		r.i = space(r.b, r.i+1)
	}
	return true
}

func (r *Reader) key() []byte {
	if r.i >= len(r.b) || r.b[r.i] != '"' {
		r.fail(ErrSyntax)
		return nil
	}
	key := r.Bytes()
	r.i = space(r.b, r.i)
	if r.err != nil || r.i >= len(r.b) || r.b[r.i] != ':' {
		r.fail(ErrSyntax)
		return nil
	}
	r.i = space(r.b, r.i+1)
	return key
}

// Skip checks the next value and steps over it.
func (r *Reader) Skip() { r.Raw() }

// Raw checks the next value and returns its bytes, which alias the input. The value may be
// nested [MaxDepth] deep itself, however deep it lies.
func (r *Reader) Raw() []byte {
	if r.err != nil {
		return nil
	}
	at := r.i
	i, err := skip(r.b, at)
	r.i = i
	if err != nil {
		r.fail(err)
		return nil
	}
	return r.b[at:i:i]
}

// Null steps over the next value if it is null, and reports whether it was.
func (r *Reader) Null() bool {
	if r.Peek() != 'n' {
		return false
	}
	r.Skip()
	return r.err == nil
}

// Bool reads true or false.
func (r *Reader) Bool() bool {
	switch r.Peek() {
	case 't', 'f':
		v := r.Raw()
		return len(v) == 4
	}
	r.wrong()
	return false
}

// wrong records that the next value is of another type, or that there is none.
func (r *Reader) wrong() {
	if r.i >= len(r.b) {
		r.fail(ErrSyntax)
	}
	r.fail(ErrType)
}

// String reads a string, as a copy. A lone half of a surrogate pair becomes U+FFFD.
func (r *Reader) String() string { return string(r.Bytes()) }

// Bytes reads a string. The result aliases the input if the string has no escapes.
func (r *Reader) Bytes() []byte {
	if r.Peek() != '"' {
		r.wrong()
		return nil
	}
	at := r.i + 1
	if i := plain(r.b, at); i < len(r.b) && r.b[i] == '"' {
		r.i = i + 1
		return r.b[at:i:i]
	}
	i, err := skipString(r.b, at)
	if err != nil {
		r.i = i
		r.fail(err)
		return nil
	}
	r.i = i
	return unescape(r.b[at : i-1 : i-1])
}

// unescape returns the text of a checked string; b itself if it has no escape.
func unescape(b []byte) []byte {
	at := 0
	for at < len(b) && b[at] != '\\' {
		at++
	}
	if at == len(b) {
		return b
	}
	out := append(make([]byte, 0, len(b)), b[:at]...)
	for i := at; i < len(b); {
		c := b[i]
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		switch c = b[i+1]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			u := hex4(b[i+2:])
			i += 6
			if utf16.IsSurrogate(u) {
				pair := rune(-1)
				if i+6 <= len(b) && b[i] == '\\' && b[i+1] == 'u' {
					pair = hex4(b[i+2:])
				}
				if u = utf16.DecodeRune(u, pair); u != utf8.RuneError {
					i += 6
				}
			}
			out = utf8.AppendRune(out, u)
			continue
		}
		out = append(out, c)
		i += 2
	}
	return out
}

// number returns the bytes of the next value, which is a number.
func (r *Reader) number() []byte {
	if c := r.Peek(); c != '-' && c-'0' > 9 {
		r.wrong()
		return nil
	}
	return r.Raw()
}

// Uint reads a number without sign, fraction and exponent, from 0 to 2^53-1, the greatest
// that every JSON reader keeps exactly.
func (r *Reader) Uint() uint64 {
	at := r.i
	v := r.number()
	if r.err != nil {
		return 0
	}
	n, ok := parseUint(v)
	if !ok {
		r.i = at
		r.fail(ErrType)
		return 0
	}
	return n
}

func parseUint(v []byte) (uint64, bool) {
	if len(v) > 16 {
		return 0, false
	}
	var n uint64
	for _, c := range v {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	return n, n <= MaxInteger
}

// MaxInteger is the greatest integer that every JSON reader keeps exactly, 2^53-1.
const MaxInteger = 1<<53 - 1

// Int reads a number without fraction and exponent, from -(2^53-1) to 2^53-1.
func (r *Reader) Int() int64 {
	at := r.i
	v := r.number()
	if r.err != nil {
		return 0
	}
	sign := int64(1)
	if v[0] == '-' {
		v, sign = v[1:], -1
	}
	n, ok := parseUint(v)
	if !ok {
		r.i = at
		r.fail(ErrType)
		return 0
	}
	return sign * int64(n)
}

// Float reads a number. One beyond the range of float64 is a fault.
func (r *Reader) Float() float64 {
	at := r.i
	v := r.number()
	if r.err != nil {
		return 0
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		r.i = at
		r.fail(ErrType)
		return 0
	}
	return f
}
