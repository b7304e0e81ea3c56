package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

// A fleet is several nodes in one process. Their store is one engine in memory behind a table of owners,
// their links are channels, and the test is the ring. What Redis and networks do to nodes is
// tested with real ones elsewhere.
type fleet struct {
	t     *testing.T
	inner store.Store
	users *census
	fail  atomic.Bool // every commit fails for certain

	opening sync.Mutex // held while a room changes its owner
	// releasing, if not nil, is told before a room is given back.
	releasing func(store.RoomID)
	// claiming, if not nil, is told before a room is opened.
	claiming func(node string, id store.RoomID)
	// dialing, if not nil, is told before a stream is opened.
	dialing func(from, to string)
	opens   atomic.Int64 // streams

	mu     sync.Mutex // guards the fields below
	nodes  map[string]*member
	ring   map[store.RoomID]string
	others string // who gets the rooms that are not in ring
	owners map[store.RoomID]*owned
	epochs map[store.RoomID]uint64
	left   map[store.RoomID]store.Left
	dialed map[[2]string]int // streams from one node to another
}

// owned is a room in the hands of one node.
type owned struct {
	store.Room
	f      *fleet
	node   string
	state  store.State
	mu     sync.Mutex // guards fenced
	fenced bool
	busy   sync.WaitGroup
}

type member struct {
	*node
	f    *fleet
	id   string
	dead bool
	// expired: the node is cut off, and the others hold it for dead; it does not know.
	expired bool
	muted   mute
	live    []*pipe
}

func newFleet(t *testing.T, m *rooms.Module, ids ...string) *fleet {
	return newFleetWith(t, m, &census{}, ids...)
}

