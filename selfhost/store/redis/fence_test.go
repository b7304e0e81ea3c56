package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

// leases says which nodes are alive.
type leases struct {
	mu   sync.Mutex // guards dead
	dead map[string]bool
}

func (l *leases) alive(_ context.Context, node string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.dead[node], nil
}

func (l *leases) kill(node string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead == nil {
		l.dead = map[string]bool{}
	}
	l.dead[node] = true
}

func TestOwnership(t *testing.T) {
	var l leases
	prefix := unique("p")
	a := onShared(t, Options{Prefix: prefix, Node: "a:1#1", Alive: l.alive})
	b := onShared(t, Options{Prefix: prefix, Node: "b:1#1", Alive: l.alive})
	ra := open1(t, a, roomA)
	if st := ra.State(); st.Epoch != 1 || st.Left != store.LeftEmpty || len(st.Term) != 32 {
		t.Errorf("a new room: %+v", st)
	}
	_, err := b.Open(ctx, roomA)
	var owned *store.OwnedError
	if !errors.As(err, &owned) || !errors.Is(err, store.ErrOwned) || owned.Owner != (store.Owner{Node: "a:1#1", Epoch: 1, Term: ra.State().Term}) {
		t.Fatalf("of a living owner: %v", err)
	}
	if err := wait(ra, store.Commit{Number: 1, Writes: []store.Write{put("k", "a")}}); err != nil {
		t.Fatal(err)
	}

	// Handed over, with connections.
	if err := ra.Release(ctx, true); err != nil {
		t.Fatal(err)
	}
	rb := open1(t, b, roomA)
	if st := rb.State(); st.Epoch != 2 || st.Left != store.LeftConnected || st.Number != 1 || st.Term == ra.State().Term {
		t.Errorf("after a hand-over: %+v", st)
	}
	if err := errors.Join(rb.Close(), rb.Close(), rb.Release(ctx, true)); err != nil {
		t.Fatal(err)
	}
	ra = open1(t, a, roomA)
	if st := ra.State(); st.Epoch != 3 || st.Left != store.LeftEmpty {
		t.Errorf("after a sleep: %+v", st)
	}

	// Taken from a dead node, which does not know it.
	l.kill("a:1#1")
	rb = open1(t, b, roomA)
	if st := rb.State(); st.Epoch != 4 || st.Left != store.LeftDead || st.Number != 1 {
		t.Errorf("after a death: %+v", st)
	}
	var rec storetest.Recorder
	for n := uint64(2); n < 5; n++ {
		ra.Commit(store.Commit{Number: n, Writes: []store.Write{put("k", "dead")}}, rec.Done(fmt.Sprint(n)))
	}
	if got := rec.Wait(); got != "2:fenced 3:fenced 4:fenced" {
		t.Errorf("of the old owner: %s", got)
	}
	if err := wait(ra, store.Commit{}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("an empty one: %v", err)
	}
	if _, err := ra.Reset(ctx); !errors.Is(err, store.ErrFenced) {
		t.Errorf("its reset: %v", err)
	}
	if err := ra.Close(); err != nil {
		t.Error(err)
	}
	if err := wait(rb, store.Commit{Number: 2, Writes: []store.Write{put("k", "b")}}); err != nil {
		t.Error(err)
	}
	if got := storetest.Get(t, rb, "k"); got != "b" {
		t.Errorf("row %q", got)
	}
	// The old owner's close took nothing away.
	if _, err := onShared(t, Options{Prefix: prefix, Node: "c", Alive: l.alive}).Open(ctx, roomA); !errors.Is(err, store.ErrOwned) {
		t.Errorf("after the close of the old owner: %v", err)
	}
}

