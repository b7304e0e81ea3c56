package storetest

import (
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A store that may keep nothing in memory still answers.
func testNoCache(t *testing.T, e Engine) {
	s := openStore(t, e, Options{CacheBytes: -1})
	r := Open(t, s, roomA)
	if err := Wait(r, store.Commit{Number: 1, Writes: []store.Write{Put("a", "b")}}); err != nil {
		t.Fatal(err)
	}
	if _, _, hit := r.GetCached([]byte("a")); hit {
		t.Error("hit")
	}
	if Get(t, r, "a") != "b" || s.Stats().CacheBytes != 0 {
		t.Error("no row, or cached")
	}
}