func newFleetWith(t *testing.T, m *rooms.Module, users *census, ids ...string) *fleet {
	f := &fleet{t: t, users: users, nodes: make(map[string]*member), ring: make(map[store.RoomID]string), others: ids[0],
		owners: make(map[store.RoomID]*owned), epochs: make(map[store.RoomID]uint64), left: make(map[store.RoomID]store.Left), dialed: make(map[[2]string]int)}
	var err error
	f.inner, err = pebble.OpenMemory(pebble.Options{Fault: func(store.RoomID, uint64) error {
		if f.fail.Load() {
			return errors.New("as the test asked")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.inner.Close() })
	for i, id := range ids {
		f.join(m, id, uint64(i+1))
	}
	return f
}

func (f *fleet) join(m *rooms.Module, id string, process uint64) *member {
	f.t.Helper()
	n := &member{f: f, id: id}
	sched, err := scheduler.New(context.Background(), scheduler.Options{Modules: natives{m}, Store: sharedStore{f.inner, n}, Cluster: n, Presence: presenceDesk{f.users, id}})
	if err != nil {
		f.t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{
		Rooms: sched, Process: process,
		Protocols: map[string]gateway.Protocol{"again": {Resync: []byte("resync"), Encoding: abi.Text}},
		Admitter: gateway.AdmitFunc(func(_ context.Context, r *http.Request, _ abi.KindOptions, _ string) (gateway.Identity, error) {
			return gateway.Identity{User: r.URL.Query().Get("user")}, nil
		}),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	n.node = &node{t: f.t, url: srv.URL, scheduler: sched}
	var once sync.Once
	n.stop = func() {
		once.Do(func() {
			g.Close()
			srv.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if err := sched.Close(ctx); err != nil {
				f.t.Error(err)
			}
		})
	}
	f.mu.Lock()
	f.nodes[id] = n
	f.mu.Unlock()
	f.t.Cleanup(n.stop)
	return n
}

// place gives rooms to a node by the ring.
func (f *fleet) place(node string, ids ...store.RoomID) {
	f.mu.Lock()
	for _, id := range ids {
		f.ring[id] = node
	}
	f.mu.Unlock()
	f.rebalance()
}

func (f *fleet) rebalance() {
	f.mu.Lock()
	nodes := make([]*member, 0, len(f.nodes))
	for _, n := range f.nodes {
		nodes = append(nodes, n)
	}
	f.mu.Unlock()
	for _, n := range nodes {
		n.scheduler.Rebalance()
	}
}

// kill is what a crash of a node looks like to the others: its streams break and its lease ends.
// What it does itself from then on is refused.
func (f *fleet) kill(id string) {
	f.mu.Lock()
	n := f.nodes[id]
	n.dead = true
	for room, to := range f.ring {
		if to == id {
			delete(f.ring, room)
		}
	}
	if f.others == id {
		for other := range f.nodes {
			if other != id {
				f.others = other
			}
		}
	}
	live := n.live
	n.live = nil
	f.mu.Unlock()
	for _, p := range live {
		_ = p.Close()
	}
	f.rebalance()
}

// breakLinks ends every stream of a node, which goes on living.
func (f *fleet) breakLinks(id string) {
	f.mu.Lock()
	live := f.nodes[id].live
	f.nodes[id].live = nil
	f.mu.Unlock()
	for _, p := range live {
		_ = p.Close()
	}
}

// watch has every stream that is about to be opened told from now on.
func (f *fleet) watch(dialing func(from, to string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dialing, f.dialed = dialing, make(map[[2]string]int)
}

// streams is how many one node has opened to another since [fleet.watch].
func (f *fleet) streams(from, to string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dialed[[2]string{from, to}]
}

func (f *fleet) owner(id store.RoomID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o := f.owners[id]; o != nil {
		return o.node
	}
	return ""
}

// Self and the methods below are the scheduler's Cluster.
func (n *member) Self() string { return n.id }

func (n *member) Owner(id store.RoomID) string {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	if to, ok := n.f.ring[id]; ok {
		return to
	}
	return n.f.others
}

func (n *member) Certain() bool {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	return !n.dead
}

func (n *member) Peers() (ids []string) {
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	for id, p := range n.f.nodes {
		if id != n.id && !p.dead && !p.expired {
			ids = append(ids, id)
		}
	}
	return ids
}

func (n *member) Open(_ context.Context, to string) (scheduler.Stream, error) {
	n.f.mu.Lock()
	dialing := n.f.dialing
	n.f.mu.Unlock()
	if dialing != nil {
		dialing(n.id, to)
	}
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	peer := n.f.nodes[to]
	if peer == nil || peer.dead || n.dead || peer.expired || n.expired {
		return nil, fmt.Errorf("no way from %s to %q", n.id, to)
	}
	n.f.opens.Add(1)
	n.f.dialed[[2]string{n.id, to}]++
	a, b := newPipe()
	a.muted, b.muted = &n.muted, &peer.muted
	n.live, peer.live = append(n.live, a), append(peer.live, a)
	go peer.scheduler.Accept(n.id, b)
	return a, nil
}

// A mute has everything that a node sends lost on its way while it is on, and counts the frames.
type mute struct {
	on     atomic.Bool
	frames atomic.Int64
}

// A pipe is one end of a stream in memory. It holds few frames, as a link's window does.
type pipe struct {
	in, out chan []byte
	over    chan struct{} // closed when either end has closed
	ended   *sync.Once
	closing *sync.Mutex
	muted   *mute // of the node at this end
}

func newPipe() (a, b *pipe) {
	x, y, over := make(chan []byte, 8), make(chan []byte, 8), make(chan struct{})
	var once sync.Once
	var mu sync.Mutex
	return &pipe{x, y, over, &once, &mu, nil}, &pipe{y, x, over, &once, &mu, nil}
}

func (p *pipe) Send(b []byte) error {
	select {
	case <-p.over:
		return io.ErrClosedPipe
	default:
	}
	if p.muted.on.Load() {
		p.muted.frames.Add(1)
		return nil
	}
	select {
	case p.out <- slices.Clone(b):
		return nil
	case <-p.over:
		return io.ErrClosedPipe
	}
}

func (p *pipe) Recv(limit int) ([]byte, error) {
	var b []byte
	select {
	case b = <-p.in:
	default:
		select {
		case b = <-p.in:
		case <-p.over:
			select { // what was sent before still arrives
			case b = <-p.in:
			default:
				return nil, io.EOF
			}
		}
	}
	if len(b) > limit {
		return nil, errors.New("frame too long")
	}
	return b, nil
}

func (p *pipe) Close() error {
	p.ended.Do(func() { close(p.over) })
	return nil
}

// sharedStore is the fleet's store as one node sees it.
type sharedStore struct {
	store.Store
	n *member
}

func (s sharedStore) Claim(context.Context, int) ([]store.RoomID, error) { return nil, nil }

func (s sharedStore) Owner(_ context.Context, id store.RoomID) (store.Owner, error) {
	return store.Owner{Node: s.n.f.owner(id)}, nil
}

func (s sharedStore) Open(ctx context.Context, id store.RoomID) (store.Room, error) {
	f := s.n.f
	if f.claiming != nil {
		f.claiming(s.n.id, id)
	}
	f.opening.Lock()
	defer f.opening.Unlock()
	f.mu.Lock()
	old := f.owners[id]
	if s.n.dead || old != nil && old.node != s.n.id && !f.nodes[old.node].dead && !f.nodes[old.node].expired || s.n.expired {
		defer f.mu.Unlock()
		if s.n.dead || s.n.expired {
			return nil, store.ErrFenced
		}
		return nil, &store.OwnedError{Owner: store.Owner{Node: old.node, Epoch: old.state.Epoch}}
	}
	f.mu.Unlock()
	left := store.LeftEmpty
	if old != nil {
		left = store.LeftDead
		old.fence()
		old.busy.Wait()
		if err := old.Room.Close(); err != nil {
			return nil, err
		}
	}
	inner, err := s.Store.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if left == store.LeftEmpty {
		left = f.left[id]
	}
	delete(f.left, id)
	f.epochs[id]++
	o := &owned{Room: inner, f: f, node: s.n.id, state: inner.State()}
	o.state.Epoch, o.state.Left = f.epochs[id], left
	o.state.Term = fmt.Sprintf("%s.%d", s.n.id, f.epochs[id])
	f.owners[id] = o
	return o, nil
}

func (o *owned) fence() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fenced = true
}

func (o *owned) State() store.State { return o.state }

func (o *owned) Commit(c store.Commit, done func(error)) {
	o.mu.Lock()
	fenced := o.fenced
	o.busy.Add(1)
	o.mu.Unlock()
	if fenced {
		go func() { defer o.busy.Done(); done(store.ErrFenced) }()
		return
	}
	o.Room.Commit(c, func(err error) {
		o.busy.Done()
		done(err)
	})
}

func (o *owned) Reset(ctx context.Context) (store.State, error) {
	s, err := o.Room.Reset(ctx)
	s.Epoch, s.Term = o.state.Epoch, o.state.Term
	return s, err
}

func (o *owned) Close() error { return o.Release(context.Background(), false) }

func (o *owned) Release(_ context.Context, connected bool) error {
	if o.f.releasing != nil {
		o.f.releasing(o.ID())
	}
	o.f.opening.Lock()
	defer o.f.opening.Unlock()
	o.mu.Lock()
	fenced := o.fenced
	o.mu.Unlock()
	if fenced {
		return store.ErrFenced
	}
	if err := o.Room.Close(); err != nil {
		return err
	}
	o.f.mu.Lock()
	defer o.f.mu.Unlock()
	if o.f.owners[o.ID()] == o {
		delete(o.f.owners, o.ID())
		if connected {
			o.f.left[o.ID()] = store.LeftConnected
		}
	}
	return nil
}
