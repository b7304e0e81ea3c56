//go:build oriel_next

package redis

import (
	"crypto/rand"
	"encoding/hex"
)

// newTerm is of a format that does not exist yet, for the tests of rolling deploys: in format 2 a
// term is one byte longer, and a program that reads format 1 only takes it for corrupt.
func newTerm(format int) string {
	b := make([]byte, termBytes+format-1)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func validTerm(s string) bool {
	return (len(s) == termBytes*2 || len(s) == termBytes*2+2) && printable(s)
}
