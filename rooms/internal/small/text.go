package small

import "unsafe"

// MaxText is the longest string that a [Text] holds itself, in bytes.
const MaxText = 24

// Text is the memory of one short string that lives as long as what it is part of.
type Text struct {
	b    [MaxText]byte
	used bool
}

// Set returns s as a string: in t, or in memory of its own if it is too long or t is used.
func (t *Text) Set(s []byte) string {
	if t.used || len(s) > MaxText || len(s) == 0 {
		return string(s)
	}
	t.used = true // a string never changes: t is written once
	return unsafe.String(&t.b[0], copy(t.b[:], s))
}
