package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

// A replica that lacks the newest turns takes its master's place. The owner is told, by ErrFenced, at its
// next commit, and goes on under another term: no number is given twice under one.
func TestLaggingReplica(t *testing.T) {
	master := redistest.Start(t)
	stream := redistest.NewProxy(t, master.Addr)
	replica := redistest.StartReplica(t, stream.Addr)
	rc := replica.Client(t)
	// The proxy is the name that a fail-over gives to another server.
	proxy := redistest.NewProxy(t, master.Addr)
	s := openStore(t, redistest.Client(t, proxyOptions(proxy)), Options{})

	r := open1(t, s, roomA)
	idle := open1(t, s, store.RoomID{Kind: "k", Name: "idle"})
	key := r.keys[0]
	commit := func(n uint64, v string) {
		t.Helper()
		if err := wait(r, store.Commit{Number: n, Writes: []store.Write{put("k", v)}}); err != nil {
			t.Fatal(err)
		}
	}
	commit(1, "1")
	commit(2, "2")
	redistest.Await(t, "the replica has it", func() bool { return rc.HGet(ctx, key, "n").Val() == "2" })
	// From here on the replica lags.
	stream.HoldAnswers(true)
	commit(3, "3")
	commit(4, "4")
	lost := open1(t, s, store.RoomID{Kind: "k", Name: "lost"})
	if err := wait(lost, store.Commit{Number: 1, Host: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	master.Kill()
	if err := rc.Do(ctx, "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if n := rc.HGet(ctx, key, "n").Val(); n != "2" {
		t.Fatalf("the replica does not lag: it is at %s", n)
	}
	proxy.To(replica.Addr)

	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 5, Writes: []store.Write{put("k", "5")}}, rec.Done("5"))
	r.Commit(store.Commit{Number: 6, Writes: []store.Write{put("k", "6")}}, rec.Done("6"))
	lost.Commit(store.Commit{Number: 2, Host: []byte{2}}, func(err error) {
		// Not even the claim of this one is known to the replica.
		if !errors.Is(err, store.ErrFenced) {
			t.Errorf("the room that was lost: %v", err)
		}
		rec.Done("lost")(nil)
	})
	redistest.Await(t, "they are answered", func() bool { return rec.Len() == 3 })
	if got := rec.Wait(); !strings.Contains(got, "5:fenced") || !strings.Contains(got, "6:fenced") {
		t.Error(got)
	}
	// A room that lost nothing goes on.
	if err := wait(idle, store.Commit{Number: 1, Host: []byte{1}}); err != nil {
		t.Errorf("the room that lost nothing: %v", err)
	}
	if _, err := r.Reset(ctx); !errors.Is(err, store.ErrFenced) {
		t.Errorf("reset: %v", err)
	}
	term := r.State().Term
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again := open1(t, s, roomA)
	if st := again.State(); st.Term == term || st.Number != 2 || st.Left != store.LeftEmpty {
		t.Errorf("%+v", st)
	}
	if got := storetest.Get(t, again, "k"); got != "2" {
		t.Errorf("row %q", got)
	}
	if err := wait(again, store.Commit{Number: 3, Writes: []store.Write{put("k", "3b")}}); err != nil {
		t.Error(err)
	}
	if err := wait(r, store.Commit{Number: 3, Writes: []store.Write{put("k", "3c")}}); err == nil {
		t.Error("the old term writes")
	}
}

// A Redis that was emptied is one that lost everything.
func TestEmptiedRedis(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, server.Client(t), Options{})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("k", "1")}}); err != nil {
		t.Fatal(err)
	}
	if err := server.Client(t).FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if err := wait(r, store.Commit{Number: 2, Writes: []store.Write{put("k", "2")}}); !errors.Is(err, store.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again := open1(t, s, roomA)
	if st := again.State(); st.Number != 0 || st.Term == r.State().Term || storetest.Get(t, again, "k") != "-" {
		t.Errorf("%+v", st)
	}
}

// A Sentinel puts a replica that has everything in the place of its master: what is committed waits, and
// goes on under the same token.
func TestSentinel(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master.Addr)
	sentinel := redistest.StartSentinel(t, "main", master.Addr)
	watch := sentinel.Client(t)
	redistest.Await(t, "the Sentinel knows the replica", func() bool {
		text, err := watch.Info(ctx, "sentinel").Result()
		return err == nil && strings.Contains(text, "slaves=1")
	})
	s := openStore(t, redistest.Client(t, redis.Options{URLs: []string{sentinel.URL()}, Master: "main", Timeout: 300 * time.Millisecond}), Options{})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("k", "1")}}); err != nil {
		t.Fatal(err)
	}
	rc := replica.Client(t)
	redistest.Await(t, "the replica has it", func() bool { return rc.HGet(ctx, r.keys[0], "n").Val() == "1" })
	master.Kill()
	var rec storetest.Recorder
	for n := uint64(2); n < 5; n++ {
		r.Commit(store.Commit{Number: n, Writes: []store.Write{put("k", fmt.Sprint(n))}}, rec.Done(fmt.Sprint(n)))
	}
	redistest.Await(t, "Redis is away", s.Away)
	if got := rec.Wait(); got != "2:ok 3:ok 4:ok" {
		t.Error(got)
	}
	if got := rc.HGet(ctx, r.keys[0], "n").Val(); got != "4" {
		t.Errorf("the new master is at %s", got)
	}
}
