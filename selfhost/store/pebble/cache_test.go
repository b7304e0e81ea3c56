package pebble

import (
	"fmt"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

func TestCache(t *testing.T) {
	// A shard holds four rows of this size, and not one byte more.
	const value = 100
	entry := int64(len("k0") + value + rowOverhead)
	c := newCache(16 * 4 * entry)
	r := c.room(roomA)
	v := make([]byte, value)
	hit := func(key string) bool {
		_, _, hit := r.get([]byte(key))
		return hit
	}
	for i := range 4 {
		r.put(fmt.Sprint("k", i), v, false)
	}
	if c.bytes() != 4*entry || !hit("k0") {
		t.Fatalf("%d bytes", c.bytes())
	}
	r.put("k4", v, false)
	if hit("k1") || !hit("k0") || !hit("k2") || !hit("k4") {
		t.Error("not the least recently used row has gone")
	}
	r.put("k0", nil, true)
	if _, ok, hit := r.get([]byte("k0")); ok || !hit {
		t.Error("a row known to be absent is forgotten")
	}
	r.put("k2", make([]byte, value+1), false) // over a quarter of the shard
	if hit("k2") {
		t.Error("one row took too much, or an old value stayed")
	}
	r.removeSpan(&span{start: "k0", end: "k4"})
	if hit("k0") || hit("k3") || !hit("k4") {
		t.Error("a span removes the wrong rows")
	}
	r.remove("k4")
	if c.bytes() != 0 || r.rows != nil {
		t.Errorf("%d bytes stay", c.bytes())
	}
}

// A store that may keep nothing in memory still answers.
func TestNoCache(t *testing.T) {
	s := memory(t, Options{CacheBytes: -1})
	r := openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}}); err != nil {
		t.Fatal(err)
	}
	if _, _, hit := r.GetCached([]byte("a")); hit {
		t.Error("hit")
	}
	if get(t, r, "a") != "b" || s.Stats().CacheBytes != 0 {
		t.Error("no row, or cached")
	}
}

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
