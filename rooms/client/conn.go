package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

const (
	// maxRead bounds a received message: the protocol's largest, and what the envelope adds.
	maxRead = 2 * abi.MaxMessage
	// minBeat and maxBeat bound the heartbeat that a welcome asks for.
	minBeat = 50 * time.Millisecond
	maxBeat = time.Hour
	// closeBroken is what a client closes with that does not end its session (PROTOCOL.md,
	// section 5).
	closeBroken = websocket.StatusCode(abi.CodeRestarting)
)

// conn is one connection of a client. The client's goroutine reads it until the socket ends,
// whatever happens, so that the closing handshake can be read too.
type conn struct {
	c       *Client
	ws      *websocket.Conn
	form    protocol.Form
	welcome *protocol.Welcome // of the reader, and of the others once it is there
	fault   error             // of the reader: why this side ends the connection

	life context.Context // of every read and write; its end cuts the socket
	cut  context.CancelCauseFunc
	stop chan struct{} // closed by the reader: close the socket in an orderly way

	heard  atomic.Int64 // when something was read, Unix nanoseconds
	spoke  atomic.Int64 // when something was written
	silent atomic.Bool  // the writer is to send a ping
	more   atomic.Bool  // the writer is to ask for the next part of a replay
}

// connect makes one connection and stays with it until it ends.
func (c *Client) connect() (welcomed bool, end ending) {
	attempt, done := context.WithTimeout(c.ctx, c.o.ConnectTimeout)
	defer done()
	ws, err := c.dial(attempt)
	if err != nil {
		return false, endingOf(err)
	}
	k := &conn{c: c, ws: ws, form: c.o.form(), stop: make(chan struct{})}
	k.life, k.cut = context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { k.close(attempt) })
	err = k.run(&wg)
	why := context.Cause(k.life)
	k.cut(nil)
	wg.Wait()
	c.mu.Lock()
	c.link = nil
	c.dropRequests()
	c.mu.Unlock()
	switch {
	case k.fault != nil:
		return k.welcome != nil, ending{err: k.fault}
	case why != nil:
		return k.welcome != nil, ending{err: why}
	}
	return k.welcome != nil, endingOf(err)
}

// run says hello and reads until the socket ends.
func (k *conn) run(wg *sync.WaitGroup) error {
	if err := k.hello(); err != nil {
		return err
	}
	for {
		typ, b, err := k.ws.Read(k.life)
		if err != nil {
			return err
		}
		k.heard.Store(time.Now().UnixNano())
		if k.fault != nil {
			continue // it is being closed
		}
		waiting := k.welcome == nil
		if err := k.hear(typ, b); err != nil {
			k.fault = err
			close(k.stop)
			continue
		}
		if waiting && k.welcome != nil {
			wg.Go(k.write)
			wg.Go(k.beat)
		}
	}
}

// close closes the socket when the client ends, when the reader wants it, or when there is no
// welcome in time. It returns when the socket is closed.
func (k *conn) close(attempt context.Context) {
	c := k.c
	timeout := attempt.Done()
	for {
		select {
		case <-k.life.Done():
			_ = k.ws.CloseNow() // its error says that it was closed already
			return
		case <-k.stop:
			k.part(closeBroken)
			return
		case <-c.ctx.Done():
			c.mu.Lock()
			leaving := c.leaving
			c.mu.Unlock()
			if !leaving {
				k.cut(ErrClosed)
				continue
			}
			k.part(websocket.StatusNormalClosure)
			return
		case <-timeout:
			if timeout = nil; !k.open() && c.ctx.Err() == nil {
				k.cut(errNoWelcome)
			}
		}
	}
}

// part closes with a handshake that the peer cannot draw out.
func (k *conn) part(code websocket.StatusCode) {
	t := time.AfterFunc(k.c.o.CloseTimeout, func() { k.cut(nil) })
	defer t.Stop()
	_ = k.ws.Close(code, "") // the peer may have gone
}

func (k *conn) open() bool {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	return k.c.link == k
}

// hello introduces the client.
func (k *conn) hello() error {
	place := k.c.Place()
	m := protocol.ClientMessage{
		Type: protocol.TypeHello, Session: place.Session,
		Incarnation: place.Incarnation, Offset: place.Offset, HasOffset: place.Known,
		Payload: k.c.o.Hello,
	}
	return k.send(m.Append(nil, k.form))
}

// send writes text or binary, as the form has it.
func (k *conn) send(b []byte) error {
	typ := websocket.MessageText
	if k.form == protocol.Binary {
		typ = websocket.MessageBinary
	}
	err := k.ws.Write(k.life, typ, b)
	k.spoke.Store(time.Now().UnixNano())
	return err
}

// beat has the writer ask for a sign of life, and gives the connection up when there is none for
// two heartbeats. It never writes itself: on a dead line a write may wait for ever.
func (k *conn) beat() {
	if k.welcome.Heartbeat == 0 {
		return
	}
	every := max(milliseconds(k.welcome.Heartbeat, maxBeat), minBeat)
	t := time.NewTicker(every / 4)
	defer t.Stop()
	for {
		select {
		case <-k.life.Done():
			return
		case now := <-t.C:
			switch {
			case now.Sub(time.Unix(0, k.heard.Load())) > 2*every:
				k.cut(errSilent)
				return
			case now.Sub(time.Unix(0, k.spoke.Load())) >= every*3/4:
				k.silent.Store(true)
				k.c.stir()
			}
		}
	}
}

// write is the writer: requests and signals first, then publishes in order, as many as may be
// unanswered.
func (k *conn) write() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if k.silent.Swap(false) {
			if k.ws.Write(k.life, websocket.MessageText, []byte(protocol.PingText)) != nil {
				return
			}
			k.spoke.Store(time.Now().UnixNano())
		}
		batch, wait := k.collect()
		for _, b := range batch {
			if k.send(b) != nil {
				return // the read ends too, and says why
			}
		}
		if len(batch) > 0 {
			continue
		}
		if wait == 0 {
			wait = time.Hour
		}
		timer.Reset(max(wait, time.Millisecond))
		select {
		case <-k.c.wake:
		case <-timer.C:
		case <-k.life.Done():
			return
		case <-k.c.ctx.Done():
			return
		case <-k.stop:
			return
		}
	}
}

// maxBatch bounds what is encoded before it is written.
const maxBatch = 16

// collect takes what can be written now.
func (k *conn) collect() (batch [][]byte, wait time.Duration) {
	if k.more.Swap(false) {
		m := protocol.ClientMessage{Type: protocol.TypeMore}
		batch = append(batch, m.Append(nil, k.form))
	}
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	batch = append(batch, c.outbox...)
	c.outbox = nil
	open := int(min(max(k.welcome.LimitOpen, 1), protocol.MaxOpen))
	for len(batch) < maxBatch {
		p, seq, d := c.queue.peek(open, time.Now())
		if p == nil {
			return batch, d
		}
		m := protocol.ClientMessage{Type: protocol.TypePublish, Seq: seq, Event: p.event, Payload: p.payload}
		b := m.Append(nil, k.form)
		if !p.sent && k.tooLarge(b) {
			c.queue.refuse(errTooLarge())
			continue
		}
		c.queue.send()
		batch = append(batch, b)
	}
	return batch, 0
}

// tooLarge reports what the server would close the connection for, for good.
func (k *conn) tooLarge(b []byte) bool {
	return k.welcome.LimitMessage > 0 && uint64(len(b)) > k.welcome.LimitMessage
}

func errTooLarge() *RoomError {
	return &RoomError{Code: abi.CodeTooLarge.String(), Text: "the message is larger than the room takes"}
}
