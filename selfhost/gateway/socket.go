package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Socket is one client's WebSocket. coder/websocket does the handshake, the reading of
// frames, the control frames and the answer to the client's close; it sees this type
// as its net.Conn. Everything that we send goes past it: prepared frames are written
// under the socket's mutex, without blocking, and what the kernel does not take waits in
// a bounded queue for a goroutine that exists only as long as something waits.
type Socket struct {
	g    *Gateway
	nc   net.Conn
	raw  *rawConn // nil: the portable path
	ws   *websocket.Conn
	conn Connection
	// address is whose share of the sockets this one takes.
	address netip.Prefix
	// users are the reader and the descriptor; when both are done, the gateway forgets us.
	users atomic.Int32

	maxMessage int
	maxQueue   int
	overflow   abi.Overflow
	rate       float64 // messages per second
	burst      float64 // messages at once
	protocol   *protocol

	heard  atomic.Uint32 // the beat in which a whole message or control frame came last
	pinged atomic.Uint32 // the beat of the last ping of ours
	since  uint32        // the beat of the connect
	// expires is the beat at which the credential ends; 0: never.
	expires uint32
	spoke   atomic.Bool // a message for the room has come
	ending  atomic.Bool // a copy of state != 0, to be read without the mutex
	parked  atomic.Bool // the reader waits for the room, so silence is our own doing

	reader reader // owned by the reader's goroutine

	mu       sync.Mutex // guards the fields below, and every write to the socket
	state    socketState
	queue    queue
	flushing bool // a flusher runs
	// code and reason say why we closed; code is 0 if we did not.
	code    abi.Code
	reason  string
	failed  abi.Code // what coder told the client on its own behalf: a protocol error
	closeBy time.Time
	wake    chan struct{} // closed when the socket ends; made by who waits
}

// reader is what the reader's goroutine alone touches.
type reader struct {
	left     []byte // what net/http had read beyond the request
	br       *bufio.Reader
	message  int  // bytes from the wire since the message began
	within   bool // a message has begun and not ended
	broken   bool // the network failed, so what coder reports is not a protocol error
	bounded  bool // message is checked against its bound
	messages bucket
	controls bucket
}

// socketState is a set of the flags below; 0 is an open socket.
type socketState uint8

const (
	// stateClosing: a close frame was written or queued; nothing follows it.
	stateClosing socketState = 1 << iota
	// stateCut: the socket is of no use any more; nothing is written.
	stateCut
	// stateReleased: coder has closed us; the flusher closes the descriptor when the
	// queue, with the close frame in it, is empty.
	stateReleased
	// stateShut: the descriptor is closed, or about to be, and must not be touched: its
	// number may already be another socket's.
	stateShut
)

const (
	// readBuffer is what coder reads ahead: enough for a small message with its head in
	// one system call.
	readBuffer = 256
	// writeBuffer holds any control frame, so that each comes in exactly one Write.
	writeBuffer = 128
	// messageSlack is what a message may take on the wire beside its size and a
	// quarter of it: heads of fragments, and control frames between them.
	messageSlack = 4096
)

var (
	_ net.Conn      = (*Socket)(nil)
	_ http.Hijacker = (*hijacker)(nil)
)

// hijacker is the ResponseWriter that coder's Accept gets: it hands out the Socket in
// place of net/http's connection, with buffers much smaller than net/http's.
type hijacker struct {
	http.ResponseWriter
	s *Socket
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	s := h.s
	if n := rw.Reader.Buffered(); n > 0 {
		// A copy: the buffer is net/http's.
		s.reader.left = make([]byte, n)
		if _, err := io.ReadFull(rw.Reader, s.reader.left); err != nil {
			return nil, nil, errors.Join(err, nc.Close())
		}
	}
	s.nc = nc
	s.raw = s.g.tune(nc)
	s.reader.br = bufio.NewReaderSize(s, readBuffer)
	return s, bufio.NewReadWriter(s.reader.br, bufio.NewWriterSize(s, writeBuffer)), nil
}

// tune sets the socket's options and returns the raw path to it, if there is one.
func (g *Gateway) tune(nc net.Conn) *rawConn {
	if tcp := tcpOf(nc); tcp != nil {
		// Without it the kernel takes megabytes for a client that does not read, before
		// our own bound is felt. An error leaves the kernel's default: worse, not wrong.
		_ = tcp.SetWriteBuffer(g.opts.SendBuffer)
	}
	if g.opts.PortableWrites {
		return nil
	}
	return newRawConn(nc)
}

