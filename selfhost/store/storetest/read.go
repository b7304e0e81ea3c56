package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

func testReadLimits(t *testing.T, e Engine) {
	s := openStore(t, e, Options{})
	r := Open(t, s, roomA)
	long := make([]byte, abi.MaxBound+1)
	for _, q := range []abi.ListRequest{{Limit: 0}, {Limit: abi.MaxListEntries + 1}, {Limit: 1, Start: long}, {Limit: 1, End: long}} {
		if _, err := r.List(ctx, q); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("list %d: %v", q.Limit, err)
		}
	}
	if _, _, err := r.Get(ctx, long[:abi.MaxKey+1]); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("get: %v", err)
	}
	if _, ok, err := r.Get(ctx, long[:abi.MaxKey]); ok || err != nil {
		t.Errorf("get: %v", err)
	}
	for _, n := range []int{0, store.MaxOutboxRead + 1} {
		if _, _, err := r.Outbox(ctx, 0, n); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("outbox of %d: %v", n, err)
		}
	}
	for _, id := range []store.RoomID{{}, {Kind: "k"}, {Kind: "k", Name: "a/b"}, {Kind: "k", Name: strings.Repeat("n", abi.MaxName+1)}} {
		if _, err := s.Open(ctx, id); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("open %q: %v", id, err)
		}
	}
	longest := store.RoomID{Kind: strings.Repeat("k", abi.MaxName), Name: strings.Repeat("n", abi.MaxName)}
	if err := Wait(Open(t, s, longest), store.Commit{Number: 1, Writes: []store.Write{Put("a", "b")}}); err != nil {
		t.Error(err)
	}
}

func testList(t *testing.T, e Engine) {
	// The same rows are listed as durable, as pending, and half and half.
	for _, pendingFrom := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprint(pendingFrom), func(t *testing.T) {
			var hold Gate
			s := openStore(t, e, Options{Fault: hold.Fault})
			r := Open(t, s, roomA)
			commits := [][]store.Write{
				{Put("a", "0"), Put("b", "0"), Put("c", "0"), Put("d", "0"), Put("x", "0")},
				{DeleteRange("b", "d"), Put("c", "1"), Put("e", "1")},
				{Put("b", "2"), Delete("a"), DeleteRange("x", "")},
			}
			for i, w := range commits {
				c := store.Commit{Number: uint64(i + 1), Writes: w}
				if i >= pendingFrom {
					hold.Close()
					r.Commit(c, func(error) {})
					continue
				}
				if err := Wait(r, c); err != nil {
					t.Fatal(err)
				}
			}
			defer hold.Open()
			for _, tc := range []struct {
				q    abi.ListRequest
				want string
				more bool
			}{
				{abi.ListRequest{Limit: 10}, "b=2 c=1 d=0 e=1", false},
				{abi.ListRequest{Limit: 4}, "b=2 c=1 d=0 e=1", false},
				{abi.ListRequest{Limit: 3}, "b=2 c=1 d=0", true},
				{abi.ListRequest{Limit: 3, Reverse: true}, "e=1 d=0 c=1", true},
				{abi.ListRequest{Limit: 4, Reverse: true}, "e=1 d=0 c=1 b=2", false},
				{abi.ListRequest{Limit: 10, Start: []byte("c")}, "c=1 d=0 e=1", false},
				{abi.ListRequest{Limit: 10, Start: []byte("c"), End: []byte("e")}, "c=1 d=0", false},
				{abi.ListRequest{Limit: 1, Start: []byte("c"), End: []byte("e"), Reverse: true}, "d=0", true},
				{abi.ListRequest{Limit: 10, Start: []byte("c"), End: []byte("c")}, "", false},
				{abi.ListRequest{Limit: 10, Start: []byte("d"), End: []byte("c")}, "", false},
			} {
				rows, more := List(t, r, tc.q)
				if got := strings.Join(rows, " "); got != tc.want || more != tc.more {
					t.Errorf("%+v: %q %v, want %q %v", tc.q, got, more, tc.want, tc.more)
				}
			}
		})
	}
}

func testListBytes(t *testing.T, e Engine) {
	s := openStore(t, e, Options{})
	r := Open(t, s, roomA)
	// Two rows fill the answer exactly, the third is one byte too many.
	half := abi.MaxListBytes/4 - 1
	var w []store.Write
	for i := range 5 {
		w = append(w, Put(string(rune('a'+i)), string(make([]byte, half))))
	}
	if err := Wait(r, store.Commit{Number: 1, Writes: w}); err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		res, err := r.List(ctx, abi.ListRequest{Limit: 10, Reverse: reverse})
		if err != nil || len(res.Entries) != 4 || !res.More {
			t.Errorf("%d rows, more %v, %v", len(res.Entries), res.More, err)
		}
	}
}

