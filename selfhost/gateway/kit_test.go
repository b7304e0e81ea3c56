package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// patience bounds every wait of these tests. It is long because the machine may be busy.
const patience = time.Minute

// fakeRooms is a Rooms that echoes. Its hooks replace what it does.
type fakeRooms struct {
	mu    sync.Mutex // guards kinds and live
	kinds map[string]abi.KindOptions
	live  map[uint64]*Connection

	onConnect func(*Connection, *abi.ConnectEvent) error
	onMessage func(*Connection, abi.Encoding, []byte) error
	onRequest func(context.Context, string, string, *abi.RequestEvent) (*abi.RespondEffect, error)
	space     func(*Connection) <-chan struct{}

	connected chan *Connection
	closed    chan closing
}

type closing struct {
	conn   *Connection
	code   abi.Code
	reason string
	clean  bool
}

func newFakeRooms(kinds ...abi.KindOptions) *fakeRooms {
	f := &fakeRooms{
		kinds:     make(map[string]abi.KindOptions),
		live:      make(map[uint64]*Connection),
		connected: make(chan *Connection, 4096),
		closed:    make(chan closing, 4096),
	}
	for _, k := range append(kinds, abi.KindOptions{Name: "echo"}) {
		f.kinds[k.Name] = k.WithDefaults()
	}
	return f
}

func (f *fakeRooms) Kind(name string) (abi.KindOptions, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.kinds[name]
	return k, ok
}

func (f *fakeRooms) Connect(_ context.Context, c *Connection, ev *abi.ConnectEvent) error {
	if f.onConnect != nil {
		if err := f.onConnect(c, ev); err != nil {
			return err
		}
	}
	f.mu.Lock()
	f.live[c.ID] = c
	f.mu.Unlock()
	f.connected <- c
	return nil
}

func (f *fakeRooms) Message(c *Connection, enc abi.Encoding, data []byte) error {
	if f.onMessage != nil {
		return f.onMessage(c, enc, data)
	}
	c.Send(NewFrame(enc, "", data))
	return nil
}

func (f *fakeRooms) Space(c *Connection) <-chan struct{} {
	if f.space != nil {
		return f.space(c)
	}
	return closedChan
}

func (f *fakeRooms) Closed(c *Connection, code abi.Code, reason string, clean bool) {
	f.mu.Lock()
	_, ok := f.live[c.ID]
	delete(f.live, c.ID)
	f.mu.Unlock()
	if !ok {
		panic("Closed for a connection that is not open")
	}
	f.closed <- closing{c, code, reason, clean}
}

func (f *fakeRooms) Request(ctx context.Context, kind, room string, ev *abi.RequestEvent) (*abi.RespondEffect, error) {
	if f.onRequest != nil {
		return f.onRequest(ctx, kind, room, ev)
	}
	return &abi.RespondEffect{Request: ev.ID, Status: 200, Body: ev.Body}, nil
}

// admitAll takes "?user=" for a credential.
var admitAll = AdmitFunc(func(_ context.Context, r *http.Request, _ abi.KindOptions, _ string) (Identity, error) {
	return Identity{User: r.URL.Query().Get("user")}, nil
})

// server is a gateway behind a real http.Server on loopback.
type server struct {
	t     testing.TB
	g     *Gateway
	rooms *fakeRooms
	http  *httptest.Server
	tls   bool
}

type setup struct {
	options Options
	server  ServerOptions
	kinds   []abi.KindOptions
	rooms   *fakeRooms
	tls     bool
}

func start(t testing.TB, s setup) *server {
	t.Helper()
	rooms := s.rooms
	if rooms == nil {
		rooms = newFakeRooms(s.kinds...)
	}
	s.options.Rooms = rooms
	or[Admitter](&s.options.Admitter, nil)
	if s.options.Admitter == nil {
		s.options.Admitter = admitAll
	}
	or(&s.options.AttemptsPerSecond, -1)
	or(&s.options.CloseTimeout, patience)
	g, err := New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.server.Handler, s.server.Gateway = g, g
	h := httptest.NewUnstartedServer(nil)
	h.Config = NewHTTPServer(s.server)
	if s.tls {
		h.StartTLS()
	} else {
		h.Start()
	}
	srv := &server{t: t, g: g, rooms: rooms, http: h, tls: s.tls}
	t.Cleanup(func() {
		g.Close()
		h.Close()
		if n := g.Stats(); n.Connections != 0 || n.Sockets != 0 {
			t.Errorf("after Close %d connections and %d sockets are left", n.Connections, n.Sockets)
		}
		rooms.mu.Lock()
		defer rooms.mu.Unlock()
		if len(rooms.live) != 0 {
			t.Errorf("%d connections were never reported closed", len(rooms.live))
		}
	})
	return srv
}

func (s *server) url(path string) string {
	return "ws" + strings.TrimPrefix(s.http.URL, "http") + path
}

