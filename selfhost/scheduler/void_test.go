package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oriel-rooms/oriel/rooms"
	goclient "github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

// journal is a kind that keeps every publish.
type journal struct{}

func (journal) Publish(_ *session.Room, _ *session.Member, p session.Publish) (session.Event, error) {
	return p.Accept(), nil
}

func journals() *rooms.Module {
	m := &rooms.Module{}
	session.RegisterIn(m, "journal", func() session.Kind { return journal{} }, session.Options{
		Room: rooms.Options{MessagesPerSecond: 100_000, MessageBurst: 100_000}, History: 1_000_000})
	return m
}

// witness is a publisher or a reader, and what it was told: an ack or an event says for
// ever what stands at an offset.
type witness struct {
	*goclient.Client
	mu    sync.Mutex // guards the fields below
	told  map[uint64]string
	heard uint64
	fault error
}

func (w *witness) learn(offset uint64, data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, ok := w.told[offset]; ok && was != data && w.fault == nil {
		w.fault = fmt.Errorf("offset %d was %s and is %s", offset, was, data)
	}
	w.told[offset] = data
}

func (n *node) witness(web *http.Client, room, user string, binary bool) *witness {
	n.t.Helper()
	w := &witness{told: make(map[uint64]string)}
	var err error
	w.Client, err = goclient.New(goclient.Options{
		URL: n.url + gateway.Prefix + "journal/" + room + "?user=" + user, HTTP: web, Binary: binary,
		BackoffBase: 10 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
		Event: func(e *protocol.Event) {
			w.learn(e.Offset, string(e.Payload.Data))
			w.mu.Lock()
			w.heard++
			w.mu.Unlock()
		},
		Gap: func(r protocol.Reason) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fault = fmt.Errorf("a gap: %v", r)
		},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(w.Abandon)
	return w
}

// publish publishes the next of a publisher's messages.
func (w *witness) publish(ctx context.Context, data string) error {
	offset, err := w.Publish(ctx, "message", protocol.JSONPayload(data))
	if err == nil {
		w.learn(offset, data)
	}
	return err
}

// check compares what a witness was told with history, which has event n at index n-1.
func (w *witness) check(t *testing.T, name string, history []string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault != nil {
		t.Errorf("%s: %v", name, w.fault)
	}
	for offset, data := range w.told {
		if offset == 0 || offset > uint64(len(history)) {
			t.Errorf("%s was told of %s at %d, which does not exist", name, data, offset)
		} else if history[offset-1] != data {
			t.Errorf("%s was told of %s at %d, which is %s", name, data, offset, history[offset-1])
		}
	}
}

// history reads a room from its first event on.
func (n *node) history(web *http.Client, room string) (list []string) {
	n.t.Helper()
	c := n.witness(web, room, "auditor", false)
	ctx := deadline(n.t)
	if err := c.Ready(ctx); err != nil {
		n.t.Fatal(err)
	}
	for {
		page, err := c.History(ctx, protocol.HistoryQuery{After: uint64(len(list)), HasAfter: true, Limit: 200})
		if err != nil {
			n.t.Fatal(err)
		}
		for _, e := range page.Events {
			if list = append(list, string(e.Payload.Data)); e.Offset != uint64(len(list)) {
				n.t.Fatalf("event %d has offset %d", len(list), e.Offset)
			}
		}
		if !page.More {
			break
		}
	}
	seen := make(map[string]int)
	for i, data := range list {
		if at, twice := seen[data]; twice {
			n.t.Errorf("%s is at %d and at %d", data, at+1, i+1)
		}
		seen[data] = i
	}
	return list
}

func browser(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestNobodySeesAVoidTurn fails commits at random, in the middle of what else is on its way. Their
// events were heard by nobody, their offsets are given again, no ack lies, and every
// publish gets through in the end, once.
func TestNobodySeesAVoidTurn(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	// Of the committer's goroutine: how many commits each room has tried.
	r, tried := rand.New(rand.NewPCG(seed, 0)), make(map[string]int)
	var faults atomic.Int64
	var calm sync.Map // the names of the rooms whose commits succeed from now on
	s, err := pebble.OpenMemory(pebble.Options{Fault: func(room store.RoomID, _ uint64) error {
		if _, ok := calm.Load(room.Name); ok {
			return nil
		}
		// The sixth always, for a run must not pass or fail by its luck.
		if tried[room.Name]++; tried[room.Name] != 6 && r.IntN(25) != 0 {
			return nil
		}
		faults.Add(1)
		return errors.New("as the test asked")
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := open(t, journals(), s)
	web := browser(t)
	const people, each = 5, 12
	for _, room := range []string{"one", "two"} {
		t.Run(room, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
			defer cancel()
			var all []*witness
			var wg sync.WaitGroup
			for i := range people {
				w := n.witness(web, room, fmt.Sprint("user", i), i%2 == 1)
				all = append(all, w)
				wg.Go(func() {
					var mine sync.WaitGroup
					for k := range each { // two at a time, so that turns follow a failed one
						data := fmt.Sprintf(`"%d/%d"`, i, k)
						mine.Go(func() {
							if err := w.publish(ctx, data); err != nil {
								t.Errorf("%s: %v", data, err)
							}
						})
						if k%2 == 1 {
							mine.Wait()
						}
					}
				})
			}
			ear := n.witness(web, room, "ear", false)
			wg.Wait()
			calm.Store(room, true)
			history := n.history(web, room)
			if len(history) != people*each {
				t.Errorf("history has %d events, want %d", len(history), people*each)
			}
			for i, w := range append(all, ear) {
				w.check(t, fmt.Sprint("witness ", i), history)
			}
		})
	}
	t.Cleanup(func() {
		st := n.scheduler.Stats()
		t.Logf("%d failed commits, %d void turns", faults.Load(), st.VoidTurns)
		if faults.Load() == 0 || st.VoidTurns == 0 {
			t.Error("nothing failed")
		}
	})
}

// TestFailedFsync makes an fsync of the log fail under load, with what stands unsynced lost or
// torn. Whatever anybody was told by then is there when the store is opened again, and nobody
// is told anything new.
func TestFailedFsync(t *testing.T) {
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			var armed, broken atomic.Bool
			s, err := pebble.Open("d", pebble.Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
				if armed.Load() && sync && strings.HasSuffix(op.Path, ".log") {
					broken.Store(true)
					return syscall.EIO
				}
				return nil
			}))})
			if err != nil {
				t.Fatal(err)
			}
			n := open(t, journals(), s)
			web := browser(t)
			ctx, cancel := context.WithCancel(deadline(t))
			var wg sync.WaitGroup
			all := map[string][]*witness{}
			var acks atomic.Int64
			enough := make(chan struct{})
			for k := range 8 {
				room := fmt.Sprint("room", k%3)
				w, ear := n.witness(web, room, fmt.Sprint("user", k), k%2 == 1), n.witness(web, room, fmt.Sprint("ear", k), k%2 == 0)
				all[room] = append(all[room], w, ear)
				for _, c := range all[room] {
					if err := c.Ready(ctx); err != nil {
						t.Fatal(err)
					}
				}
				wg.Go(func() {
					for j := 0; ; j++ {
						if w.publish(ctx, fmt.Sprintf(`"%d/%d"`, k, j)) != nil {
							return // only the test's end is an end: see below
						}
						if acks.Add(1) == int64(20+i*30) {
							close(enough)
						}
					}
				})
			}
			select {
			case <-enough:
			case <-time.After(patience):
				t.Fatal("nothing is acknowledged")
			}
			armed.Store(true)
			select {
			case <-s.Stopped():
			case <-time.After(patience):
				t.Fatal("the store goes on")
			}
			// Publishers go on: they are sent away, or are told to try again later.
			await(t, func() bool { return n.scheduler.Stats().VoidTurns > 0 })
			cancel()
			wg.Wait()
			for _, list := range all {
				for _, w := range list {
					if w.State().Phase == goclient.Closed {
						t.Errorf("a client gave up: %v", w.State().Err)
					}
					w.Abandon()
				}
			}
			n.stop()
			cfg := vfs.CrashCloneCfg{}
			if i%2 == 1 {
				cfg = vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(uint64(i), 0))}
			}
			again, err := pebble.Open("d", pebble.Options{FS: mem.CrashClone(cfg)})
			if err != nil {
				t.Fatal(err)
			}
			n = open(t, journals(), again)
			for room, list := range all {
				history := n.history(web, room)
				for k, w := range list {
					w.check(t, fmt.Sprint(room, " witness ", k), history)
				}
			}
			if !broken.Load() {
				t.Error("no fsync failed")
			}
		})
	}
}
