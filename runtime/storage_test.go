package runtime_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
)

// rows is a storage that answers at once.
type rows map[string]string

func (s rows) Get(_ context.Context, key []byte) ([]byte, bool, error) {
	v, ok := s[string(key)]
	return []byte(v), ok, nil
}

func (s rows) GetCached(key []byte) (value []byte, ok, hit bool) {
	v, ok := s[string(key)]
	return []byte(v), ok, true
}

func (s rows) List(_ context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	var r abi.ListResponse
	for k, v := range s {
		r.Entries = append(r.Entries, abi.Entry{Key: []byte(k), Value: []byte(v)})
	}
	return r, nil
}

// gate is a storage without a cache whose reads wait until it is opened.
type gate struct {
	rows
	arrived chan struct{}
	open    chan struct{}
	mu      sync.Mutex // guards reads
	reads   int
}

func newGate() *gate {
	return &gate{rows: rows{"key": "slow"}, arrived: make(chan struct{}, 100), open: make(chan struct{})}
}

func (g *gate) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	g.mu.Lock()
	g.reads++
	g.mu.Unlock()
	g.arrived <- struct{}{}
	select {
	case <-g.open:
		return g.rows.Get(ctx, key)
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

func (g *gate) GetCached([]byte) (value []byte, ok, hit bool) { return nil, false, false }

func TestReads(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		r := newRuntime(t, o)
		room := newRoom(t, load(t, r, guest(t)), "room")
		long := strings.Repeat("x", 100_000)
		s := rows{"short": "value", "long": long, "empty": ""}
		mustAsk(t, room, s, "get short", "value")
		mustAsk(t, room, s, "get empty", "")
		mustAsk(t, room, s, "get long", long)
		mustAsk(t, room, s, "get nothing", "absent")
		mustAsk(t, room, nil, "get short", "absent")
		mustAsk(t, room, rows{"k": "v"}, "list", "k=v ")
		mustAsk(t, room, rows{"k": long}, "list", "k="+long+" ")
		mustAsk(t, room, nil, "list", "")
		mustAsk(t, room, s, "get-long 0", "-1") // a key of just the greatest length
		if n := r.Stats().Parks; n != 2 {
			t.Errorf("%d reads waited, want the 2 lists", n)
		}
	})
}

// TestReadTwice asks a slow storage once though the guest's buffer is too small at first.
func TestReadTwice(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	room := newRoom(t, load(t, r, guest(t)), "room")
	g := newGate()
	g.rows["key"] = strings.Repeat("long ", 100)
	close(g.open)
	mustAsk(t, room, g, "get key", g.rows["key"])
	if g.reads != 1 {
		t.Errorf("%d reads, want 1", g.reads)
	}
	g.rows["key"] = "new"
	mustAsk(t, room, g, "get key", "new") // the next turn asks again
}

func TestFailedRead(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	room := newRoom(t, load(t, r, guest(t)), "room")
	ctx, cancel := context.WithCancel(t.Context())
	g := newGate()
	done := make(chan error)
	go func() {
		_, err := room.Turn(ctx, batch("get key"), g)
		done <- err
	}()
	<-g.arrived
	cancel()
	err := <-done
	trap := &host.Trap{}
	if !errors.As(err, &trap) || trap.Cause != host.CauseStorage || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mustAsk(t, room, nil, "count", "1")
}

// TestParked parks as many rooms as there are workers, and more; another room goes on.
func TestParked(t *testing.T) {
	r := newRuntime(t, runtime.Options{Workers: 2, Parked: 4})
	m := load(t, r, guest(t))
	g := newGate()
	const parked = 5
	answers := make(chan string, parked)
	for range parked {
		room := newRoom(t, m, "parked")
		mustAsk(t, room, nil, "count", "1")
		go func() {
			a, err := ask(room, g, "get key")
			if err == nil {
				var b string
				b, err = ask(room, nil, "count")
				a += b
			}
			if err != nil {
				a = err.Error()
			}
			answers <- a
		}()
	}
	for range parked {
		<-g.arrived
	}
	if s := r.Stats(); s.Parked != parked || s.Instances != parked {
		t.Fatalf("stats %+v", s)
	}
	other := newRoom(t, m, "other")
	for i := range 100 {
		mustAsk(t, other, nil, "count", itoa(i+1))
	}
	// One more than Workers and Parked allow: it waits, and gives up with its context.
	sixth := newRoom(t, m, "sixth")
	answers6 := make(chan error)
	go func() { _, err := ask(sixth, g, "get key"); answers6 <- err }()
	<-g.arrived
	seventh := newRoom(t, m, "seventh")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := seventh.Turn(ctx, batch("count"), nil); !errors.Is(err, context.Canceled) || errors.Is(err, host.ErrTrap) {
		t.Errorf("the seventh got %v", err)
	}
	close(g.open)
	for range parked {
		if a := <-answers; a != "slow2" {
			t.Errorf("a parked room got %q", a)
		}
	}
	if err := <-answers6; err != nil {
		t.Error(err)
	}
	mustAsk(t, seventh, nil, "count", "1")
	if s := r.Stats(); s.Parked != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestPanickingStorage keeps the count of workers right when the storage panics: it is the
// caller's bug, and must not become everybody's deadlock.
func TestPanickingStorage(t *testing.T) {
	r := newRuntime(t, runtime.Options{Workers: 1})
	room := newRoom(t, load(t, r, guest(t)), "room")
	for range 3 {
		_, err := room.Turn(t.Context(), batch("get key"), panicking{})
		if !errors.Is(err, host.ErrTrap) {
			t.Fatalf("got %v", err)
		}
	}
	mustAsk(t, room, nil, "count", "1")
}

type panicking struct{ host.Storage }

func (panicking) Get(context.Context, []byte) ([]byte, bool, error) { panic("a bug") }
