package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

// TestWeakerRedis has Redis lose what it has answered. The newest messages may be gone then; but no
// (incarnation, offset) names two messages, whoever had one of the lost is told, owners do not write over
// each other, and everything goes on.
func TestWeakerRedis(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		lease    time.Duration
		settings []string
		loses    bool // for certain
		harm     func(f *fleet, w *weak)
	}{
		// The replica knows no lease any more, and the nodes join anew.
		{"a replica that lags by more than a lease", time.Second, nil, true, func(f *fleet, w *weak) { w.failOver(2 * time.Second) }},
		// The leases live on, and the owners are ahead of what is recorded.
		{"a replica that lags by less than a lease", 30 * time.Second, nil, true, func(f *fleet, w *weak) { w.failOver(0) }},
		{"nothing on disk", time.Second, nil, true, func(f *fleet, _ *weak) { f.redis.Kill(); f.redis.Restart(f.t) }},
		{"appendfsync everysec", time.Second, []string{"appendonly yes", "appendfsync everysec"}, false, func(f *fleet, _ *weak) { f.redis.Kill(); f.redis.Restart(f.t) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 3, tt.lease, tt.settings, "--module", built.kinds)
			w := &weak{t: t, fleet: f, names: make(map[string]string), rooms: spread("journal", 4)}
			w.stream = redistest.NewProxy(t, f.redis.Addr)
			w.replica = redistest.StartReplica(t, w.stream.Addr, tt.settings...)
			f.start()
			before := newWitness(t, f.redis.Addr)
			for i, room := range w.rooms {
				for k := range 3 {
					w.enter(room, fmt.Sprintf("pub-%d-%d", i, k), client.Place{}, true)
				}
				w.enter(room, fmt.Sprintf("reader-%d", i), client.Place{}, false)
			}
			w.acked(10)
			w.stream.HoldAnswers(true) // from here on the replica gets nothing more
			w.acked(20)
			// Some are not there while it happens, and come back to a room that has gone on.
			var away []*guest
			for i, room := range w.rooms {
				g := w.enter(room, fmt.Sprintf("sleeper-%d", i), client.Place{}, false)
				w.upTo(g)
				g.client.Abandon()
				away = append(away, g)
			}
			w.wrote(before)
			tt.harm(f, w)
			w.over = true
			after := newWitness(t, w.server().Addr)
			w.acked(40)
			for _, g := range away {
				back := w.enter(g.room, g.user, g.client.Place(), false)
				w.upTo(back)
				if tt.loses && back.toldOf() == 0 {
					t.Errorf("%s was not told, and had been at %+v", g.user, g.client.Place())
				}
			}
			w.finish(tt.loses)
			w.wrote(after)
		})
	}
}

// weak is a fleet whose Redis loses something.
type weak struct {
	t testing.TB
	*fleet
	stream   *redistest.Proxy // the replica's way to its master
	replica  *redistest.Server
	promoted bool
	over     bool // the loss is
	rooms    []string

	mu     sync.Mutex        // guards names and twice
	names  map[string]string // message by room, incarnation and offset
	twice  []string
	guests []*guest
	stop   []context.CancelFunc
	wg     sync.WaitGroup
}

// A guest is a client of a room.
type guest struct {
	room, user string
	client     *client.Client
	publishes  bool
	early      bool // was there before the loss

	mu     sync.Mutex // guards the fields below
	in     string     // incarnation
	told   int        // how often of a gap
	claims []claim
	sent   map[string]bool
}

func (g *guest) toldOf() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.told
}

func (g *guest) acked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.claims)
}

// name notes that a message was heard under a name.
func (w *weak) name(room, in string, offset uint64, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := fmt.Sprint(room, " ", in, " ", offset)
	if was, ok := w.names[key]; ok && was != string(data) {
		w.twice = append(w.twice, fmt.Sprintf("(%s) names %s and %s", key, was, data))
	}
	w.names[key] = string(data)
}

// enter has a client enter a room, from a place; it publishes one message after the other, or listens.
func (w *weak) enter(room, user string, from client.Place, publishes bool) *guest {
	g := &guest{room: room, user: user, publishes: publishes, early: !w.over, in: from.Incarnation, sent: make(map[string]bool)}
	g.client = w.door.client(room, user, func(o *client.Options) {
		o.Resume = from
		o.Welcome = func(m *protocol.Welcome) {
			g.mu.Lock()
			defer g.mu.Unlock()
			if !m.Resumed {
				g.in = m.Incarnation
			}
		}
		o.Gap = func(protocol.Reason) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.told++
		}
		o.Event = func(e *protocol.Event) {
			g.mu.Lock()
			g.in = cmp.Or(e.Incarnation, g.in)
			in := g.in
			g.mu.Unlock()
			w.name(room, in, e.Offset, bytes.Clone(e.Payload.Data))
		}
	})
	ready(w.t, g.client)
	w.guests = append(w.guests, g)
	if publishes {
		ctx, stop := context.WithCancel(context.Background())
		w.stop = append(w.stop, stop)
		w.wg.Go(func() { w.publish(ctx, g) })
	}
	return g
}

