package redis

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

// A publish is one command, whether it is alone or one of many; a turn that changes nothing is none; a
// small room wakes with one, and its reads take none.
func TestCommandsPerCommit(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := openStore(t, c, Options{ClaimTime: never})
	publish := func(n uint64) store.Commit {
		return store.Commit{Number: n, Time: n, Writes: []store.Write{
			put(fmt.Sprintf("\x00history%06d", n), "a message"), put("\x00session", fmt.Sprint(n)), storetest.DeleteRange("\x00history", fmt.Sprintf("\x00history%06d", max(n, 100)-100)),
		}}
	}
	rooms := make([]*room, 20)
	for i := range rooms {
		rooms[i] = open1(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		if err := wait(rooms[i], publish(1)); err != nil {
			t.Fatal(err)
		}
	}
	step := func(want int, what string, f func()) {
		t.Helper()
		redistest.ResetCalls(t, c)
		f()
		if n := evals(redistest.Calls(t, c)); n != want {
			t.Errorf("%s: %d commands, want %d", what, n, want)
		}
	}
	const each = 50
	step(len(rooms)*each, "publishes of many rooms", func() {
		var wg sync.WaitGroup
		for _, r := range rooms {
			for n := uint64(2); n < 2+each; n++ {
				wg.Add(1)
				r.Commit(publish(n), func(err error) {
					if err != nil {
						t.Error(err)
					}
					wg.Done()
				})
			}
		}
		wg.Wait()
	})
	step(each, "one after the other", func() {
		for n := uint64(2 + each); n < 2+2*each; n++ {
			if err := wait(rooms[0], publish(n)); err != nil {
				t.Fatal(err)
			}
		}
	})
	step(0, "turns that change nothing", func() {
		for range 10 {
			if err := wait(rooms[1], store.Commit{}); err != nil {
				t.Fatal(err)
			}
		}
	})
	corrected := func() bool { return evals(redistest.Calls(t, c)) >= 2 }
	if err := rooms[2].Close(); err != nil { // now Redis knows all scripts
		t.Fatal(err)
	}
	redistest.Await(t, "the first correction is sent", func() bool { return redistest.Calls(t, c)["zrem"] == 1 })
	step(2, "a room that goes to sleep", func() {
		if err := rooms[1].Close(); err != nil {
			t.Fatal(err)
		}
		redistest.Await(t, "its entry in the index is corrected", corrected)
	})
	misses := s.Stats().CacheMisses
	step(1, "a room that wakes", func() {
		r := open1(t, s, rooms[1].id)
		if got := storetest.Get(t, r, "\x00session"); got != fmt.Sprint(1+each) {
			t.Errorf("session %q", got)
		}
		if _, ok, hit := r.GetCached([]byte("nothing")); ok || !hit {
			t.Error("what is not there is not known")
		}
		res, err := r.List(ctx, abi.ListRequest{Start: []byte("\x00history"), Limit: 50, Reverse: true})
		if err != nil || len(res.Entries) != 50 {
			t.Errorf("%d rows, %v", len(res.Entries), err)
		}
	})
	if n := s.Stats().CacheMisses; n != misses {
		t.Errorf("%d rows were read one by one", n-misses)
	}
	if g := s.Stats(); g.Groups >= g.Commits || g.GroupMax < 2 {
		t.Errorf("no two commits shared a pipeline: %+v", g)
	}
}

// evals counts what the store sends, and not what scripts run.
func evals(calls map[string]int) int { return calls["evalsha"] + calls["eval"] }

// A room is opened in one exchange, and taken from a dead owner in two, and the question for its lease.
func TestOpenExchanges(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	a := openStore(t, c, Options{Node: "a", ClaimTime: never})
	b := openStore(t, c, Options{Node: "b", ClaimTime: never})
	open1(t, a, store.RoomID{Kind: "k", Name: "warm"})
	open1(t, b, store.RoomID{Kind: "k", Name: "hot"})
	for _, tt := range []struct {
		s    *Store
		want int
	}{{a, 1}, {b, 2}} {
		redistest.ResetCalls(t, c)
		open1(t, tt.s, roomA)
		if n := evals(redistest.Calls(t, c)); n != tt.want {
			t.Errorf("%d exchanges, want %d", n, tt.want)
		}
	}
}

// Rooms up to 256 rows and 64 KiB are loaded as a whole, larger ones row by row.
func TestWholeRooms(t *testing.T) {
	s := onShared(t, Options{})
	for name, tt := range map[string]struct {
		rows, bytes int // of each value
		whole       bool
	}{
		"empty":            {0, 0, true},
		"at the limit":     {maxWhole, 8, true},
		"one too many":     {maxWhole + 1, 8, false},
		"just not too big": {64, 1024 - 4, true},
		"one byte too big": {64, 1024 - 3, false},
		"one row":          {1, 1 << 20, false},
	} {
		id := store.RoomID{Kind: "k", Name: strings.ReplaceAll(name, " ", "-")}
		r := open1(t, s, id)
		var w []store.Write
		for i := range tt.rows {
			w = append(w, put(fmt.Sprintf("%04d", i), strings.Repeat("v", tt.bytes)))
		}
		if w != nil {
			if err := wait(r, store.Commit{Number: 1, Writes: w}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = open1(t, s, id)
		if _, _, whole := r.GetCached([]byte("none")); whole != tt.whole {
			t.Errorf("%s: whole is %v", name, whole)
		}
		for i := range tt.rows {
			if got := storetest.Get(t, r, fmt.Sprintf("%04d", i)); len(got) != tt.bytes {
				t.Errorf("%s: row %d of %d bytes", name, i, len(got))
			}
		}
	}
}

// In a Redis Cluster every script and pipeline stays within slots that are one node's or apart.
func TestCluster(t *testing.T) {
	server := redistest.StartCluster(t, redistest.Durable...)
	c := redistest.Client(t, redis.Options{URLs: []string{server.URL()}, Cluster: true, Timeout: 500 * time.Millisecond})
	prefix := unique("p")
	a := openStore(t, c, Options{Prefix: prefix, Node: "a", ClaimTime: 200 * time.Millisecond})
	var rec storetest.Recorder
	rooms := make([]*room, 30)
	for i := range rooms {
		rooms[i] = open1(t, a, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		for n := uint64(1); n < 4; n++ {
			rooms[i].Commit(store.Commit{Number: n, Time: n, Writes: []store.Write{put("k", fmt.Sprint(n)), storetest.DeleteRange("x", ""), storetest.Delete("y")}, Alarm: alarm(n), Host: []byte{1}, Outbox: [][]byte{{1}}, OutboxDone: []uint64{store.OutboxID(max(n, 2)-1, 0)}}, rec.Done("x"))
		}
	}
	if got := rec.Wait(); got != strings.TrimSpace(strings.Repeat("x:ok ", 3*len(rooms))) {
		t.Fatal(got)
	}
	ids := map[store.RoomID]bool{}
	redistest.Await(t, "all are claimed", func() bool {
		got, err := a.Claim(ctx, store.MaxClaim)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range got {
			ids[id] = true
		}
		return len(ids) == len(rooms)
	})
	// It comes back after a crash, at another node.
	server.Kill()
	rooms[0].Commit(store.Commit{Number: 4, Writes: []store.Write{put("k", "4")}}, rec.Done("4"))
	redistest.Await(t, "it is away", a.Away)
	server.Restart(t)
	if got := rec.Wait(); !strings.HasSuffix(got, "4:ok") {
		t.Fatal(got)
	}
	b := openStore(t, c, Options{Prefix: prefix, Node: "b", CacheBytes: -1})
	r := open1(t, b, rooms[0].id)
	if got := storetest.All(t, r); len(got) != 1 || got[0] != "k=4" {
		t.Errorf("rows %q", got)
	}
	if box, _, err := r.Outbox(ctx, 0, 9); err != nil || len(box) != 1 {
		t.Errorf("outbox %v %v", box, err)
	}
	if st, err := r.Reset(ctx); err != nil || st.Number != 4 {
		t.Errorf("%+v %v", st, err)
	}
	if err := r.Release(ctx, true); err != nil {
		t.Error(err)
	}
}