// tcpOf returns the TCP connection in or under nc, or nil.
func tcpOf(nc net.Conn) *net.TCPConn {
	switch c := nc.(type) {
	case *net.TCPConn:
		return c
	case interface{ NetConn() net.Conn }: // *tls.Conn
		return tcpOf(c.NetConn())
	}
	return nil
}

// Read is for coder alone, in the reader's goroutine.
func (s *Socket) Read(p []byte) (n int, err error) {
	r := &s.reader
	if len(r.left) > 0 {
		n = copy(p, r.left)
		if r.left = r.left[n:]; len(r.left) == 0 {
			r.left = nil
		}
	} else if n, err = s.nc.Read(p); err != nil {
		r.broken = true
	}
	r.message += n
	if r.bounded && r.message > s.maxMessage+s.maxMessage/4+messageSlack {
		return 0, errFragmented
	}
	return n, err
}

// Write is for coder alone: pongs, the answer to the client's close, and the close after a
// protocol error, each in one call because of writeBuffer.
func (s *Socket) Write(p []byte) (int, error) {
	op, payload, ok := controlFrame(p)
	if !ok {
		return 0, errNotControl
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state&(stateCut|stateReleased|stateShut) != 0:
		return 0, net.ErrClosed
	case s.state&stateClosing != 0:
		// Nothing follows a close frame, and to coder it is as if it had written.
		return len(p), nil
	}
	b := append([]byte(nil), p...) // p is coder's buffer
	if op == opClose {
		s.setState(stateClosing)
		s.closeBy = time.Now().Add(s.g.opts.CloseTimeout)
		if len(payload) >= 2 {
			if code := abi.Code(payload[0])<<8 | abi.Code(payload[1]); code == abi.CodeProtocolError {
				s.failed = code
				b = appendCloseFrame(b[:0], code, abi.CloseReason(code, 0, string(payload[2:])))
			}
		}
		s.writeOrQueue(b)
		return len(p), nil
	}
	if s.queue.bytes+len(b) > s.maxQueue {
		s.overflowed()
		return len(p), nil
	}
	s.writeOrQueue(b)
	return len(p), nil
}

// Close is for coder alone. It comes right behind the answer to the client's close, so
// while bytes wait it only lets go: the flusher closes the descriptor.
func (s *Socket) Close() error {
	s.mu.Lock()
	if s.state&(stateReleased|stateShut) != 0 {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.setState(stateReleased)
	if s.queue.bytes > 0 && s.state&(stateClosing|stateCut) == stateClosing && time.Now().Before(s.closeBy) {
		by := s.closeBy
		s.mu.Unlock()
		// The write deadline bounds the flusher, the read deadline frees whoever reads.
		return errors.Join(s.nc.SetWriteDeadline(by), s.nc.SetReadDeadline(longAgo))
	}
	s.setState(stateShut)
	s.queue.reset()
	s.mu.Unlock()
	return s.shut()
}

// shut closes the descriptor. The caller has set stateShut, which only one can.
func (s *Socket) shut() error {
	err := s.nc.Close()
	s.leave()
	return err
}

// leave is called once when the reader is done, and once when the descriptor is closed.
func (s *Socket) leave() {
	if s.users.Add(-1) == 0 {
		s.g.forget(s)
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// setState adds a flag and frees who waits for the end. mu is held.
func (s *Socket) setState(flag socketState) {
	s.state |= flag
	s.ending.Store(true)
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// ended returns a channel that is closed as soon as the socket is not open any more.
func (s *Socket) ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != 0 {
		return closedChan
	}
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return s.wake
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (s *Socket) queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queue.bytes
}

// LocalAddr and the methods below complete net.Conn; coder uses none of them.
func (s *Socket) LocalAddr() net.Addr { return s.nc.LocalAddr() }

// RemoteAddr is the other end of the transport, which may be a proxy.
func (s *Socket) RemoteAddr() net.Addr { return s.nc.RemoteAddr() }

// SetDeadline sets both deadlines of the transport.
func (s *Socket) SetDeadline(t time.Time) error { return s.nc.SetDeadline(t) }

// SetReadDeadline sets the read deadline of the transport.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.nc.SetReadDeadline(t) }

// SetWriteDeadline sets the write deadline of the transport.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.nc.SetWriteDeadline(t) }
