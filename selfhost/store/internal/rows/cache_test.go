package rows

import (
	"fmt"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

var roomA = store.RoomID{Kind: "chat", Name: "a"}

func has(r *RoomCache, key string) bool {
	_, _, hit := r.Get([]byte(key))
	return hit
}

func TestCache(t *testing.T) {
	// A shard holds four rows of this size, and not one byte more.
	const value = 100
	entry := int64(len("k0") + value + Overhead)
	c := NewCache(16 * 4 * entry)
	r := c.Room(roomA)
	v := make([]byte, value)
	for i := range 4 {
		r.Put(Row{Key: fmt.Sprint("k", i), Value: v})
	}
	if c.Bytes() != 4*entry || !has(r, "k0") {
		t.Fatalf("%d bytes", c.Bytes())
	}
	r.Put(Row{Key: "k4", Value: v})
	if has(r, "k1") || !has(r, "k0") || !has(r, "k2") || !has(r, "k4") {
		t.Error("not the least recently used row has gone")
	}
	r.Put(Row{Key: "k0", Deleted: true})
	if _, ok, hit := r.Get([]byte("k0")); ok || !hit {
		t.Error("a row known to be absent is forgotten")
	}
	r.Put(Row{Key: "k2", Value: make([]byte, value+1)}) // over a quarter of the shard
	if has(r, "k2") {
		t.Error("one row took too much, or an old value stayed")
	}
	r.RemoveSpan(&Span{Start: "k0", End: "k4"})
	if has(r, "k0") || has(r, "k3") || !has(r, "k4") {
		t.Error("a span removes the wrong rows")
	}
	r.Clear()
	if c.Bytes() != 0 || r.rows != nil {
		t.Errorf("%d bytes stay", c.Bytes())
	}
}

func fill(r *RoomCache, n, size int) {
	rows := make([]Row, n)
	for i := range rows {
		rows[i] = Row{Key: fmt.Sprintf("%04d", i), Value: make([]byte, size)}
	}
	r.Fill(rows)
}

func page(r *RoomCache, start, end string, reverse bool, n int) string {
	rows, ok := r.Page(start, end, reverse, n)
	if !ok {
		return "?"
	}
	keys := ""
	for _, row := range rows {
		keys += row.Key + " "
	}
	return keys
}

// A room that is in memory as a whole knows what is absent, and lists.
func TestWholeRoom(t *testing.T) {
	c := NewCache(1 << 20)
	r := c.Room(roomA)
	if has(r, "x") || page(r, "", "", false, 9) != "?" {
		t.Error("a room is whole that was never filled")
	}
	fill(r, 5, 10)
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() {}, "0000 0001 0002 0003 0004 "},
		{func() { r.Put(Row{Key: "0001", Deleted: true}) }, "0000 0002 0003 0004 "},
		{func() { r.Put(Row{Key: "0001", Value: []byte{1}}) }, "0000 0001 0002 0003 0004 "},
		{func() { r.Put(Row{Key: "0001", Value: []byte{2}}) }, "0000 0001 0002 0003 0004 "},
		{func() { r.Put(Row{Key: "9"}) }, "0000 0001 0002 0003 0004 9 "},
		{func() { r.RemoveSpan(&Span{Start: "0001", End: "0003"}) }, "0000 0003 0004 9 "},
		{func() { r.RemoveSpan(&Span{Start: "0003"}) }, "0000 "},
		{func() { r.RemoveSpan(&Span{Start: "5", End: "3"}) }, "0000 "},
		{func() { r.RemoveSpan(&Span{}) }, ""},
		{func() { r.Put(Row{Key: "a"}) }, "a "},
	} {
		step.do()
		if got := page(r, "", "", false, 9); got != step.want {
			t.Errorf("%q, want %q", got, step.want)
		}
		if _, ok, hit := r.Get([]byte("none")); ok || !hit {
			t.Error("the room forgot that it is whole")
		}
	}
	fill(r, 5, 10)
	for _, tt := range []struct {
		start, end string
		reverse    bool
		n          int
		want       string
	}{
		{"", "", true, 2, "0004 0003 "},
		{"0001", "0003", false, 9, "0001 0002 "},
		{"0001", "0003", true, 9, "0002 0001 "},
		{"00005", "", false, 1, "0001 "},
		{"3", "1", false, 9, ""},
		{"", "", false, 0, ""},
	} {
		if got := page(r, tt.start, tt.end, tt.reverse, tt.n); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
	r.Clear()
	if has(r, "none") {
		t.Error("a cleared room is whole")
	}
}

// A room that lost a row to others, or never could hold it, is not whole any more.
func TestNotWhole(t *testing.T) {
	const size = 100
	entry := int64(4 + size + Overhead)
	for name, lose := range map[string]func(c *Cache, r *RoomCache){
		"pushed out by another room": func(c *Cache, _ *RoomCache) {
			other := c.Room(roomA)
			for i := range 4 {
				other.Put(Row{Key: fmt.Sprintf("%04d", i), Value: make([]byte, size)})
			}
		},
		"one row too large":      func(_ *Cache, r *RoomCache) { r.Put(Row{Key: "0001", Value: make([]byte, size+1)}) },
		"filled with too much":   func(_ *Cache, r *RoomCache) { fill(r, 5, size) },
		"filled with one so big": func(_ *Cache, r *RoomCache) { fill(r, 1, size+1) },
	} {
		c := NewCache(16 * 4 * entry)
		r := c.Room(roomA)
		fill(r, 3, size)
		if !has(r, "none") {
			t.Fatalf("%s: not whole at first", name)
		}
		lose(c, r)
		if has(r, "none") || page(r, "", "", false, 9) != "?" {
			t.Errorf("%s: still whole", name)
		}
	}
	r := NewCache(0).Room(roomA)
	if fill(r, 0, 0); has(r, "none") {
		t.Error("whole in a cache that keeps nothing")
	}
}
