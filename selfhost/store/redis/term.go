//go:build !oriel_next

package redis

import (
	"crypto/rand"
	"encoding/hex"
)

// newTerm returns the random part of a token, as it is written in a format.
func newTerm(int) string {
	var b [termBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func validTerm(s string) bool { return len(s) == termBytes*2 && printable(s) }
