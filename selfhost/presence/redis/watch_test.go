package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/presence/redis"
)

func seeded(t testing.TB, i uint64) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, i))
}

// watching collects what a watch says.
type watching struct {
	t testing.TB
	w *presence.Watch
	c chan struct{}
}

func watchOf(t testing.TB, n *node, users ...string) *watching {
	t.Helper()
	x := &watching{t: t, c: make(chan struct{}, 1)}
	x.w = n.Watch(func() {
		select {
		case x.c <- struct{}{}:
		default:
		}
	})
	t.Cleanup(x.w.Close)
	if err := x.w.Add(users...); err != nil {
		t.Fatal(err)
	}
	return x
}

// next returns what is said next.
func (x *watching) next() []presence.Status {
	x.t.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case <-x.c:
			if s := x.w.Take(); len(s) > 0 {
				return s
			}
		case <-deadline:
			x.t.Fatal("nothing is said")
		}
	}
}

func (x *watching) expect(user string, online bool) {
	x.t.Helper()
	equal(x.t, "what is said", x.next(), []presence.Status{{User: user, Online: online}})
}

// TestWatch: polling takes an hour, so all of this is pushed.
func TestWatch(t *testing.T) {
	s := newServer(t)
	quick := redis.Options{}.Times(time.Millisecond, time.Hour, time.Hour, time.Hour)
	a, b := newNode(t, s.open(), quick), newNode(t, s.open(), quick)
	a.join()
	b.join()
	w := watchOf(t, a, "ann")
	w.expect("ann", false)
	first := b.enter("ann", lobby)
	w.expect("ann", true)
	second := a.enter("ann", arena)
	a.flush()
	b.Leave(first)
	b.flush()
	a.Leave(second)
	w.expect("ann", false)
	a.enter("bob", lobby)
	if err := w.w.Add("bob"); err != nil {
		t.Fatal(err)
	}
	w.expect("bob", true)
	// The node that has her leaves the fleet.
	b.enter("ann", lobby)
	w.expect("ann", true)
	b.abandon()
	w.expect("ann", false)
	w.w.Remove("ann")
	b.join()
	b.flush()
	if err := w.w.Add("ann"); err != nil {
		t.Fatal(err)
	}
	w.expect("ann", true)
}

// TestWatchBroken: a push that was lost with its connection is made up for by the next one.
func TestWatchBroken(t *testing.T) {
	s := newServer(t)
	c := s.open()
	quick := redis.Options{}.Times(time.Millisecond, time.Hour, time.Hour, time.Hour)
	a, b := newNode(t, c, quick), newNode(t, s.open(), quick)
	a.join()
	b.join()
	w := watchOf(t, a, "ann")
	w.expect("ann", false)
	for i := range 5 {
		if err := c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		x := b.enter("ann", lobby)
		w.expect("ann", true)
		b.Leave(x)
		w.expect("ann", false)
		_ = i
	}
}

// deaf hears nothing of what is pushed.
type deaf struct{ goredis.UniversalClient }

func (d deaf) Subscribe(ctx context.Context, _ ...string) *goredis.PubSub {
	p := d.UniversalClient.Subscribe(ctx, "silence")
	_ = p.Close()
	return p
}

func TestWatchPolling(t *testing.T) {
	s := newServer(t)
	a := newNode(t, deaf{s.open()}, redis.Options{}.Times(time.Millisecond, 20*time.Millisecond, time.Hour, time.Hour))
	a.join()
	b := start(t, s.open())
	w := watchOf(t, a, "ann")
	w.expect("ann", false)
	x := b.enter("ann", lobby)
	w.expect("ann", true)
	b.Leave(x)
	w.expect("ann", false)
}

// TestGrace: who goes from one node to another is online all the time.
func TestGrace(t *testing.T) {
	s := newServer(t)
	o := redis.Options{Grace: time.Hour}.Times(time.Millisecond, time.Hour, time.Hour, time.Hour)
	a, b := newNode(t, s.open(), o), newNode(t, s.open(), o)
	a.join()
	b.join()
	watcher := start(t, s.open())
	w := watchOf(t, watcher, "ann")
	w.expect("ann", false)
	if err := w.w.Add("end"); err != nil {
		t.Fatal(err)
	}
	w.expect("end", false)
	x := a.enter("ann", lobby)
	w.expect("ann", true)
	a.Leave(x)
	a.flush()
	u := watcher.of("ann")
	equal(t, "ann in her grace", fmt.Sprint(u.Online, u.Connections, len(u.Rooms)), "true 0 0")
	equal(t, "the lobby", watcher.in(lobby).Count, 0)
	y := b.enter("ann", lobby)
	b.flush()
	b.Leave(y)
	b.flush()
	b.enter("end", lobby)
	w.expect("end", true) // and nothing of ann before it
	// Grace ends with the node.
	a.abandon()
	b.abandon()
	await(t, "ann to go", func() bool { return !watcher.of("ann").Online })
}