// Names that begin with each other, and bytes 0x00 and 0xff, stay apart.
func testRoomsAreApart(t *testing.T, e Engine) {
	s := openStore(t, e, Options{})
	ids := []store.RoomID{{Kind: "a", Name: "b"}, {Kind: "a", Name: "bc"}, {Kind: "ab", Name: "c"}, {Kind: "a", Name: "b-"}, {Kind: "a", Name: "a"}}
	rooms := map[store.RoomID]store.Room{}
	for _, id := range ids {
		rooms[id] = Open(t, s, id)
		w := []store.Write{Put("\x00", id.String()), Put("\xff\xff", id.String())}
		if err := Wait(rooms[id], store.Commit{Number: 1, Writes: w, Outbox: [][]byte{{1}}, Alarm: &store.Alarm{Scheduled: 1, Due: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	first := rooms[ids[0]]
	if err := Wait(first, store.Commit{Number: 2, Writes: []store.Write{DeleteRange("", "")}, Alarm: &store.Alarm{}, OutboxDone: []uint64{store.OutboxID(1, 0)}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		want := []string{"\x00=" + id.String(), "\xff\xff=" + id.String()}
		if id == ids[0] {
			want = nil
		}
		if got := All(t, rooms[id]); !slices.Equal(got, want) {
			t.Errorf("%s: %q", id, got)
		}
	}
	index, ok := s.(store.Index)
	if !ok {
		return
	}
	var due, boxes []string
	for a, err := range index.Alarms(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		due = append(due, a.Room.String())
	}
	for id, err := range index.Outboxes(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		boxes = append(boxes, id.String())
	}
	want := []string{"a/a", "a/b-", "a/bc", "ab/c"}
	slices.Sort(due)
	slices.Sort(boxes)
	if !slices.Equal(due, want) || !slices.Equal(boxes, want) {
		t.Errorf("alarms %q, outboxes %q, want %q", due, boxes, want)
	}
}

func testOutbox(t *testing.T, e Engine) {
	var hold Gate
	s := openStore(t, e, Options{Fault: hold.Fault})
	r := Open(t, s, roomA)
	if err := Wait(r, store.Commit{Number: 1, Outbox: [][]byte{[]byte("a"), []byte("b"), []byte("c")}}); err != nil {
		t.Fatal(err)
	}
	hold.Close()
	answered := make(chan error, 1)
	r.Commit(store.Commit{Number: 2, Outbox: [][]byte{[]byte("d")}}, func(err error) { answered <- err })
	read := func(after uint64, limit int) (s string) {
		t.Helper()
		rows, more, err := r.Outbox(ctx, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			s += string(row.Data)
		}
		if more {
			s += "+"
		}
		return s
	}
	for _, tc := range []struct {
		after uint64
		limit int
		want  string
	}{
		{0, 2, "ab+"}, {0, 3, "abc"}, {0, 9, "abc"}, {store.OutboxID(1, 0), 9, "bc"},
		{store.OutboxID(1, 1), 1, "c"}, {store.OutboxID(1, 2), 1, ""}, {1<<64 - 1, 1, ""},
	} {
		if got := read(tc.after, tc.limit); got != tc.want {
			t.Errorf("after %d, %d rows: %q, want %q", tc.after, tc.limit, got, tc.want)
		}
	}
	hold.Open()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if got := read(0, 9); got != "abcd" {
		t.Errorf("%q", got)
	}
}

func testReturnedValuesAreCopies(t *testing.T, e Engine) {
	s := openStore(t, e, Options{})
	r := Open(t, s, roomA)
	v := []byte("value")
	if err := Wait(r, store.Commit{Number: 1, Writes: []store.Write{{Op: store.Put, Key: []byte("k"), Value: v}}, Host: v}); err != nil {
		t.Fatal(err)
	}
	spoil := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	spoil(v)
	for range 2 {
		a, _, _ := r.Get(ctx, []byte("k"))
		spoil(a)
		b, _, hit := r.GetCached([]byte("k"))
		if !hit {
			t.Fatal("a row just written is not in memory")
		}
		spoil(b)
		res, _ := r.List(ctx, abi.ListRequest{Limit: 1})
		if !bytes.Equal(res.Entries[0].Value, []byte("value")) {
			t.Fatalf("row is %q", res.Entries[0].Value)
		}
		spoil(res.Entries[0].Value)
		spoil(r.State().Host)
	}
	if st, err := r.Reset(ctx); err != nil || string(st.Host) != "value" {
		t.Errorf("host %q %v", st.Host, err)
	}
}

// Lists that take more than one reading of the engine: many rows hidden by what is pending, pages
// cut by bytes, and the rest of a list behind its first part.
func testLongLists(t *testing.T, e Engine) {
	for _, cache := range []int64{0, -1} {
		t.Run(fmt.Sprint(cache), func(t *testing.T) {
			var hold Gate
			s := openStore(t, e, Options{Fault: hold.Fault, CacheBytes: cache})
			r := Open(t, s, roomA)
			const n = 2500
			key := func(i int) string { return fmt.Sprintf("%05d", i) }
			for from, number := 0, uint64(1); from < n; from, number = from+500, number+1 {
				var w []store.Write
				for i := from; i < from+500; i++ {
					w = append(w, Put(key(i), strings.Repeat("v", i%7*1000)))
				}
				if err := Wait(r, store.Commit{Number: number, Writes: w}); err != nil {
					t.Fatal(err)
				}
			}
			hold.Close()
			defer hold.Open()
			r.Commit(store.Commit{Number: 6, Writes: []store.Write{DeleteRange(key(3), key(2400)), Put(key(1200), "new")}}, func(error) {})
			want := []string{key(0), key(1), key(2), key(1200)}
			for i := 2400; i < n; i++ {
				want = append(want, key(i))
			}
			for _, limit := range []int{1, 7, abi.MaxListEntries} {
				for _, reverse := range []bool{false, true} {
					q := abi.ListRequest{Limit: limit, Reverse: reverse}
					var got []string
					for {
						res, err := r.List(ctx, q)
						if err != nil {
							t.Fatal(err)
						}
						for _, entry := range res.Entries {
							got = append(got, string(entry.Key))
						}
						if !res.More {
							break
						}
						if last := res.Entries[len(res.Entries)-1].Key; reverse {
							q.End = last
						} else {
							q.Start = append(last, 0)
						}
					}
					if reverse {
						slices.Reverse(got)
					}
					if !slices.Equal(got, want) {
						t.Errorf("limit %d, reverse %v: %d rows, want %d", limit, reverse, len(got), len(want))
					}
				}
			}
		})
	}
}
