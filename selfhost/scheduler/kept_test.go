package scheduler

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// FuzzKept reads what the store may have: never a panic, and what can be read is written the same again.
func FuzzKept(f *testing.F) {
	hashes := [][sha256.Size]byte{{1}, {2}}
	for _, k := range []kept{{}, {watchful: true}, {culprits: hashes}, {culprits: hashes, watchful: true},
		{closed: []uint64{7, 1 << 60}}, {culprits: hashes, watchful: true, closed: []uint64{7}}} {
		b := encodeKept(k)
		if got := decodeKept(b); len(got.culprits) != len(k.culprits) || got.watchful != k.watchful || len(got.closed) != len(k.closed) {
			f.Errorf("%+v comes back as %+v", k, got)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again := encodeKept(decodeKept(b))
		if !bytes.Equal(again, encodeKept(decodeKept(again))) {
			t.Errorf("%x is not stable", b)
		}
	})
}
