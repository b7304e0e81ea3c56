package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// each runs a test in both forms, each in a bubble of its own: time is virtual.
func each(t *testing.T, f func(t *testing.T, s *server)) {
	for _, form := range []protocol.Form{protocol.JSON, protocol.Binary} {
		t.Run(form.Subprotocol(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, newServer(t, form)) })
		})
	}
}

// server is a scripted server behind a network of pipes.
type server struct {
	t     *testing.T
	form  protocol.Form
	conns chan net.Conn // from dial to the http server
	peers chan *peer    // upgraded
	http  *http.Client
	// refuse, when set, answers in place of the upgrade.
	refuse http.HandlerFunc
	// proto, when set, is spoken in place of the form's subprotocol.
	proto string
	asked chan http.Header

	mu   sync.Mutex // guards the fields below
	down bool       // nobody listens
	line *line      // the newest
}

func newServer(t *testing.T, form protocol.Form) *server {
	s := &server{t: t, form: form, conns: make(chan net.Conn), peers: make(chan *peer, 16), asked: make(chan http.Header, 64)}
	tr := &http.Transport{DialContext: s.dial}
	s.http = &http.Client{Transport: tr}
	srv := &http.Server{Handler: s}
	served := make(chan struct{})
	l := &pipes{conns: s.conns, closed: make(chan struct{})}
	go func() { defer close(served); _ = srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
		tr.CloseIdleConnections()
	})
	return s
}

func (s *server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case s.conns <- far:
		l := &line{Conn: near, cut: make(chan struct{})}
		s.mu.Lock()
		s.line = l
		s.mu.Unlock()
		return l, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stick makes the newest line take no more bytes of the client.
func (s *server) stick() { s.mu.Lock(); s.line.stuck.Store(true); s.mu.Unlock() }

func (s *server) setDown(down bool) { s.mu.Lock(); s.down = down; s.mu.Unlock() }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked <- r.Header.Clone()
	if s.refuse != nil {
		s.refuse(w, r)
		return
	}
	proto := s.form.Subprotocol()
	if s.proto != "" {
		proto = s.proto
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{proto}})
	if err != nil {
		s.t.Error(err)
		return
	}
	ws.SetReadLimit(-1)
	ctx, cancel := context.WithCancel(context.Background())
	p := &peer{s: s, ws: ws, ctx: ctx, cancel: cancel, in: make(chan frame, 4096), ended: make(chan error, 1)}
	s.t.Cleanup(func() { cancel(); _ = ws.CloseNow() })
	go p.read()
	s.peers <- p
}

// pipes is a listener of pipes.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

type frame struct {
	typ websocket.MessageType
	b   []byte
}

// peer is the server's end of one connection.
type peer struct {
	s      *server
	ws     *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
	in     chan frame
	ended  chan error
}

func (p *peer) read() {
	defer close(p.in)
	for {
		typ, b, err := p.ws.Read(p.ctx)
		if err != nil {
			p.ended <- err
			return
		}
		p.in <- frame{typ, b}
	}
}

const patience = time.Minute // virtual

// accept waits for the next connection.
func (s *server) accept() *peer {
	s.t.Helper()
	select {
	case p := <-s.peers:
		return p
	case <-time.After(patience):
		s.t.Fatal("the client does not connect")
		return nil
	}
}

// none checks that the client does not connect for so long.
func (s *server) none(d time.Duration) {
	s.t.Helper()
	select {
	case <-s.peers:
		s.t.Fatalf("the client has connected within %v", d)
	case <-time.After(d):
	}
}

// hear returns the client's next message, other than pings.
func (p *peer) hear() protocol.ClientMessage {
	p.s.t.Helper()
	for {
		select {
		case f, ok := <-p.in:
			if !ok {
				p.s.t.Fatal("the client has closed")
			}
			if string(f.b) == protocol.PingText && f.typ == websocket.MessageText {
				continue
			}
			if binary := f.typ == websocket.MessageBinary; binary != (p.s.form == protocol.Binary) {
				p.s.t.Fatalf("a frame of the other sort: %q", f.b)
			}
			var d protocol.Decoder
			var m protocol.ClientMessage
			if err := d.Decode(&m, p.s.form, f.b); err != nil {
				p.s.t.Fatalf("%v: %q", err, f.b)
			}
			return m
		case <-time.After(patience):
			p.s.t.Fatal("the client says nothing")
		}
	}
}

// want hears a message of a type.
func (p *peer) want(typ protocol.Type) protocol.ClientMessage {
	p.s.t.Helper()
	m := p.hear()
	if m.Type != typ {
		p.s.t.Fatalf("the client said %s (%+v), want %s", m.Type, m, typ)
	}
	return m
}