// A node that finds a room to be its own takes it over: an earlier answer was lost, or a room of its
// own was not given back.
func TestOwnRoom(t *testing.T) {
	prefix := unique("p")
	never := func(context.Context, string) (bool, error) { t.Error("asked for"); return true, nil }
	s := onShared(t, Options{Prefix: prefix, Node: "a", Alive: never})
	r := open1(t, s, roomA)
	s.forget(roomA)
	again := open1(t, s, roomA)
	if st := again.State(); st.Epoch != 2 || st.Left != store.LeftDead || st.Term == r.State().Term {
		t.Errorf("%+v", st)
	}
	if err := wait(r, store.Commit{Number: 1, Host: []byte{1}}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the first one: %v", err)
	}
	// Names that begin with each other are not the same node.
	for _, node := range []string{"a1", "a"} {
		asked := false
		o := Options{Prefix: prefix, Node: node, Alive: func(context.Context, string) (bool, error) { asked = true; return true, nil }}
		if _, err := onShared(t, o).Open(ctx, roomA); asked != (node != "a") || errors.Is(err, store.ErrOwned) != asked {
			t.Errorf("node %s: %v", node, err)
		}
	}
}

// The answer to a claim is lost: the same claim again finds its own term, and says how it was left.
func TestLostClaim(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	prefix := unique("p")
	first := openStore(t, server.Client(t), Options{Prefix: prefix, Node: "a"})
	if err := open1(t, first, roomA).Release(ctx, true); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, redistest.Client(t, redis.Options{URLs: []string{proxy.URL()}, Timeout: 300 * time.Millisecond}), Options{Prefix: prefix, Node: "b", ReadTime: time.Minute})
	direct := server.Client(t)
	proxy.HoldAnswers(true)
	opened := make(chan *room)
	go func() { opened <- open1(t, s, roomA) }()
	redistest.Await(t, "the claim has run", func() bool {
		o, _ := direct.HGet(ctx, roomKeys(prefix, roomA)[0], "o").Result()
		return o != ""
	})
	proxy.Cut()
	proxy.HoldAnswers(false)
	if st := (<-opened).State(); st.Epoch != 2 || st.Left != store.LeftConnected {
		t.Errorf("%+v", st)
	}
}

// While a node takes a room from a dead one, another one is faster.
func TestTwoHeirs(t *testing.T) {
	prefix := unique("p")
	dead := onShared(t, Options{Prefix: prefix, Node: "dead"})
	old := open1(t, dead, roomA)
	var l leases
	l.kill("dead")
	c := onShared(t, Options{Prefix: prefix, Node: "c", Alive: l.alive})
	var rc *room
	b := onShared(t, Options{Prefix: prefix, Node: "b", Alive: func(ctx context.Context, node string) (bool, error) {
		if rc == nil {
			rc = open1(t, c, roomA)
		}
		return l.alive(ctx, node)
	}})
	_, err := b.Open(ctx, roomA)
	var owned *store.OwnedError
	if !errors.As(err, &owned) || owned.Owner.Node != "c" || owned.Owner.Epoch != 2 {
		t.Fatalf("the second heir: %v", err)
	}
	if err := wait(rc, store.Commit{Number: 1, Host: []byte{1}}); err != nil {
		t.Error(err)
	}
	if err := wait(old, store.Commit{Number: 1, Host: []byte{2}}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the dead one: %v", err)
	}
}

func TestAliveFails(t *testing.T) {
	prefix := unique("p")
	open1(t, onShared(t, Options{Prefix: prefix, Node: "a"}), roomA)
	fault := errors.New("nobody knows")
	s := onShared(t, Options{Prefix: prefix, Node: "b", Alive: func(context.Context, string) (bool, error) { return false, fault }})
	if _, err := s.Open(ctx, roomA); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
}

