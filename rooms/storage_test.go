package rooms_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/internal/reserved"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

func TestStorage(t *testing.T) {
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
		s := r.Storage()
		word, key, _ := strings.Cut(string(m.Data), " ")
		switch word {
		case "put":
			s.Put(key, []byte("v"+key))
			if v, ok := s.Get(key); !ok || string(v) != "v"+key {
				t.Errorf("a put is not seen in its own turn: %q", v)
			}
		case "del":
			s.Delete(key)
			if _, ok := s.Get(key); ok {
				t.Error("a deleted row is seen in its own turn")
			}
		case "clear":
			s.DeleteRange("", "")
			if rows, more := s.List(rooms.ListOptions{}); len(rows) != 0 || more {
				t.Errorf("%d rows after clearing", len(rows))
			}
			s.DeleteRange("b", "a") // nothing, and no effect
		}
	}}, roomtest.Options{SleepEachTurn: true})
	ann := h.Connect("ann")
	ann.Send("put a")
	ann.Send("put b")
	ann.Send("del a")
	if rows := h.Storage().Rows(); len(rows) != 1 || string(rows["b"]) != "vb" {
		t.Errorf("%q", rows)
	}
	ann.Send("clear")
	if rows := h.Storage().Rows(); len(rows) != 0 {
		t.Errorf("%q", rows)
	}
}

// What Get and List return, and what Put was given, belongs to the room's code alone.
func TestStorageCopies(t *testing.T) {
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
		v := []byte("abc")
		r.Storage().Put("k", v)
		v[0] = 'X'
		got, _ := r.Storage().Get("k")
		got[1] = 'X'
		rows, _ := r.Storage().List(rooms.ListOptions{})
		rows[0].Value[2] = 'X'
		if again, _ := r.Storage().Get("k"); string(again) != "abc" {
			t.Errorf("got %s", again)
		}
	}}, roomtest.Options{})
	h.Connect("ann").Send("x")
	if got := h.Storage().Rows()["k"]; string(got) != "abc" {
		t.Errorf("stored %s", got)
	}
}

func TestSystemStorageIsApart(t *testing.T) {
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
		own, system := r.Storage(), rooms.SystemStorage(r, reserved.Key{})
		own.Put("k", []byte("own"))
		system.Put("k", []byte("system"))
		system.Put("l", nil)
		if v, _ := own.Get("k"); string(v) != "own" {
			t.Errorf("%s", v)
		}
		if v, _ := system.Get("k"); string(v) != "system" {
			t.Errorf("%s", v)
		}
		if rows, _ := own.List(rooms.ListOptions{}); len(rows) != 1 || rows[0].Key != "k" {
			t.Errorf("own rows: %v", rows)
		}
		rows, _ := system.List(rooms.ListOptions{Reverse: true})
		if len(rows) != 2 || rows[0].Key != "l" || rows[1].Key != "k" {
			t.Errorf("system rows: %v", rows)
		}
		own.DeleteRange("", "")
		if rows, _ := system.List(rooms.ListOptions{Prefix: "k"}); len(rows) != 1 {
			t.Errorf("clearing the author's part left of the system's: %v", rows)
		}
		system.DeleteRange("", "")
		if rows, _ := system.List(rooms.ListOptions{}); len(rows) != 0 {
			t.Errorf("%v", rows)
		}
	}}, roomtest.Options{})
	h.Connect("ann").Send("x")
}

func TestListOptions(t *testing.T) {
	keys := func(r *rooms.Room, o rooms.ListOptions) string {
		rows, more := r.Storage().List(o)
		var out []string
		for _, e := range rows {
			out = append(out, e.Key)
		}
		if more {
			out = append(out, "...")
		}
		return strings.Join(out, " ")
	}
	ran := false
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
		if string(m.Data) == "fill" {
			for _, k := range []string{"a", "a\xff", "b", "ba", "bb", "\xff", "\xff\xff"} {
				r.Storage().Put(k, nil)
			}
			return
		}
		ran = true
		for _, tt := range []struct {
			o    rooms.ListOptions
			want string
		}{
			{rooms.ListOptions{}, "a a\xff b ba bb \xff \xff\xff"},
			{rooms.ListOptions{Limit: -1}, "a a\xff b ba bb \xff \xff\xff"},
			{rooms.ListOptions{Limit: 2}, "a a\xff ..."},
			{rooms.ListOptions{Limit: 2, Reverse: true}, "\xff\xff \xff ..."},
			{rooms.ListOptions{Start: "b", End: "bb"}, "b ba"},
			{rooms.ListOptions{Start: "b", End: "bb", Reverse: true}, "ba b"},
			{rooms.ListOptions{Start: "bb", End: "b"}, ""},
			{rooms.ListOptions{Start: "b", End: "b"}, ""},
			{rooms.ListOptions{Prefix: "a"}, "a a\xff"},
			{rooms.ListOptions{Prefix: "\xff"}, "\xff \xff\xff"},
			{rooms.ListOptions{Prefix: "a\xff"}, "a\xff"},
			{rooms.ListOptions{Prefix: "c"}, ""},
			{rooms.ListOptions{Limit: 7}, "a a\xff b ba bb \xff \xff\xff"},
		} {
			if got := keys(r, tt.o); got != tt.want {
				t.Errorf("%+v: got %q, want %q", tt.o, got, tt.want)
			}
		}
	}}, roomtest.Options{})
	ann := h.Connect("ann")
	ann.Send("fill")
	ann.Send("list")
	if !ran {
		t.Error("did not run")
	}
}

