package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

// Answers are thrown away after the scripts ran, over and over: every commit is applied once and
// answered with nil once, in order.
func TestLostAnswers(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	c := redistest.Client(t, proxyOptions(proxy))
	s := openStore(t, c, Options{})
	const rooms, commits = 6, 60
	stop := make(chan struct{})
	var breaking sync.WaitGroup
	breaking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			dropped := proxy.Dropped()
			proxy.DropAnswers(true)
			proxy.AwaitDropped(dropped + 1)
			proxy.DropAnswers(false)
			proxy.Cut()
			// At least one whole exchange passes before the next.
			if err := server.Client(t).Ping(ctx).Err(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		}
	})
	var wg sync.WaitGroup
	for i := range rooms {
		wg.Go(func() {
			var r store.Room
			for r == nil { // its claim may take long
				r, _ = s.Open(ctx, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
			}
			var answers sync.WaitGroup
			last := uint64(0)
			for n := uint64(1); n <= commits; n++ {
				answers.Add(1)
				// What is applied twice would add two rows to the outbox, or count twice.
				r.Commit(store.Commit{Number: n, Writes: []store.Write{put(fmt.Sprintf("%04d", n), fmt.Sprint(n)), storetest.DeleteRange("", fmt.Sprintf("%04d", max(n, 10)-10))}, Outbox: [][]byte{{byte(n)}}}, func(err error) {
					defer answers.Done()
					if err != nil || last != n-1 {
						t.Errorf("room %d: commit %d after %d: %v", i, n, last, err)
					}
					last = n
				})
				if n%7 == 0 {
					answers.Wait()
				}
				if n == commits/2 { // a quick machine would be done before much is lost
					redistest.Await(t, "answers are lost", func() bool {
						_ = c.Ping(ctx) // an answer to drop
						return proxy.Dropped() >= 5
					})
				}
			}
			answers.Wait()
		})
	}
	wg.Wait()
	close(stop)
	done := make(chan struct{})
	go func() { defer close(done); breaking.Wait() }()
	redistest.Await(t, "nobody breaks any more", func() bool {
		_ = c.Ping(ctx) // an answer to drop
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	if proxy.Dropped() < 5 {
		t.Errorf("only %d answers were dropped", proxy.Dropped())
	}
	check := openStore(t, server.Client(t), Options{Prefix: s.opts.Prefix})
	for i := range rooms {
		r := open1(t, check, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		if n := r.State().Number; n != commits {
			t.Errorf("room %d is at %d", i, n)
		}
		var want []string
		for n := commits - 10; n <= commits; n++ {
			want = append(want, fmt.Sprintf("%04d=%d", n, n))
		}
		if got := storetest.All(t, r); !slices.Equal(got, want) {
			t.Errorf("room %d: %q", i, got)
		}
		box, more, err := r.Outbox(ctx, 0, store.MaxOutboxRead)
		if err != nil || more || len(box) != commits {
			t.Errorf("room %d: outbox of %d rows, %v", i, len(box), err)
		}
	}
}

// kill -9 of a Redis that keeps everything, under load: nothing that was acknowledged is lost, the
// store goes on by itself, and every commit is applied once.
func TestKillRedis(t *testing.T) {
	server := redistest.Start(t, redistest.Durable...)
	c := redistest.Client(t, redis.Options{URLs: []string{server.URL()}, Timeout: time.Second})
	s := openStore(t, c, Options{})
	const rooms = 8
	kills := 4
	if testing.Short() {
		kills = 2
	}
	var acked [rooms]atomic.Uint64
	var total atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range rooms {
		r := open1(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		wg.Go(func() {
			open := make(chan struct{}, 5)
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					for range cap(open) {
						open <- struct{}{}
					}
					return
				case open <- struct{}{}:
				}
				r.Commit(store.Commit{Number: n, Time: n, Writes: []store.Write{put("last", fmt.Sprint(n))}, Outbox: [][]byte{fmt.Append(nil, n)}, OutboxDone: []uint64{store.OutboxID(max(n, 3)-3, 0)}}, func(err error) {
					if err != nil || !acked[i].CompareAndSwap(n-1, n) {
						t.Errorf("room %d: commit %d: %v", i, n, err)
					}
					total.Add(1)
					<-open
				})
			}
		})
	}
	for range kills {
		from := total.Load()
		redistest.Await(t, "commits are answered", func() bool { return total.Load() > from+100 })
		server.Kill()
		var before [rooms]uint64
		for i := range acked {
			before[i] = acked[i].Load()
		}
		redistest.Await(t, "the store is away", s.Away)
		server.Restart(t)
		direct := server.Client(t)
		for i, n := range before {
			// What runs meanwhile only adds to it.
			got, err := direct.HGet(ctx, roomKeys(s.opts.Prefix, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})[0], "n").Uint64()
			if err != nil || got < n {
				t.Errorf("room %d is at %d, and %d was acknowledged (%v)", i, got, n, err)
			}
		}
		redistest.Await(t, "the store is back", func() bool { return !s.Away() })
	}
	close(stop)
	wg.Wait()
	check := openStore(t, server.Client(t), Options{Prefix: s.opts.Prefix})
	for i := range rooms {
		r := open1(t, check, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		n := acked[i].Load()
		if st := r.State(); st.Number != n || st.Time != n || storetest.Get(t, r, "last") != fmt.Sprint(n) {
			t.Errorf("room %d: %+v, %d was acknowledged", i, st, n)
		}
		box, _, err := r.Outbox(ctx, 0, 99)
		if err != nil || len(box) != 3 || box[2].ID != store.OutboxID(n, 0) {
			t.Errorf("room %d: outbox %v %v", i, box, err)
		}
	}
}

// A Redis that stands still is away; what is committed waits, what is read fails after a while, what
// is in memory is there.
func TestPausedRedis(t *testing.T) {
	server := redistest.Start(t)
	c := redistest.Client(t, redis.Options{URLs: []string{server.URL()}, Timeout: 100 * time.Millisecond})
	s := openStore(t, c, Options{ReadTime: 300 * time.Millisecond})
	r := open1(t, s, roomA)
	big := make([]store.Write, maxWhole+1) // more than is loaded as a whole
	for i := range big {
		big[i] = put(fmt.Sprintf("%04d", i), "v")
	}
	if err := wait(r, store.Commit{Number: 1, Writes: big}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open1(t, s, roomA)
	server.Pause(t)
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 2, Writes: []store.Write{put("k", "2")}}, rec.Done("2"))
	redistest.Await(t, "Redis is away", s.Away)
	r.Commit(store.Commit{Number: 3, Writes: []store.Write{put("k", "3")}}, rec.Done("3"))
	if v, ok, hit := r.GetCached([]byte("k")); string(v) != "3" || !ok || !hit {
		t.Error("what waits cannot be read")
	}
	if _, _, err := r.Get(ctx, []byte("0001")); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a read: %v", err)
	}
	if _, err := s.Open(ctx, store.RoomID{Kind: "k", Name: "new"}); err == nil {
		t.Error("opened a room")
	}
	if rec.Len() > 0 || s.Stats().PendingCommits != 2 {
		t.Error("answered")
	}
	server.Continue(t)
	if got := rec.Wait(); got != "2:ok 3:ok" {
		t.Error(got)
	}
	redistest.Await(t, "Redis is back", func() bool { return !s.Away() })
	if got := storetest.Get(t, r, "0001"); got != "v" {
		t.Errorf("row %q", got)
	}
}

