package jsonx

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString[S ~string | ~[]byte](b []byte, s S) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
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
	b = append(b, s[from:]...)
	return append(b, '"')
}

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
	o.b = strconv.AppendUint(o.b, v, 10)
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
