package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/link"
	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Store is what a tenure needs of the shared store.
type Store interface {
	store.Shared
	// Fence ends the store's right to write: whatever waits and whatever comes is answered with
	// [store.ErrFenced].
	Fence()
	// SetFormat says which format to write from now on: every node reads it.
	SetFormat(format int)
}

// Options configure [Join]. Redis, Open, Listen and TLS are needed.
type Options struct {
	// Redis is where the fleet meets.
	Redis member.Client
	// Prefix begins every key, and names the cluster.
	Prefix string
	// Open opens the shared store for one tenure.
	Open func(ctx context.Context, m *member.Membership) (Store, error)
	// Joined, if not nil, is told of each tenure's membership.
	Joined func(m *member.Membership)
	// Listen is the address for other nodes, Address where they reach it; empty: the same.
	Listen, Address string
	// TLS is of the links: [link.SecretTLS] or [link.FileTLS].
	TLS *tls.Config
	// Weight and Lease are as in [member.Options].
	Weight int
	Lease  time.Duration
	// Version is the program's.
	Version string
	// Log takes what went wrong. Default slog.Default().
	Log *slog.Logger
}

var errClosed = errors.New("cluster: closed")

// claimEvery is how often a node looks for rooms that nobody has opened although they should be.
const claimEvery = time.Second

// meetNodes and meetTime bound how many nodes are asked for the secret, and each answer.
const (
	meetNodes = 3
	meetTime  = time.Second
)

// A Node is this process as a part of the fleet. It implements [scheduler.Cluster].
type Node struct {
	o      Options
	store  *tenured
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
	rooms  *scheduler.Scheduler

	mu       sync.Mutex // guards the fields below
	now      *tenure
	draining bool
	closed   bool
}

var _ scheduler.Cluster = (*Node)(nil)

// A tenure is the time under one identity.
type tenure struct {
	member *member.Membership
	store  Store
	links  *link.Links
	// Of the goroutine of claim:
	format int       // that the store writes
	agreed time.Time // since when every living node reads a newer one that this node writes; zero: they do not
	noted  time.Time // when Redis was last seen to know the format
}

// Join makes this process a node. Nothing runs on it before [Node.Start].
func Join(ctx context.Context, o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	n := &Node{o: o, store: newTenured()}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		n.cancel()
		return nil, err
	}
	// A port that the system chose is kept through all tenures.
	n.o.Listen = ln.Addr().String()
	if n.o.Address, err = reachable(o.Address, ln.Addr()); err == nil {
		err = n.meet(ctx)
	}
	if err == nil {
		err = n.begin(ctx, ln, 0)
	}
	if err != nil {
		_ = ln.Close()
		n.cancel()
		return nil, err
	}
	return n, nil
}

// meet asks a few of the living nodes whether this one has their secret: with another one it would get
// rooms that nobody else can reach. Nodes that do not answer decide nothing.
func (n *Node) meet(ctx context.Context) error {
	leases, err := member.List(ctx, n.o.Redis, n.o.Prefix)
	if err != nil {
		return err
	}
	rand.Shuffle(len(leases), func(i, j int) { leases[i], leases[j] = leases[j], leases[i] })
	var refused error
	for _, l := range leases[:min(len(leases), meetNodes)] {
		if l.Address == "" || l.Address == n.o.Address { // this one's, before it was started again
			continue
		}
		one, cancel := context.WithTimeout(ctx, meetTime)
		err := link.Meet(one, l.Address, n.o.TLS)
		cancel()
		if err == nil {
			return nil
		}
		if errors.Is(err, link.ErrSecret) {
			refused = fmt.Errorf("%s, a node of the cluster %q: %w", l.ID, n.o.Prefix, err)
		}
	}
	return refused
}

