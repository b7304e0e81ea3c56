package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// Options configure [New]. Self, Cluster, TLS and Accept are needed.
type Options struct {
	// Self is this node's identity: "host:port#generation". Others dial what stands before the #.
	Self string
	// Cluster names the cluster. A node of another one is refused.
	Cluster string
	// TLS is mutual: [SecretTLS] or [FileTLS].
	TLS *tls.Config
	// Accept is given each stream that another node opens, on a goroutine of its own. The stream
	// is closed when it returns.
	Accept func(node string, s *Stream)
	// Log takes what went wrong with links. Default slog.Default().
	Log *slog.Logger
	// Timeout bounds the making of a link, and how long a link may be silent, although it is asked for
	// a sign of life every third of it. Default 3 s.
	Timeout time.Duration
}

// Links are the links of one node.
type Links struct {
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
	stats  counters

	mu     sync.Mutex // guards the fields below
	nodes  map[string]*peer
	closed bool
	lns    []net.Listener
}

// A peer is another living node.
type peer struct {
	node    string
	session *yamux.Session // nil: none
	version uint64         // that session's
	changed chan struct{}  // closed when session is set, or the peer is gone
	gone    bool
	stop    context.CancelFunc
}

type counters struct {
	sent, received, made, broken, refused atomic.Uint64
}

// Stats are counters since New, and the links of now.
type Stats struct {
	// Links are up now, to so many of the Nodes that live.
	Links, Nodes int
	// SentBytes and ReceivedBytes are of frames.
	SentBytes, ReceivedBytes uint64
	// Made, Broken and Refused count links.
	Made, Broken, Refused uint64
}

