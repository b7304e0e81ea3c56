package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Gateway holds the client connections of one node. It is an [http.Handler] for the
// addresses under [Prefix]. Make one with [New].
type Gateway struct {
	opts      Options
	rooms     Rooms
	protocols map[string]*protocol
	plain     *protocol // for subprotocols that the table does not have
	addresses *addressTable
	stats     stats
	started   time.Time
	ids       atomic.Uint64
	refusing  atomic.Int64 // sockets beyond the limits that are being refused

	beat          atomic.Uint32
	beatEvery     time.Duration
	beatsToPing   uint32 // of silence
	beatsToGiveUp uint32
	beating       []*Socket // the beat's own, between two of them empty
	stop          chan struct{}
	stopped       chan struct{} // closed when the beat has ended
	stopOnce      sync.Once

	mu       sync.Mutex // guards the fields below
	sockets  map[*Socket]struct{}
	draining bool
	closed   bool
	spread   time.Duration // of the retry hints while draining
	empty    chan struct{} // closed when the last socket is gone; made by who waits
}

var _ http.Handler = (*Gateway)(nil)

// New starts a gateway. The error wraps [ErrOptions].
func New(o Options) (*Gateway, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	beat := min(o.Heartbeat/10, time.Second)
	g := &Gateway{
		opts:          o,
		rooms:         o.Rooms,
		beatEvery:     beat,
		protocols:     o.ready(beat),
		plain:         &protocol{factor: 1},
		addresses:     newAddressTable(o),
		started:       time.Now(),
		beatsToPing:   beatsIn(o.Heartbeat, beat),
		beatsToGiveUp: beatsIn(o.Heartbeat*5/2, beat),
		stop:          make(chan struct{}),
		stopped:       make(chan struct{}),
		sockets:       make(map[*Socket]struct{}),
	}
	g.stats.init()
	g.ids.Store(o.Process << counterBits)
	go g.keepTime(beat)
	return g, nil
}

// now is the time since New; it never goes back.
func (g *Gateway) now() time.Duration {
	if g.opts.clock != nil {
		return g.opts.clock()
	}
	return time.Since(g.started)
}

// NextID returns a number for a connection or a request that no other has: the process's
// number in the upper 24 bits, a counter in the lower 40. The counter would last for a
// million connections per second over twelve days.
func (g *Gateway) NextID() uint64 { return g.ids.Add(1) }

// add registers a socket, or says that the gateway takes no more; while it drains it
// takes those that are only to be told so.
func (g *Gateway) add(s *Socket, refused bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.draining && !refused {
		return false
	}
	g.sockets[s] = struct{}{}
	return true
}

// forget takes a socket off the books. Its descriptor is closed and its reader is done.
func (g *Gateway) forget(s *Socket) {
	g.addresses.closeSocket(s.address)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sockets, s)
	if len(g.sockets) == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// awaitEmpty waits until there is no socket, or until ctx ends.
func (g *Gateway) awaitEmpty(ctx context.Context) error {
	g.mu.Lock()
	if len(g.sockets) == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open returns the sockets of this moment.
func (g *Gateway) open(to []*Socket) []*Socket {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.sockets {
		to = append(to, s)
	}
	return to
}

// Close cuts every connection that is left and ends the gateway's goroutines. For an
// orderly end call [Gateway.Drain] before. New upgrades and requests are refused
// from then on. When it returns, [Rooms.Closed] has been called for every connection.
// Close may be called more than once.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.draining, g.closed = true, true
	g.mu.Unlock()
	g.cutAll()
	g.stopOnce.Do(func() { close(g.stop) })
	<-g.stopped
	_ = g.awaitEmpty(context.Background()) // no end, no error
}

func (g *Gateway) cutAll() {
	for _, s := range g.open(nil) {
		s.mu.Lock()
		s.cut()
		s.mu.Unlock()
	}
}

// Drain ends the gateway's service in an orderly way: upgrades and requests are refused
// with [abi.CodeRestarting], and so is every open connection closed, behind what
// was sent before. Each client is told another delay, spread evenly up to spread in
// no particular order, so that they do not all come back at once. Drain returns when
// the last closing handshake is over. When ctx ends before that, what is left is cut
// and the error is ctx's.
func (g *Gateway) Drain(ctx context.Context, spread time.Duration) error {
	g.mu.Lock()
	g.draining, g.spread = true, spread
	g.mu.Unlock()
	list := g.open(nil) // in a map's order, so no client is always the last
	for i, s := range list {
		r := restarting(spread * time.Duration(i+1) / time.Duration(len(list)))
		s.close(r.Code, r.reason())
	}
	if err := g.awaitEmpty(ctx); err != nil {
		g.cutAll()
		return err
	}
	return nil
}

// drainRefusal says whether new clients are sent away, and with what.
func (g *Gateway) drainRefusal() *Refusal {
	g.mu.Lock()
	draining, spread := g.draining, g.spread
	g.mu.Unlock()
	if !draining {
		return nil
	}
	return restarting(rand.N(max(spread, 1)))
}

func restarting(retry time.Duration) *Refusal {
	return &Refusal{Code: abi.CodeRestarting, Retry: max(retry, time.Millisecond)}
}
