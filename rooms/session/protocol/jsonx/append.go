package jsonx

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = append(b, '"')
	i := 0
	for i < len(s) && plainByte[s[i]] {
		i++
	}
	if i < len(s) {
		b, s = appendEscaped(b, s, i)
	}
	return append(append(b, s...), '"')
}

// appendEscaped appends s up to its last escape, and returns what comes after it. The first i bytes
// need none.
func appendEscaped[S ~string | ~[]byte](b []byte, s S, i int) ([]byte, S) {
	from := 0
	for i < len(s) {
		c := s[i]
		if plainByte[c] || c == 0x7f {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			// At most four bytes: decoding never looks further.
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || n != 1 {
				i += n
				continue
			}
		}
		b = append(b, s[from:i]...)
		b = appendEscape(b, c)
		i++
		from = i
	}
	return b, s[from:]
}

// plainByte marks the bytes that [Plain] allows.
var plainByte = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	if c >= utf8.RuneSelf {
		return append(b, "\ufffd"...)
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// AppendUint appends v in decimal digits. strconv does the same by way of two more calls and a copy,
// which in WebAssembly cost more than the digits.
func AppendUint(b []byte, v uint64) []byte {
	n := digitsOf(v)
	b = slices.Grow(b, n)
	b = b[:len(b)+n]
	i := len(b)
	for v >= 100 {
		rest := v / 100
		two := (v - rest*100) * 2
		i -= 2
		b[i], b[i+1] = pairs[two], pairs[two+1]
		v = rest
	}
	if v >= 10 {
		b[i-2], b[i-1] = pairs[v*2], pairs[v*2+1]
	} else {
		b[i-1] = '0' + byte(v)
	}
	return b
}

// digitsOf is the number of v's decimal digits: 1233/4096 is a little more than the logarithm of 2.
func digitsOf(v uint64) int {
	n := bits.Len64(v) * 1233 >> 12
	if v >= powers[n] {
		n++
	}
	return n
}

// powers are those of ten; that of zero is none, because 0 has a digit.
var powers = [...]uint64{0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// pairs are the digits of 0 to 99.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748" +
	"4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798" + "99"

// An Object appends one JSON object to a buffer, member by member. Names are written as
// they are: they must need no escape.
//
//	o := jsonx.NewObject(buf)
//	o.String("text", text)
//	o.Uint("edited", time)
//	buf = o.End()
type Object struct {
	b     []byte
	empty bool
}

// NewObject appends the opening brace to b.
func NewObject(b []byte) Object { return Object{b: append(b, '{'), empty: true} }

// End appends the closing brace and returns the buffer.
func (o *Object) End() []byte { return append(o.b, '}') }

func (o *Object) key(name string) {
	if !o.empty {
		o.b = append(o.b, ',')
	}
	o.empty = false
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

// String appends a string.
func (o *Object) String(name, v string) {
	o.key(name)
	o.b = AppendString(o.b, v)
}

// StringBytes appends a string.
func (o *Object) StringBytes(name string, v []byte) {
	o.key(name)
	if Plain(v) { // the usual text, many bytes at a time
		o.b = append(append(append(o.b, '"'), v...), '"')
		return
	}
	o.b = AppendString(o.b, v)
}

// Uint appends a number. Above [MaxInteger] not every reader keeps it exactly.
func (o *Object) Uint(name string, v uint64) {
	o.key(name)
	o.b = AppendUint(o.b, v)
}

// Int appends a number.
func (o *Object) Int(name string, v int64) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

// Float appends a number; null for NaN and infinities, which JSON does not have.
func (o *Object) Float(name string, v float64) {
	o.key(name)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		o.b = append(o.b, "null"...)
		return
	}
	o.b = strconv.AppendFloat(o.b, v, 'g', -1, 64)
}

// Bool appends true or false.
func (o *Object) Bool(name string, v bool) {
	o.key(name)
	o.b = strconv.AppendBool(o.b, v)
}

// Raw appends a value that is JSON already; null if it is empty.
func (o *Object) Raw(name string, v []byte) {
	o.key(name)
	if len(v) == 0 {
		v = []byte("null")
	}
	o.b = append(o.b, v...)
}

// Append appends a value that fill appends.
func (o *Object) Append(name string, fill func([]byte) []byte) {
	o.key(name)
	o.b = fill(o.b)
}