// TestStorageAgainstAMap compares the storage with a plain map over random turns of many
// operations each: reads see the turn's own writes, and the rows end in the store.
func TestStorageAgainstAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	model := map[string][]byte{}
	alphabet := []string{"a", "b", "c", "\x01", "\xff"}
	key := func() string {
		var b strings.Builder
		for range 1 + random.IntN(3) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		return b.String()
	}
	bound := func() string {
		if random.IntN(4) == 0 {
			return ""
		}
		return key()
	}
	in := func(k, start, end string) bool { return k >= start && (end == "" || k < end) }
	check := func(s *rooms.Storage) {
		k := key()
		v, ok := s.Get(k)
		want, wantOK := model[k]
		if ok != wantOK || !bytes.Equal(v, want) {
			t.Fatalf("Get(%q) = %q, %v, want %q, %v", k, v, ok, want, wantOK)
		}
		o := rooms.ListOptions{Start: bound(), End: bound(), Limit: random.IntN(12), Reverse: random.IntN(2) == 0}
		rows, more := s.List(o)
		var keys []string
		for _, k := range slices.Sorted(maps.Keys(model)) {
			if in(k, o.Start, o.End) {
				keys = append(keys, k)
			}
		}
		if o.Reverse {
			slices.Reverse(keys)
		}
		wantMore := o.Limit > 0 && len(keys) > o.Limit
		if wantMore {
			keys = keys[:o.Limit]
		}
		var got []string
		for _, e := range rows {
			got = append(got, e.Key)
			if !bytes.Equal(e.Value, model[e.Key]) {
				t.Fatalf("List: %q has %q", e.Key, e.Value)
			}
		}
		if !slices.Equal(got, keys) || more != wantMore {
			t.Fatalf("List(%+v) = %q, %v, want %q, %v", o, got, more, keys, wantMore)
		}
	}
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, _ rooms.Message) {
		s := r.Storage()
		for n := range random.IntN(30) {
			switch random.IntN(8) {
			case 0:
				k := key()
				s.Delete(k)
				delete(model, k)
			case 1:
				from, to := bound(), bound()
				if to != "" && random.IntN(3) == 0 {
					break
				}
				s.DeleteRange(from, to)
				maps.DeleteFunc(model, func(k string, _ []byte) bool { return in(k, from, to) })
			case 2, 3, 4:
				check(s)
			default:
				k, v := key(), []byte(fmt.Sprint(n))
				s.Put(k, v)
				model[k] = v
			}
		}
	}}, roomtest.Options{Volatile: true})
	ann := h.Connect("ann")
	h.Storage().PageRows = 3 // pages break in the middle of everything
	for range 3000 {
		ann.Send("x")
		if rows := h.Storage().Rows(); !maps.EqualFunc(rows, model, bytes.Equal) {
			t.Fatalf("stored %q, want %q", rows, model)
		}
	}
}

// A list of more than a thousand rows, with the turn's own among them, comes in pages.
func TestListOfManyRows(t *testing.T) {
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
		s := r.Storage()
		if string(m.Data) == "fill" {
			for i := range 2500 {
				s.Put(fmt.Sprintf("%04d", i), nil)
			}
			return
		}
		s.DeleteRange("0000", "1200")
		s.Put("0500", nil)
		rows, more := s.List(rooms.ListOptions{})
		if len(rows) != 1000 || !more || rows[0].Key != "0500" || rows[1].Key != "1200" || rows[999].Key != "2198" {
			t.Errorf("%d rows, more %v", len(rows), more)
		}
		last := rows[len(rows)-1].Key
		rows, more = s.List(rooms.ListOptions{Start: last + "\x00"})
		if len(rows) != 301 || more || rows[300].Key != "2499" {
			t.Errorf("%d rows, more %v", len(rows), more)
		}
	}}, roomtest.Options{})
	ann := h.Connect("ann")
	ann.Send("fill")
	ann.Send("list")
}

// The last row of a page may have the longest key there is.
func TestListBehindTheLongestKey(t *testing.T) {
	long := strings.Repeat("k", 1024)
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
		s := r.Storage()
		if string(m.Data) == "fill" {
			s.Put(long, nil)
			s.Put("z", nil)
			return
		}
		if rows, more := s.List(rooms.ListOptions{}); len(rows) != 2 || more {
			t.Errorf("%d rows, more %v", len(rows), more)
		}
		s.DeleteRange(long+"\x00", "")
		if rows, _ := s.List(rooms.ListOptions{}); len(rows) != 1 {
			t.Errorf("%d rows", len(rows))
		}
	}}, roomtest.Options{})
	h.Storage().PageRows = 1
	ann := h.Connect("ann")
	ann.Send("fill")
	ann.Send("list")
}

func TestStorageReadFails(t *testing.T) {
	h := open(t, &funcs{message: func(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
		switch string(m.Data) {
		case "get":
			r.Storage().Get("k")
		case "list":
			r.Storage().List(rooms.ListOptions{})
		}
		c.Send(m)
	}}, roomtest.Options{AllowTraps: true, Volatile: true})
	ann := h.Connect("ann")
	h.Storage().FailReads = true
	ann.Send("get")
	ann.Send("list")
	ann.Send("hi")
	if got := ann.Texts(); !slices.Equal(got, []string{"hi"}) {
		t.Errorf("got %q", got)
	}
	h.Storage().FailReads = false
	ann.Send("get")
	if got := ann.Texts(); !slices.Equal(got, []string{"get"}) {
		t.Errorf("got %q", got)
	}
}
