package jsonx

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested; [] has depth 1.
const MaxDepth = 64

// Skip checks the value that starts at b[i] and returns the index after it. There must be no
// white space before the value. The value may be nested [MaxDepth] deep. The error is one of this
// package's, for the index that is returned.
func Skip(b []byte, i int) (int, error) { return skip(b, i) }

// Plain reports whether b is printable ASCII without quote and backslash: a string's text that
// needs no escape and has nothing in it that a reader could trip over.
func Plain(b []byte) bool { return plain(b, 0) == len(b) }

// Valid reports whether b is exactly one JSON value (with white space around it, as RFC
// 8259 allows), UTF-8, and nested at most [MaxDepth] deep. The error is an *[Error].
func Valid(b []byte) error {
	i, err := skip(b, space(b, 0))
	if err == nil {
		if i = space(b, i); i == len(b) {
			return nil
		}
		err = ErrSyntax
	}
	return &Error{Offset: i, Err: err}
}

func space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skip checks the value that starts at b[i] and returns the index after it, or of the
// fault. It does not recurse: a bit per level says whether an object is open there.
func skip(b []byte, i int) (int, error) {
	var objects uint64
	depth := 0
	var err error
	for {
		if i >= len(b) {
			return i, ErrSyntax
		}
		switch c := b[i]; {
		case c == '"':
			if j := plain(b, i+1); j < len(b) && b[j] == '"' {
				i = j + 1
			} else {
				i, err = skipString(b, j)
			}
		case c == '{' || c == '[':
			if depth == MaxDepth {
				return i, ErrDepth
			}
			if i++; i < len(b) && b[i] <= ' ' {
				i = space(b, i)
			}
			if i < len(b) && b[i] == c+2 { // '}' is '{'+2, ']' is '['+2
				i++
				break
			}
			depth++
			objects <<= 1
			if c == '{' {
				objects |= 1
				if i, err = skipKey(b, i); err != nil {
					return i, err
				}
			}
			continue
		case c == '-' || c-'0' <= 9:
			i, err = skipNumber(b, i)
		default:
			i, err = skipWord(b, i)
		}
		if err != nil {
			return i, err
		}
		// A value has ended: go on to its sibling, or close what it was the last of.
		for {
			if depth == 0 {
				return i, nil
			}
			if i < len(b) && b[i] <= ' ' {
				i = space(b, i)
			}
			if i >= len(b) {
				return i, ErrSyntax
			}
			object := objects&1 == 1
			if b[i] == ',' {
				if i++; i < len(b) && b[i] <= ' ' {
					i = space(b, i)
				}
				if object {
					if i, err = skipKey(b, i); err != nil {
						return i, err
					}
				}
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return i, ErrSyntax
			}
			i++
			depth--
			objects >>= 1
		}
	}
}

// skipKey checks a member's name and colon and returns the index of its value.
func skipKey(b []byte, i int) (int, error) {
	if i >= len(b) || b[i] != '"' {
		return i, ErrSyntax
	}
	if j := plain(b, i+1); j < len(b) && b[j] == '"' {
		i = j + 1
	} else {
		var err error
		if i, err = skipString(b, j); err != nil {
			return i, err
		}
	}
	if i < len(b) && b[i] <= ' ' {
		i = space(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return i, ErrSyntax
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = space(b, i)
	}
	return i, nil
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain returns the index of the first byte of b[i:] that is not a plain character of a
// string: a quote, a backslash, a control character or a byte from 0x7f on. It looks at
// eight bytes at a time; a borrow or carry can only mark a byte after the first true one.
func plain(b []byte, i int) int {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		quote := w ^ ones*'"'
		slash := w ^ ones*'\\'
		m := ((w-ones*' ')&^w | (quote-ones)&^quote | (slash-ones)&^slash | w | (w + ones)) & highs
		if m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(b) {
		if c := b[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			break
		}
		i++
	}
	return i
}

// skipString checks the rest of a string and returns the index after its closing quote.
func skipString(b []byte, i int) (int, error) {
	for {
		i = plain(b, i)
		if i >= len(b) {
			return i, ErrSyntax
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, nil
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return i, ErrSyntax
			}
			i += n
		case c < ' ':
			return i, ErrSyntax
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return i, ErrUTF8
			}
			i += n
		}
	}
}

// escapeLen returns the length of the escape that b starts with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex4(b[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits, -1 if they are not.
func hex4(b []byte) rune {
	var v rune
	for _, c := range b[:4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c-'a' <= 5:
			c -= 'a' - 10
		case c-'A' <= 5:
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | rune(c)
	}
	return v
}

func skipNumber(b []byte, i int) (int, error) {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if j := digits(b, i); j > i {
		i = j
	} else {
		return i, ErrSyntax
	}
	if i < len(b) && b[i] == '.' {
		j := digits(b, i+1)
		if j == i+1 {
			return j, ErrSyntax
		}
		i = j
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		j := digits(b, i)
		if j == i {
			return j, ErrSyntax
		}
		i = j
	}
	return i, nil
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

func skipWord(b []byte, i int) (int, error) {
	for _, w := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(w) && string(b[i:i+len(w)]) == w {
			return i + len(w), nil
		}
	}
	return i, ErrSyntax
}
