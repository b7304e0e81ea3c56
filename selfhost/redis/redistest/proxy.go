package redistest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// A Proxy is the way from a client to a server, which a test can break. It starts whole.
type Proxy struct {
	// Addr is the host:port to connect to.
	Addr string
	l    net.Listener
	wg   sync.WaitGroup

	mu      sync.Mutex // guards all below
	change  sync.Cond  // something of them changed
	conns   map[net.Conn]bool
	closed  bool
	to      string
	refuse  bool
	asks    way // from the clients to the server
	answers way
	// strand is the text that strands a connection; empty: none.
	strand   string
	stranded map[net.Conn][]byte // what their clients sent since
}

// A way is one direction of a [Proxy].
type way struct {
	hold, drop bool
	dropped    int // how often bytes were dropped
}

// NewProxy returns a proxy to a server, closed when the test ends.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), to: to, l: l, conns: map[net.Conn]bool{}, stranded: map[net.Conn][]byte{}}
	p.change.L = &p.mu
	p.wg.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// URL returns the URL of the server behind the proxy.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

func (p *Proxy) close() {
	_ = p.l.Close()
	p.mu.Lock()
	p.closed = true
	p.change.Broadcast()
	p.mu.Unlock()
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(c) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.keep(client) {
		return
	}
	defer p.lose(client)
	p.mu.Lock()
	to := p.to
	p.mu.Unlock()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.keep(server) {
		return
	}
	defer p.lose(server)
	var both sync.WaitGroup
	pass := func(to, from net.Conn, w *way) {
		// One side's end is the other's too, at once: a dead connection is what tests want.
		defer to.Close()
		defer from.Close()
		p.pass(to, from, w)
	}
	both.Go(func() { pass(server, client, &p.asks) })
	both.Go(func() { pass(client, server, &p.answers) })
	both.Wait()
}

func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) lose(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) pass(to, from net.Conn, w *way) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !(w == &p.asks && p.strands(from, buf[:n])) && p.wait(w) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait waits while the way is held, and reports whether the bytes go on.
func (p *Proxy) wait(w *way) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w.hold && !w.drop && !p.closed {
		p.change.Wait()
	}
	if w.drop {
		w.dropped++
		p.change.Broadcast()
	}
	return !w.drop
}

// strands keeps what a client sends on a connection that is stranded, or is from here on.
func (p *Proxy) strands(from net.Conn, b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent, ok := p.stranded[from]
	if !ok && (p.strand == "" || !bytes.Contains(b, []byte(p.strand))) {
		return false
	}
	p.stranded[from] = append(sent, b...)
	return true
}

func (p *Proxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.change.Broadcast()
}

// DropAnswers throws away what the server answers, or no longer does: scripts run, and nobody hears
// of it. [Proxy.Cut] then, or the clients wait for what will not come.
func (p *Proxy) DropAnswers(drop bool) { p.set(func() { p.answers.drop = drop }) }

// Dropped returns how often answers were dropped.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers.dropped
}

// AwaitDropped waits until answers were dropped so often.
func (p *Proxy) AwaitDropped(times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.answers.dropped < times && !p.closed {
		p.change.Wait()
	}
}

// HoldAsks keeps what the clients send on its way, until it is let go.
func (p *Proxy) HoldAsks(hold bool) { p.set(func() { p.asks.hold = hold }) }

// HoldAnswers keeps what the server answers on its way, until it is let go.
func (p *Proxy) HoldAnswers(hold bool) { p.set(func() { p.answers.hold = hold }) }

// Strand loses the connections on which a text comes: it, and what is sent behind it, does not reach the
// server. Other connections do. Empty: no more are lost.
func (p *Proxy) Strand(text string) { p.set(func() { p.strand = text }) }

// Stranded returns what was sent on each lost connection, from the text on. A test can have it arrive
// after all, late.
func (p *Proxy) Stranded() (sent [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.stranded {
		sent = append(sent, bytes.Clone(b))
	}
	return sent
}

// Refuse closes new connections at once, or no longer does.
func (p *Proxy) Refuse(refuse bool) { p.set(func() { p.refuse = refuse }) }

// To sends connections that come from now on to another server.
func (p *Proxy) To(addr string) { p.set(func() { p.to = addr }) }

// Cut breaks all connections. What a client sent before may still reach the server.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}
