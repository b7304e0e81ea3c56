package pebble

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

func TestReadLimits(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
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
	if err := wait(openRoom(t, s, longest), store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}}); err != nil {
		t.Error(err)
	}
}

func TestList(t *testing.T) {
	// The same rows are listed as durable, as pending, and half and half.
	for _, pendingFrom := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprint(pendingFrom), func(t *testing.T) {
			var hold gate
			s := memory(t, Options{Fault: hold.fault})
			r := openRoom(t, s, roomA)
			commits := [][]store.Write{
				{put("a", "0"), put("b", "0"), put("c", "0"), put("d", "0"), put("x", "0")},
				{delRange("b", "d"), put("c", "1"), put("e", "1")},
				{put("b", "2"), del("a"), delRange("x", "")},
			}
			for i, w := range commits {
				c := store.Commit{Number: uint64(i + 1), Writes: w}
				if i >= pendingFrom {
					hold.close()
					r.Commit(c, func(error) {})
					continue
				}
				if err := wait(r, c); err != nil {
					t.Fatal(err)
				}
			}
			defer hold.open()
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
				rows, more := list(t, r, tc.q)
				if got := strings.Join(rows, " "); got != tc.want || more != tc.more {
					t.Errorf("%+v: %q %v, want %q %v", tc.q, got, more, tc.want, tc.more)
				}
			}
		})
	}
}

func TestListBytes(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	// Two rows fill the answer exactly, the third is one byte too many.
	half := abi.MaxListBytes/4 - 1
	var w []store.Write
	for i := range 5 {
		w = append(w, put(string(rune('a'+i)), string(make([]byte, half))))
	}
	if err := wait(r, store.Commit{Number: 1, Writes: w}); err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		res, err := r.List(ctx, abi.ListRequest{Limit: 10, Reverse: reverse})
		if err != nil || len(res.Entries) != 4 || !res.More {
			t.Errorf("%d rows, more %v, %v", len(res.Entries), res.More, err)
		}
	}
}

func TestRoomsAreApart(t *testing.T) {
	s := memory(t, Options{})
	ids := []store.RoomID{{Kind: "a", Name: "b"}, {Kind: "a", Name: "bc"}, {Kind: "ab", Name: "c"}, {Kind: "a", Name: "b-"}, {Kind: "a", Name: "a"}}
	rooms := map[store.RoomID]*room{}
	for _, id := range ids {
		rooms[id] = openRoom(t, s, id)
		w := []store.Write{put("\x00", id.String()), put("\xff\xff", id.String())}
		if err := wait(rooms[id], store.Commit{Number: 1, Writes: w, Outbox: [][]byte{{1}}, Alarm: &store.Alarm{Scheduled: 1, Due: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	first := rooms[ids[0]]
	if err := wait(first, store.Commit{Number: 2, Writes: []store.Write{delRange("", "")}, Alarm: &store.Alarm{}, OutboxDone: []uint64{store.OutboxID(1, 0)}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		want := []string{"\x00=" + id.String(), "\xff\xff=" + id.String()}
		if id == ids[0] {
			want = nil
		}
		if got := all(t, rooms[id]); !slices.Equal(got, want) {
			t.Errorf("%s: %q", id, got)
		}
	}
	var due, boxes []string
	for a, err := range s.Alarms(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		due = append(due, a.Room.String())
	}
	for id, err := range s.Outboxes(ctx) {
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

func TestAlarms(t *testing.T) {
	s := memory(t, Options{})
	const n = indexPage*2 + 3
	for i := range n {
		r := openRoom(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		a := store.Alarm{Scheduled: 1, Due: uint64(n - i)}
		if err := wait(r, store.Commit{Number: 1, Alarm: &store.Alarm{Scheduled: 99, Due: 99}}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 7 {
			a.Due = 0 // parked
		}
		if err := wait(r, store.Commit{Number: 2, Alarm: &a}); err != nil {
			t.Fatal(err)
		}
		if st, err := r.Reset(ctx); err != nil || st.Alarm != a {
			t.Fatalf("%+v %v", st, err)
		}
	}
	for _, until := range []uint64{0, 1, 100, n, 1<<64 - 1} {
		var got []uint64
		for a, err := range s.Alarms(ctx, until) {
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(n - a.Due); a.Room.Name != want {
				t.Fatalf("due %d is room %s", a.Due, a.Room)
			}
			got = append(got, a.Due)
		}
		want := []uint64{}
		for d := uint64(1); d <= min(until, n); d++ {
			if (n-d)%100 != 7 {
				want = append(want, d)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("until %d: %d alarms, want %d", until, len(got), len(want))
		}
	}
	for range s.Alarms(ctx, n) {
		break // a caller may end early
	}
}

func TestOutbox(t *testing.T) {
	var hold gate
	s := memory(t, Options{Fault: hold.fault})
	r := openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Outbox: [][]byte{[]byte("a"), []byte("b"), []byte("c")}}); err != nil {
		t.Fatal(err)
	}
	hold.close()
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
	hold.open()
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if got := read(0, 9); got != "abcd" {
		t.Errorf("%q", got)
	}
}

func TestReturnedValuesAreCopies(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	v := []byte("value")
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{{Op: store.Put, Key: []byte("k"), Value: v}}, Host: v}); err != nil {
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