// Fence answers all that waits, without waiting for Redis, and all that comes.
func TestStoreFence(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, server.Client(t), Options{})
	r := open1(t, s, roomA)
	other := open1(t, s, store.RoomID{Kind: "k", Name: "other"})
	server.Pause(t)
	var rec storetest.Recorder
	for n := uint64(1); n < 4; n++ {
		r.Commit(store.Commit{Number: n, Writes: []store.Write{put("k", "v")}}, rec.Done(fmt.Sprint(n)))
		r.Commit(store.Commit{}, rec.Done("-"))
	}
	redistest.Await(t, "a commit is on its way", func() bool {
		r.lane.mu.Lock()
		defer r.lane.mu.Unlock()
		return r.queue.sending
	})
	s.Fence()
	if got := rec.Wait(); got != "1:fenced -:fenced 2:fenced -:fenced 3:fenced -:fenced" {
		t.Error(got)
	}
	for _, r := range []*room{r, other} { // Redis still stands
		if err := wait(r, store.Commit{Number: 1, Host: []byte{1}}); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a later commit: %v", err)
		}
		if _, err := r.Reset(ctx); !errors.Is(err, store.ErrFenced) {
			t.Errorf("reset: %v", err)
		}
	}
	_, err1 := s.Open(ctx, store.RoomID{Kind: "k", Name: "new"})
	_, err2 := s.Claim(ctx, 1)
	_, _, err3 := r.Get(ctx, []byte("none"))
	for i, err := range []error{err1, err2, err3} {
		if !errors.Is(err, store.ErrFenced) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	server.Continue(t)
	if !s.Away() || s.Err() != nil {
		t.Error("a fenced store is away and has not stopped")
	}
	select {
	case <-s.Stopped():
		t.Error("stopped")
	default:
	}
	if err := errors.Join(r.Close(), s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// A room that nobody ever wrote to leaves nothing for ever.
func TestNeverCommitted(t *testing.T) {
	c := shared.Client(t)
	s := onShared(t, Options{})
	key := roomKeys(s.opts.Prefix, roomA)[0]
	for _, committed := range []bool{false, true} {
		r := open1(t, s, roomA)
		if ttl := c.TTL(ctx, key).Val(); ttl != -1 {
			t.Errorf("an open room expires in %v", ttl)
		}
		if committed {
			if err := wait(r, store.Commit{Number: 1, Host: []byte{1}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if ttl := c.TTL(ctx, key).Val(); (ttl > 0) == committed {
			t.Errorf("committed %v: expires in %v", committed, ttl)
		}
	}
}

func TestReleasePending(t *testing.T) {
	var hold storetest.Gate
	s := onShared(t, Options{Fault: hold.Fault})
	r := open1(t, s, roomA)
	hold.Close()
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 1, Host: []byte{1}}, rec.Done("1"))
	if err := r.Release(ctx, true); !errors.Is(err, store.ErrPending) {
		t.Errorf("got %v", err)
	}
	hold.Open()
	if got := rec.Wait(); got != "1:ok" {
		t.Error(got)
	}
	if err := r.Release(ctx, true); err != nil {
		t.Error(err)
	}
}

func TestBadOptions(t *testing.T) {
	c := shared.Client(t)
	for name, o := range map[string]Options{
		"no node":       {Alive: alone},
		"spaces":        {Node: "a b", Alive: alone},
		"long":          {Node: string(make([]byte, maxNode+1)), Alive: alone},
		"nobody to ask": {Node: "a"},
	} {
		if _, err := Open(ctx, c, o); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(ctx, c, Options{Node: "a", Alive: alone, Prefix: "a{b"}); !errors.Is(err, redis.ErrOptions) {
		t.Errorf("prefix: %v", err)
	}
}

// What a read found before a commit was applied is not remembered after it.
func TestLateRemember(t *testing.T) {
	s := onShared(t, Options{})
	r := open1(t, s, roomA)
	r.cache.Clear() // it is in memory as a whole no more
	_, ok, _, retired := r.lookup([]byte("a"))
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "new")}}); err != nil {
		t.Fatal(err)
	}
	r.remember([]byte("a"), nil, ok, retired)
	if got := storetest.Get(t, r, "a"); got != "new" {
		t.Errorf("%q", got)
	}
}

// Rooms that are closed keep nothing in memory.
func TestCacheOfClosedRooms(t *testing.T) {
	s := onShared(t, Options{})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}}); err != nil {
		t.Fatal(err)
	}
	if s.Stats().CacheBytes == 0 || s.Stats().OpenRooms != 1 {
		t.Errorf("%+v", s.Stats())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.CacheBytes != 0 || st.OpenRooms != 0 {
		t.Errorf("%+v", st)
	}
}