// New returns the links of a node, none of them made.
func New(o Options) *Links {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Second
	}
	l := &Links{o: o, nodes: make(map[string]*peer)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// SetNodes says who lives. Links are made to those who are new and cut to those who are not
// among them any more; the node itself is left out.
func (l *Links) SetNodes(nodes []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	living := make(map[string]bool, len(nodes))
	for _, node := range nodes {
		if node == l.o.Self {
			continue
		}
		living[node] = true
		if l.nodes[node] != nil {
			continue
		}
		ctx, stop := context.WithCancel(l.ctx)
		p := &peer{node: node, changed: make(chan struct{}), stop: stop}
		l.nodes[node] = p
		if l.o.Self < node {
			l.work.Add(1)
			go l.keep(ctx, p)
		}
	}
	for node, p := range l.nodes {
		if !living[node] {
			delete(l.nodes, node)
			l.end(p)
		}
	}
}

// end cuts a peer off. mu is held.
func (l *Links) end(p *peer) {
	p.gone = true
	p.stop()
	if p.session != nil { // changed is closed already
		go p.session.Close()
		p.session = nil
		return
	}
	close(p.changed)
}

// Open begins a stream to a living node, and waits until ctx ends for the link to it.
func (l *Links) Open(ctx context.Context, node string) (*Stream, error) {
	for {
		l.mu.Lock()
		p := l.nodes[node]
		if p == nil {
			l.mu.Unlock()
			return nil, fmt.Errorf("%w: %s", ErrUnknown, node)
		}
		session, version, changed := p.session, p.version, p.changed
		l.mu.Unlock()
		if session != nil {
			s, err := session.OpenStream()
			if err == nil {
				return newStream(s, version, &l.stats), nil
			}
			l.drop(p, session)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s", ErrUnreachable, node)
		case <-l.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// keep dials a peer whenever there is no link to it.
func (l *Links) keep(ctx context.Context, p *peer) {
	defer l.work.Done()
	for failures := 0; ctx.Err() == nil; {
		session, version, err := l.dial(ctx, p.node)
		if err == nil {
			failures = 0
			if l.adopt(p.node, session, version) {
				select {
				case <-session.CloseChan():
				case <-ctx.Done():
				}
				l.drop(p, session)
			} else {
				_ = session.Close()
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if failures%30 == 5 { // at first it may not have heard of this node
			l.o.Log.Warn("no link to a node", "node", p.node, "tries", failures+1, "err", err)
		}
		wait := min(20*time.Millisecond<<min(failures, 6), time.Second)
		failures++
		t := time.NewTimer(wait/2 + rand.N(wait/2+1))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// adopt takes a link up. A newer one takes the place of an older.
func (l *Links) adopt(node string, session *yamux.Session, version uint64) bool {
	l.mu.Lock()
	p := l.nodes[node]
	if p == nil || l.closed {
		l.mu.Unlock()
		return false
	}
	old := p.session
	p.session, p.version = session, version
	if old == nil {
		close(p.changed)
	}
	l.work.Add(1)
	l.mu.Unlock()
	l.stats.made.Add(1)
	if old != nil {
		_ = old.Close()
	}
	go l.accept(node, p, session, version)
	return true
}

// drop notes that a link is no more.
func (l *Links) drop(p *peer, session *yamux.Session) {
	_ = session.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.session == session {
		p.session, p.changed = nil, make(chan struct{})
		l.stats.broken.Add(1)
	}
}

// accept takes the streams that the other side opens.
func (l *Links) accept(node string, p *peer, session *yamux.Session, version uint64) {
	defer l.work.Done()
	defer l.drop(p, session)
	for {
		s, err := session.AcceptStream()
		if err != nil {
			return
		}
		l.work.Add(1)
		go func() {
			defer l.work.Done()
			stream := newStream(s, version, &l.stats)
			defer stream.Close()
			l.o.Accept(node, stream)
		}()
	}
}

func (l *Links) yamux() *yamux.Config {
	c := yamux.DefaultConfig()
	c.AcceptBacklog = 16 << 10 // after a node's death many rooms ask at the same time
	c.KeepAliveInterval = l.o.Timeout / 3
	c.ConnectionWriteTimeout = l.o.Timeout
	c.StreamOpenTimeout = 0 // a stream's first answer may take the time that a room takes
	c.LogOutput = io.Discard
	return c
}

// Meet finds out whether a node at an address takes this one for another of the cluster, without being one yet.
// The error is [ErrSecret] if it does not; any other says that nobody knows.
func Meet(ctx context.Context, address string, config *tls.Config) error {
	c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return explain(err)
	}
	return c.Close()
}

// dial makes a link.
func (l *Links) dial(ctx context.Context, node string) (session *yamux.Session, version uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	address, _, _ := strings.Cut(node, "#")
	c, err := (&tls.Dialer{Config: l.o.TLS}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, 0, explain(err)
	}
	if session, version, err = l.greet(ctx, c, node); err != nil {
		_ = c.Close()
		return nil, 0, explain(err)
	}
	return session, version, nil
}

func (l *Links) greet(ctx context.Context, c net.Conn, node string) (session *yamux.Session, version uint64, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
	own := hello{min: MinVersion, max: MaxVersion, cluster: l.o.Cluster, from: l.o.Self, to: node}
	if err := writeFrame(c, own.append(nil)); err != nil {
		return nil, 0, err
	}
	b, err := readFrame(c)
	if err != nil {
		return nil, 0, err
	}
	h, err := decodeHello(b)
	if err != nil {
		return nil, 0, err
	}
	version = agree(own, h)
	switch {
	case h.refusal != "":
		return nil, 0, fmt.Errorf("%w: %s", ErrRefused, h.refusal)
	case h.from != node || h.cluster != l.o.Cluster || version == 0:
		return nil, 0, fmt.Errorf("%w: %s answers as %s", ErrRefused, node, h.from)
	case !stop():
		return nil, 0, ctx.Err()
	}
	session, err = yamux.Client(c, l.yamux())
	return session, version, err
}

// errNotKnown is what a node says to another of which it has not heard yet, or that is dead.
var errNotKnown = errors.New("this node does not know the other yet, or not any more")

// Serve accepts links until the listener or the links are closed; it closes the listener.
func (l *Links) Serve(ln net.Listener) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		_ = ln.Close()
		return ErrClosed
	}
	l.lns = append(l.lns, ln)
	l.mu.Unlock()
	defer ln.Close()
	for {
		c, err := ln.Accept()
		if err != nil {
			if l.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() { //nolint:staticcheck // out of descriptors: try again
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return err
		}
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			_ = c.Close()
			return nil
		}
		l.work.Add(1)
		l.mu.Unlock()
		go func() {
			defer l.work.Done()
			if err := l.welcome(c); err != nil {
				_ = c.Close()
				l.stats.refused.Add(1)
				level := slog.LevelWarn
				// Who is not known is heard of soon, and who says nothing only wanted to know us: see Meet.
				if errors.Is(err, errNotKnown) || err == io.EOF || l.ctx.Err() != nil {
					level = slog.LevelDebug
				}
				l.o.Log.Log(l.ctx, level, "a link was refused", "address", c.RemoteAddr().String(), "err", explain(err))
			}
		}()
	}
}

// welcome answers whoever has connected.
func (l *Links) welcome(raw net.Conn) error {
	ctx, cancel := context.WithTimeout(l.ctx, l.o.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(longAgo) })
	c := tls.Server(raw, l.o.TLS)
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	b, err := readFrame(c)
	if err != nil {
		return err
	}
	h, err := decodeHello(b)
	if err != nil {
		return err
	}
	own := hello{min: MinVersion, max: MaxVersion, cluster: l.o.Cluster, from: l.o.Self, to: h.from}
	l.mu.Lock()
	known := l.nodes[h.from] != nil
	l.mu.Unlock()
	switch {
	case h.cluster != l.o.Cluster:
		own.refusal = fmt.Sprintf("this node is of cluster %q, not %q", l.o.Cluster, h.cluster)
	case h.to != l.o.Self:
		own.refusal = fmt.Sprintf("this node is %s, not %s", l.o.Self, h.to)
	case agree(own, h) == 0:
		own.refusal = fmt.Sprintf("this node speaks versions %d to %d of the link, the other %d to %d", own.min, own.max, h.min, h.max)
	case !known:
		own.refusal = errNotKnown.Error()
	}
	if err := writeFrame(c, own.append(nil)); err != nil {
		return err
	}
	if own.refusal != "" && !known {
		return fmt.Errorf("%w: %w", ErrRefused, errNotKnown)
	}
	if own.refusal != "" {
		return fmt.Errorf("%w: %s", ErrRefused, own.refusal)
	}
	if !stop() {
		return ctx.Err()
	}
	session, err := yamux.Server(c, l.yamux())
	if err != nil {
		return err
	}
	if !l.adopt(h.from, session, agree(own, h)) {
		_ = session.Close()
	}
	return nil
}

// explain puts what TLS says of a wrong key into one line.
func explain(err error) error {
	if errors.Is(err, ErrSecret) {
		return ErrSecret
	}
	var alert tls.AlertError
	if errors.As(err, &alert) || strings.Contains(err.Error(), "bad certificate") {
		return fmt.Errorf("%w (%w)", ErrSecret, err)
	}
	return err
}

// Up reports whether there is a link to a node now.
func (l *Links) Up(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.nodes[node]
	return p != nil && p.session != nil
}

// Stats returns the counters.
func (l *Links) Stats() Stats {
	c := &l.stats
	s := Stats{SentBytes: c.sent.Load(), ReceivedBytes: c.received.Load(), Made: c.made.Load(), Broken: c.broken.Load(), Refused: c.refused.Load()}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Nodes = len(l.nodes)
	for _, p := range l.nodes {
		if p.session != nil {
			s.Links++
		}
	}
	return s
}

// Close cuts every link and waits for what runs on them. A second call does nothing.
func (l *Links) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		l.cancel()
		for node, p := range l.nodes {
			delete(l.nodes, node)
			l.end(p)
		}
		for _, ln := range l.lns {
			_ = ln.Close()
		}
	}
	l.mu.Unlock()
	l.work.Wait()
}