// publishes hears publishes with these numbers.
func (p *peer) publishes(seqs ...uint64) (list []protocol.ClientMessage) {
	p.s.t.Helper()
	for _, seq := range seqs {
		m := p.want(protocol.TypePublish)
		if m.Seq != seq {
			p.s.t.Fatalf("publish %d, want %d", m.Seq, seq)
		}
		list = append(list, m)
	}
	return list
}

// silent checks that the client says nothing for so long, pings aside.
func (p *peer) silent(d time.Duration) {
	p.s.t.Helper()
	after := time.After(d)
	for {
		select {
		case f, ok := <-p.in:
			if !ok {
				p.s.t.Fatal("the client has closed")
			}
			if string(f.b) != protocol.PingText {
				p.s.t.Fatalf("the client said %q", f.b)
			}
		case <-after:
			return
		}
	}
}

func (p *peer) say(list ...protocol.RoomMessage) {
	p.s.t.Helper()
	for _, m := range list {
		p.raw(m.Append(nil, p.s.form))
	}
}

func (p *peer) raw(b []byte) {
	typ := websocket.MessageText
	if p.s.form == protocol.Binary {
		typ = websocket.MessageBinary
	}
	_ = p.ws.Write(p.ctx, typ, b) // the client may have given up
}

// drop cuts the connection.
func (p *peer) drop() { _ = p.ws.CloseNow() }

// close closes it with a code.
func (p *peer) close(code abi.Code, reason string) {
	_ = p.ws.Close(websocket.StatusCode(code), reason)
}

// gone waits for the client to close, and returns its code: 1006 if it sent none.
func (p *peer) gone() abi.Code {
	p.s.t.Helper()
	select {
	case err := <-p.ended:
		if code := websocket.CloseStatus(err); code >= 0 {
			return abi.Code(code)
		}
		return abi.CodeAbnormal
	case <-time.After(patience):
		p.s.t.Fatal("the client does not close")
		return 0
	}
}

// welcome is an answer to hello with the usual values.
func welcome(change ...func(*protocol.Welcome)) *protocol.Welcome {
	w := &protocol.Welcome{
		Connection: "c1", Session: "s1", Reason: protocol.ReasonNew, First: 1,
		RetentionEvents: 1000, Keep: 1000, LimitMessage: 65536, LimitOpen: 64,
	}
	for _, f := range change {
		f(w)
	}
	return w
}

// resumed is the welcome of a session that goes on.
func resumed(seq uint64) *protocol.Welcome {
	return welcome(func(w *protocol.Welcome) { w.Resumed, w.Reason, w.Seq = true, protocol.ReasonNone, seq })
}

// greet accepts a connection, hears its hello and answers.
func (s *server) greet(w *protocol.Welcome) (*peer, protocol.ClientMessage) {
	s.t.Helper()
	p := s.accept()
	hello := p.want(protocol.TypeHello)
	p.say(w)
	return p, hello
}

// client starts a client of the server.
func (s *server) client(change ...func(*Options)) *Client {
	s.t.Helper()
	o := Options{URL: "ws://room.test/v1/rooms/chat/lobby", HTTP: s.http, Binary: s.form == protocol.Binary}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Abandon)
	return c
}

// outcome is what a Publish in the background comes to.
type outcome struct {
	offset uint64
	err    error
}

func publishing(ctx context.Context, c *Client, event, data string) <-chan outcome {
	ch := make(chan outcome, 1)
	go func() {
		offset, err := c.Publish(ctx, event, protocol.JSONPayload(data))
		ch <- outcome{offset, err}
	}()
	synctest.Wait() // so that publishes queue in the order of the calls
	return ch
}

func (s *server) result(ch <-chan outcome) outcome {
	s.t.Helper()
	select {
	case o := <-ch:
		return o
	case <-time.After(patience):
		s.t.Fatal("the publish has no outcome")
		return outcome{}
	}
}

// acked checks that a publish became an event.
func (s *server) acked(ch <-chan outcome, offset uint64) {
	s.t.Helper()
	if o := s.result(ch); o.err != nil || o.offset != offset {
		s.t.Fatalf("the publish came to %+v, want offset %d", o, offset)
	}
}

// failed checks that it did not.
func (s *server) failed(ch <-chan outcome, want error) {
	s.t.Helper()
	if o := s.result(ch); !errors.Is(o.err, want) {
		s.t.Fatalf("the publish came to %+v, want %v", o, want)
	}
}

func event(offset uint64, data string) *protocol.Event {
	return &protocol.Event{Name: "message", Offset: offset, From: "ann", Time: 1, Payload: protocol.JSONPayload(data)}
}
