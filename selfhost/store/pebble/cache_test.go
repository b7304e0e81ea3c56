package pebble

import (
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Rooms that are closed keep nothing in memory.
func TestCacheOfClosedRooms(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}}); err != nil {
		t.Fatal(err)
	}
	get(t, r, "zz")
	if _, ok, hit := r.GetCached([]byte("zz")); ok || !hit {
		t.Error("an absent row is not remembered")
	}
	st := s.Stats()
	if st.CacheBytes == 0 || st.CacheHits != 1 || st.CacheMisses != 1 {
		t.Errorf("%+v", st)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().CacheBytes; n != 0 {
		t.Errorf("%d bytes", n)
	}
}

// What a read found before a commit became durable is not remembered after it.
func TestLateRemember(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	_, ok, _, retired := r.lookup([]byte("a"))
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "new")}}); err != nil {
		t.Fatal(err)
	}
	r.remember([]byte("a"), nil, ok, retired)
	if got := get(t, r, "a"); got != "new" {
		t.Errorf("%q", got)
	}
}