// Without anything to send the store finds out by itself that Redis is back.
func TestProbe(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, server.Client(t), Options{ReadTime: 50 * time.Millisecond})
	server.Kill()
	if _, err := s.Open(ctx, roomA); err == nil || !s.Away() {
		t.Fatalf("away %v, %v", s.Away(), err)
	}
	server.Restart(t)
	redistest.Await(t, "Redis is back", func() bool { return !s.Away() })
}

// Close does not wait for ever for a Redis that is away.
func TestCloseWhileAway(t *testing.T) {
	server := redistest.Start(t)
	c := redistest.Client(t, redis.Options{URLs: []string{server.URL()}, Timeout: 50 * time.Millisecond})
	s := openStore(t, c, Options{CloseTime: 200 * time.Millisecond})
	r := open1(t, s, roomA)
	server.Kill()
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 1, Host: []byte{1}}, rec.Done("1"))
	r.Commit(store.Commit{Number: 2, Host: []byte{1}}, rec.Done("2"))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := rec.Wait(); got != "1:stopped 2:stopped" {
		t.Error(got)
	}
}

// A Redis that has forgotten the scripts gets them again.
func TestForgottenScripts(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := openStore(t, c, Options{})
	r := open1(t, s, roomA)
	for n := uint64(1); n < 30; n += 3 {
		if err := c.ScriptFlush(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		var rec storetest.Recorder
		for i := range uint64(3) {
			r.Commit(store.Commit{Number: n + i, Writes: []store.Write{put("k", "v")}, Outbox: [][]byte{{1}}, Alarm: &store.Alarm{Scheduled: 1, Due: 1}}, rec.Done("x"))
		}
		if got := rec.Wait(); got != "x:ok x:ok x:ok" {
			t.Fatal(got)
		}
		_ = c.ScriptFlush(ctx).Err()
		if _, err := r.List(ctx, abiList); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	if s.Away() {
		t.Error("away")
	}
}

// Commits are on their way and get no answer. At the next try Redis refuses them, before the first
// ones have arrived: they have not failed for certain.
func TestLateCommits(t *testing.T) {
	server := redistest.Start(t)
	direct := server.Client(t)
	proxy := redistest.NewProxy(t, server.Addr)
	c := redistest.Client(t, redis.Options{URLs: []string{proxy.URL()}, Timeout: 100 * time.Millisecond})
	s := openStore(t, c, Options{})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("k", "1")}}); err != nil {
		t.Fatal(err)
	}
	// The first tries are held in the proxy, which never notices that their client has given up.
	proxy.HoldAsks(true)
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 2, Writes: []store.Write{put("k", "2")}}, rec.Done("2"))
	r.Commit(store.Commit{Number: 3, Writes: []store.Write{put("k", "3")}}, rec.Done("3"))
	redistest.Await(t, "Redis is away", s.Away)
	// Redis refuses everything when it is heard of again.
	if err := direct.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	proxy.HoldAsks(false)
	redistest.Await(t, "Redis is heard again", func() bool { return !s.Away() })
	if rec.Len() > 0 {
		t.Errorf("answered while it was undecided: %s", rec.Wait())
	}
	if err := direct.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if got := rec.Wait(); got != "2:ok 3:ok" {
		t.Error(got)
	}
	if n := direct.HGet(ctx, r.keys[0], "n").Val(); n != "3" {
		t.Errorf("the record is at %s", n)
	}
}

// The first of two commits fails for certain while the second may still be applied: the token is spent,
// so that no new commit gets the number of one that may yet arrive.
func TestSpentToken(t *testing.T) {
	s := onShared(t, Options{})
	r := open1(t, s, roomA)
	l := r.lane
	var rec storetest.Recorder
	first := &pending{room: r, number: 1, args: []any{}, done: rec.Done("1")}
	second := &pending{room: r, number: 2, args: []any{}, done: rec.Done("2"), unsure: true}
	third := &pending{room: r, number: 3, args: []any{}, done: rec.Done("3")}
	r.mu.Lock()
	r.waiting = 3
	r.mu.Unlock()
	l.mu.Lock()
	for _, p := range []*pending{first, second, third} {
		s.answers.begin(p)
		r.queue.pending = append(r.queue.pending, p)
	}
	l.refuse(r, errors.New("OOM command not allowed"))
	l.advance(r)
	l.mu.Unlock()
	if got := rec.Wait(); !strings.HasSuffix(got, "OOM command not allowed 2:fenced 3:fenced") {
		t.Error(got)
	}
	if _, err := r.Reset(ctx); !errors.Is(err, store.ErrFenced) {
		t.Errorf("reset: %v", err)
	}
}