func (s *server) dial(path string, o *websocket.DialOptions) *websocket.Conn {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.HTTPClient = s.http.Client()
	c, _, err := websocket.Dial(ctx, s.url(path), o)
	if err != nil {
		s.t.Fatalf("dial %s: %v", path, err)
	}
	c.SetReadLimit(-1)
	s.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

// open dials and returns both ends.
func (s *server) open(path string, o *websocket.DialOptions) (*websocket.Conn, *Connection) {
	s.t.Helper()
	c := s.dial(path, o)
	return c, receive(s.t, s.rooms.connected)
}

func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// closedAs waits for the room to be told that its connection ended.
func (s *server) closedAs(code abi.Code, clean bool) closing {
	s.t.Helper()
	c := receive(s.t, s.rooms.closed)
	if c.code != code || c.clean != clean {
		s.t.Errorf("the room was told %v %q clean=%v, want %v clean=%v", c.code, c.reason, c.clean, code, clean)
	}
	return c
}

// witness is an honest client that must not notice what the others do.
type witness struct {
	t testing.TB
	c *websocket.Conn
	n int
}

func (s *server) witness() *witness {
	s.t.Helper()
	c, _ := s.open("/v1/rooms/echo/witness", nil)
	w := &witness{t: s.t, c: c}
	w.check()
	return w
}

func (w *witness) check() {
	w.t.Helper()
	w.n++
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	want := fmt.Sprintf("are you there %d", w.n)
	if err := w.c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
		w.t.Fatalf("the witness cannot write: %v", err)
	}
	_, got, err := w.c.Read(ctx)
	if err != nil || string(got) != want {
		w.t.Fatalf("the witness read %q, %v", got, err)
	}
}

// readClose reads until the close frame and checks it against the table.
func readClose(t testing.TB, c *websocket.Conn, code abi.Code) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, _, err := c.Read(ctx)
		if err == nil {
			continue
		}
		var ce websocket.CloseError
		if !errors.As(err, &ce) {
			t.Fatalf("the connection ended without a close frame: %v", err)
		}
		if abi.Code(ce.Code) != code {
			t.Fatalf("closed with %d %q, want %d %v", ce.Code, ce.Reason, code, code)
		}
		return ce.Reason
	}
}

// raw is a client that writes whatever bytes it likes.
type raw struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

// dialTCP opens a transport. A small receive buffer makes it easy to stall.
func (s *server) dialTCP() net.Conn {
	s.t.Helper()
	nc, err := net.DialTimeout("tcp", s.http.Listener.Addr().String(), patience)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := nc.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		s.t.Fatal(err)
	}
	if s.tls {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = nc.Close() })
	return nc
}

func (s *server) dialRaw(path string, headers ...string) *raw {
	s.t.Helper()
	r := &raw{t: s.t, nc: s.dialTCP()}
	r.br = bufio.NewReader(r.nc)
	head := "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	for _, h := range headers {
		head += h + "\r\n"
	}
	r.write([]byte(head + "\r\n"))
	res, err := http.ReadResponse(r.br, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("upgrade: %s", res.Status)
	}
	return r
}

func (s *server) openRaw(path string, headers ...string) (*raw, *Connection) {
	s.t.Helper()
	return s.dialRaw(path, headers...), receive(s.t, s.rooms.connected)
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.nc.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

// frame builds a masked frame with any first byte.
func frame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// next reads one frame of the server.
func (r *raw) next() (op byte, payload []byte, err error) {
	var h [2]byte
	if _, err := io.ReadFull(r.br, h[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var l [2]byte
		_, err = io.ReadFull(r.br, l[:])
		n = uint64(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		_, err = io.ReadFull(r.br, l[:])
		n = binary.BigEndian.Uint64(l[:])
	}
	if err != nil {
		return 0, nil, err
	}
	if n > 4<<20 || h[0]&0x70 != 0 {
		return 0, nil, fmt.Errorf("the server sent garbage: %x", h)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r.br, payload)
	return h[0] & 0x0f, payload, err
}

// hurry gives the client a receive buffer with which it need not dawdle any more.
func (r *raw) hurry() {
	r.t.Helper()
	if err := tcpOf(r.nc).SetReadBuffer(1 << 20); err != nil {
		r.t.Fatal(err)
	}
}

// expect reads one frame and checks it.
func (r *raw) expect(op byte, payload string) {
	r.t.Helper()
	gotOp, got, err := r.next()
	if err != nil || gotOp != op || string(got) != payload {
		r.t.Fatalf("read frame %x %q, %v; want %x %q", gotOp, got, err, op, payload)
	}
}

// expectClose reads up to the close frame and returns its reason.
func (r *raw) expectClose(code abi.Code) string {
	r.t.Helper()
	for {
		op, p, err := r.next()
		if err != nil {
			r.t.Fatalf("the connection ended without a close frame: %v", err)
		}
		if op != opClose {
			continue
		}
		if len(p) < 2 || abi.Code(binary.BigEndian.Uint16(p)) != code {
			r.t.Fatalf("close frame %q, want %d %v", p, code, code)
		}
		return string(p[2:])
	}
}

// expectEnd checks that nothing but the end of the stream comes.
func (r *raw) expectEnd() {
	r.t.Helper()
	if op, p, err := r.next(); err == nil {
		r.t.Fatalf("a frame %x %q after the close frame", op, p)
	} else if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		r.t.Fatal("the server did not end the stream")
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func closeFrame(code abi.Code, reason string) []byte {
	return frame(0x80|opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}