func (w *weak) publish(ctx context.Context, g *guest) {
	for n := 0; ctx.Err() == nil; n++ {
		data := fmt.Sprintf(`{"id":"%s/%d"}`, g.user, n)
		g.mu.Lock()
		g.sent[data] = true
		g.mu.Unlock()
		within, cancel := context.WithTimeout(context.Background(), patience)
		offset, err := g.client.Publish(within, "message", protocol.JSONPayload(data))
		g.mu.Lock()
		switch {
		case err == nil:
			g.claims = append(g.claims, claim{offset: offset, data: data, from: g.user, n: n})
		case errors.Is(err, client.ErrOutcomeUnknown) && within.Err() == nil:
			// The session is another.
		default:
			w.t.Errorf("publish %s: %v", data, err)
		}
		g.mu.Unlock()
		cancel()
		select { // the pace
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// acked waits until every publisher has had n more acks.
func (w *weak) acked(n int) {
	w.t.Helper()
	had := make(map[*guest]int)
	for _, g := range w.guests {
		if g.publishes {
			had[g] = g.acked()
		}
	}
	for g, had := range had {
		eventually(w.t, func() bool { return g.acked() >= had+n })
	}
}

// upTo waits until a guest has heard all that is there now.
func (w *weak) upTo(g *guest) {
	head := uint64(0)
	for _, o := range w.guests {
		if o.room == g.room && o != g {
			head = max(head, o.client.Place().Offset)
		}
	}
	eventually(w.t, func() bool { return g.client.Place().Offset >= head })
}

// failOver puts the replica in the place of its master, once it has lagged for a time.
func (w *weak) failOver(lag time.Duration) {
	if lag > 0 {
		<-time.After(lag)
		w.acked(5)
	}
	w.redis.Kill()
	if err := w.replica.Client(w.t).Do(context.Background(), "replicaof", "no", "one").Err(); err != nil {
		w.t.Fatal(err)
	}
	w.promoted = true
	for _, p := range w.nodes {
		p.store.To(w.replica.Addr)
		p.store.Cut()
	}
}

// wrote checks what a witness has seen at the Redis that is used now.
func (w *weak) wrote(by *witness) {
	direct := w.server().Client(w.t)
	wrote, commits := by.faults(w.t, func(word string) { _ = direct.Echo(context.Background(), word) })
	for _, fault := range wrote {
		w.t.Error(fault)
	}
	w.t.Logf("%d commits", commits)
}

func (w *weak) server() *redistest.Server {
	if w.promoted {
		return w.replica
	}
	return w.redis
}

// finish compares what everybody was told with what is there.
func (w *weak) finish(loses bool) {
	for _, stop := range w.stop {
		stop()
	}
	w.wg.Wait()
	for _, room := range w.rooms {
		w.compare(room, loses)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.twice[:min(len(w.twice), 20)] {
		w.t.Error(s)
	}
}

func (w *weak) compare(room string, loses bool) {
	got := history(w.t, w.door.addr, room, token(w.t, "auditor"))
	at := make(map[string]uint64)
	for i, e := range got {
		if e.Offset != uint64(i)+1 {
			w.t.Errorf("%s: event %d has offset %d", room, i+1, e.Offset)
		}
		if at[string(e.Data)] > 0 {
			w.t.Errorf("%s: %s is there twice", room, e.Data)
		}
		at[string(e.Data)] = e.Offset
	}
	sent := make(map[string]bool)
	all := 0
	for _, g := range w.guests {
		if g.room != room {
			continue
		}
		maps.Copy(sent, g.sent)
		lost, again, last := 0, false, uint64(0) // again: there is something behind what was lost
		for _, c := range g.claims {
			switch offset, ok := at[c.data]; {
			case !ok && again:
				w.t.Errorf("%s: %s was acknowledged at %d and is lost, and is not of the newest", room, c.data, c.offset)
			case !ok:
				lost++
			case offset != c.offset:
				w.t.Errorf("%s: %s was acknowledged at %d and is at %d", room, c.data, c.offset, offset)
			case offset <= last:
				w.t.Errorf("%s: %s at %d comes before what %s published before", room, c.data, offset, c.from)
			default:
				last, again = offset, lost > 0
			}
		}
		if (lost > 0 || loses && g.early) && g.toldOf() == 0 && g.client.State().Phase == client.Open {
			w.t.Errorf("%s: %s lost %d messages and was not told", room, g.user, lost)
		}
		all += lost
	}
	for _, e := range got {
		if !sent[string(e.Data)] {
			w.t.Errorf("%s: %s at %d was published by nobody", room, e.Data, e.Offset)
		}
	}
	if loses && all == 0 {
		w.t.Errorf("%s: nothing is lost, and this test is about that", room)
	}
	for _, g := range w.guests { // what was heard under the newest incarnation is what is there
		if g.room != room || g.client.State().Phase != client.Open {
			continue
		}
		w.upTo(g)
		g.mu.Lock()
		in := g.in
		g.mu.Unlock()
		for _, e := range got {
			w.name(room, in, e.Offset, e.Data)
		}
	}
	w.t.Logf("%s: %d events, %d acknowledged ones are gone", room, len(got), all)
}