// reachable returns where other nodes reach a listener.
func reachable(address string, listener net.Addr) (string, error) {
	if address == "" {
		address = listener.String()
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	if port == "0" {
		_, port, _ = net.SplitHostPort(listener.String())
	}
	return net.JoinHostPort(host, port), nil
}

// begin starts a tenure.
func (n *Node) begin(ctx context.Context, ln net.Listener, above uint64) error {
	m, err := member.Join(ctx, member.Options{
		Redis: n.o.Redis, Prefix: n.o.Prefix, Address: n.o.Address, Weight: n.o.Weight, Lease: n.o.Lease, Above: above,
		Meta: member.Meta{Version: n.o.Version, LinkMin: link.MinVersion, LinkMax: link.MaxVersion, Formats: map[string]int{formatName: redis.Format}},
		Log:  n.o.Log,
	})
	if err != nil {
		return err
	}
	st, err := n.o.Open(ctx, m)
	if err != nil {
		return errors.Join(err, m.Leave(ctx))
	}
	t := &tenure{member: m, store: st, format: 1}
	t.links = link.New(link.Options{
		Self: m.Self().ID, Cluster: n.o.Prefix, TLS: n.o.TLS, Log: n.o.Log,
		Accept: func(node string, s *link.Stream) { n.accept(node, s) },
	})
	n.mu.Lock()
	closed := n.closed
	if !closed {
		n.now = t
	}
	n.mu.Unlock()
	if closed {
		t.links.Close()
		st.Fence()
		return errors.Join(errClosed, st.Close(), m.Leave(ctx))
	}
	n.store.begin(st)
	if n.o.Joined != nil {
		n.o.Joined(m)
	}
	n.work.Go(func() {
		if err := t.links.Serve(ln); err != nil {
			n.o.Log.Error("links are not accepted any more", "err", err)
		}
	})
	n.o.Log.Info("joined the cluster", "node", m.Self().ID, "nodes", len(m.View().Members))
	return nil
}

// Store is the shared store, through all tenures.
func (n *Node) Store() store.Shared { return n.store }

// Process is a number for gateway.Options.Process, which no other node has.
func (n *Node) Process() uint64 { return n.tenure().member.Self().Process() }

func (n *Node) tenure() *tenure {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// Start runs the node's part in the fleet for the rooms of a scheduler.
func (n *Node) Start(rooms *scheduler.Scheduler) {
	n.mu.Lock()
	n.rooms = rooms
	n.mu.Unlock()
	n.work.Go(n.follow)
	n.work.Go(n.claim)
}

// accept hands a stream of another node to the scheduler.
func (n *Node) accept(node string, s *link.Stream) {
	n.mu.Lock()
	rooms := n.rooms
	n.mu.Unlock()
	if rooms != nil { // else it asks again
		rooms.Accept(node, s)
	}
}

// follow keeps links and rooms in step with the fleet, tenure after tenure.
func (n *Node) follow() {
	for n.ctx.Err() == nil {
		t := n.tenure()
		for lost := false; !lost; {
			v := t.member.View()
			var ids []string
			for _, m := range v.Members {
				ids = append(ids, m.ID)
			}
			t.links.SetNodes(ids)
			n.rooms.Rebalance()
			select {
			case <-v.Superseded():
			case <-t.member.Lost():
				lost = true
			case <-n.ctx.Done():
				return
			}
		}
		if n.ctx.Err() != nil || !n.again(t) {
			return
		}
	}
}

// again gives everything up that a lost identity owned, and joins under a new one. It returns false
// if the node is closed before.
func (n *Node) again(t *tenure) bool {
	n.o.Log.Warn("this node's lease is lost; its rooms go to others until it has joined again", "node", t.member.Self().ID, "cause", t.member.Cause())
	t.store.Fence()
	n.rooms.Abandon()
	t.links.Close()
	if err := n.rooms.Vacate(n.ctx); err != nil {
		return false
	}
	if err := t.store.Close(); err != nil {
		n.o.Log.Warn("the store of a lost lease was not closed", "err", err)
	}
	n.leave(t)
	for try := 0; ; try++ {
		err := n.rejoin(t)
		if err == nil {
			n.rooms.Rebalance()
			return true
		}
		if misfit(err) {
			n.store.stop(err)
			return false
		}
		if try%10 == 0 {
			n.o.Log.Warn("this node cannot join again yet", "tries", try+1, "err", err)
		}
		wait := min(50*time.Millisecond<<min(try, 5), time.Second)
		select {
		case <-time.After(wait/2 + rand.N(wait/2+1)):
		case <-n.ctx.Done():
			return false
		}
	}
}

// leave tells Redis that an identity is over, if it answers, so that nobody has to wait for its lease.
func (n *Node) leave(t *tenure) {
	ctx, cancel := context.WithTimeout(n.ctx, time.Second)
	defer cancel()
	if err := t.member.Leave(ctx); err != nil {
		n.o.Log.Debug("a lost lease was not given back", "err", err)
	}
}

func (n *Node) rejoin(t *tenure) error {
	ctx, cancel := context.WithTimeout(n.ctx, 5*time.Second)
	defer cancel()
	ln, err := net.Listen("tcp", n.o.Listen)
	if err != nil {
		return err
	}
	if err := n.begin(ctx, ln, t.member.Highest()); err != nil {
		return errors.Join(err, ln.Close())
	}
	n.mu.Lock()
	draining, now := n.draining, n.now
	n.mu.Unlock()
	if draining {
		if err := now.member.Drain(ctx); err != nil {
			n.o.Log.Warn("the ring does not leave this node out yet", "err", err)
		}
	}
	return nil
}

// claim has rooms opened whose alarms are due, or whose messages to other rooms wait, wherever they
// should be opened.
func (n *Node) claim() {
	clock := newWall()
	n.compareClocks(n.ctx)
	for {
		select {
		case <-time.After(claimEvery/2 + rand.N(claimEvery)):
		case <-n.ctx.Done():
			return
		}
		if by := clock.jumped(); by != 0 {
			n.o.Log.Warn("this machine's clock has been set, or the machine has slept", "by", by)
			n.compareClocks(n.ctx)
		}
		n.agree()
		for more := true; more && n.Certain(); {
			ids, err := n.store.Claim(n.ctx, store.MaxClaim)
			if err != nil {
				if n.ctx.Err() == nil {
					n.o.Log.Debug("due rooms are not known now", "err", err)
				}
				break
			}
			n.rooms.Wake(ids)
			more = len(ids) == store.MaxClaim
		}
	}
}

// Self implements [scheduler.Cluster].
func (n *Node) Self() string { return n.tenure().member.Self().ID }

// Owner implements [scheduler.Cluster].
func (n *Node) Owner(id store.RoomID) string {
	t := n.tenure()
	if !t.member.Certain() { // the view may be old, and this node is in it
		return ""
	}
	m, ok := t.member.View().Owner(id.Kind, id.Name)
	if !ok {
		return ""
	}
	return m.ID
}

// Certain implements [scheduler.Cluster].
func (n *Node) Certain() bool { return n.tenure().member.Certain() }

// Peers implements [scheduler.Cluster].
func (n *Node) Peers() (ids []string) {
	t := n.tenure()
	self := t.member.Self().ID
	for _, m := range t.member.View().Members {
		if m.ID != self {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

// Open implements [scheduler.Cluster].
func (n *Node) Open(ctx context.Context, node string) (scheduler.Stream, error) {
	s, err := n.tenure().links.Open(ctx, node)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Drain has the ring leave this node out, and waits until its rooms have moved. If no other
// node takes them, they stay until the scheduler is closed.
func (n *Node) Drain(ctx context.Context) error {
	n.mu.Lock()
	n.draining = true
	t := n.now
	n.mu.Unlock()
	// Without a lease its rooms are given up anyway, and if it joins again it drains.
	if err := t.member.Drain(ctx); err != nil && t.member.Cause() == nil {
		return fmt.Errorf("cluster: drain: %w", err)
	}
	if _, ok := t.member.View().Owner("any", "room"); !ok {
		return nil
	}
	n.rooms.Rebalance()
	if err := n.rooms.Vacate(ctx); err != nil {
		return fmt.Errorf("cluster: rooms were still here: %w", err)
	}
	return nil
}

// Close cuts the links and gives the lease back. The scheduler and the store are closed before. A second
// call does nothing.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	n.mu.Unlock()
	n.cancel()
	t := n.tenure()
	t.links.Close()
	n.work.Wait()
	if t = n.tenure(); t.member.Certain() {
		t.links.Close()
		return t.member.Leave(ctx)
	}
	return nil
}

// View is the fleet as this node knows it.
func (n *Node) View() *member.View { return n.tenure().member.View() }

// Links returns the counters of this tenure's links.
func (n *Node) Links() link.Stats { return n.tenure().links.Stats() }
