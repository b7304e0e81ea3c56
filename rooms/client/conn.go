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
	c    *Client
	ws   *websocket.Conn
	form protocol.Form

	// Of the reader.
	fault  error       // why this side ends the connection
	timer  *time.Timer // of the wait for a welcome
	holed  bool        // a hole in the offsets was repaired
	hellos uint64      // after the first; it changes under c.mu

	// Guarded by c.mu.
	welcome *protocol.Welcome // the newest
	greet   bool              // the writer is to say hello
	more    bool              // the writer is to ask for the next part of a replay

	life context.Context // of every read and write; its end cuts the socket
	cut  context.CancelCauseFunc
	stop chan struct{} // closed by the reader: close the socket in an orderly way

	heard  atomic.Int64 // when something was read, Unix nanoseconds
	spoke  atomic.Int64 // when something was written
	every  atomic.Int64 // the time between heartbeats, 0 for none
	silent atomic.Bool  // the writer is to send a ping
}

// connect makes one connection and stays with it until it ends.
func (c *Client) connect() (welcomed bool, end ending) {
	attempt, done := context.WithTimeout(c.ctx, c.o.ConnectTimeout)
	defer done()
	ws, err := c.dial(attempt)
	if err != nil {
		return false, endingOf(err)
	}
	k := &conn{c: c, ws: ws, form: c.o.form(), greet: true, stop: make(chan struct{})}
	k.life, k.cut = context.WithCancelCause(context.Background())
	deadline, _ := attempt.Deadline()
	k.await(time.Until(deadline))
	var wg sync.WaitGroup
	wg.Go(k.close)
	wg.Go(k.write)
	err = k.run(&wg)
	why := context.Cause(k.life)
	k.timer.Stop()
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

// run reads until the socket ends.
func (k *conn) run(wg *sync.WaitGroup) error {
	beating := int64(0)
	for {
		typ, b, err := k.ws.Read(k.life)
		if err != nil {
			return err
		}
		k.heard.Store(time.Now().UnixNano())
		if k.fault != nil {
			continue // it is being closed
		}
		if err := k.hear(typ, b); err != nil {
			k.fault = err
			close(k.stop)
			continue
		}
		if every := k.every.Load(); every != beating {
			beating = every
			wg.Go(func() { k.beat(time.Duration(every)) })
		}
	}
}

// await ends the connection when it is not welcomed in time.
func (k *conn) await(d time.Duration) { k.timer = time.AfterFunc(d, func() { k.cut(errNoWelcome) }) }

// close closes the socket when the client ends, or when the reader wants it. It returns when the
// socket is closed.
func (k *conn) close() {
	c := k.c
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
		}
	}
}

// part closes with a handshake that the peer cannot draw out.
func (k *conn) part(code websocket.StatusCode) {
	t := time.AfterFunc(k.c.o.CloseTimeout, func() { k.cut(nil) })
	defer t.Stop()
	_ = k.ws.Close(code, "") // the peer may have gone
}

// hello introduces the client. c.mu is held.
func (k *conn) hello() []byte {
	place := k.c.place
	m := protocol.ClientMessage{
		Type: protocol.TypeHello, ID: k.hellos, HasID: k.hellos > 0, Session: place.Session,
		Incarnation: place.Incarnation, Offset: place.Offset, HasOffset: place.Known,
		Payload: k.c.o.Hello,
	}
	return m.Append(nil, k.form)
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

// heartbeat is how often a room asks for a sign of life, 0 for never.
func heartbeat(w *protocol.Welcome) time.Duration {
	if w.Heartbeat == 0 {
		return 0
	}
	return max(milliseconds(w.Heartbeat, maxBeat), minBeat)
}

// beat has the writer ask for a sign of life, and gives the connection up when there is none for
// two heartbeats. It ends when another welcome asks for another heartbeat. It never writes itself:
// on a dead line a write may wait for ever.
func (k *conn) beat(every time.Duration) {
	if every == 0 {
		return
	}
	t := time.NewTicker(every / 4)
	defer t.Stop()
	for {
		select {
		case <-k.life.Done():
			return
		case now := <-t.C:
			switch {
			case k.every.Load() != int64(every):
				return
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

// write is the writer: hello, then requests and signals, then publishes in order, as many as may be
// unanswered. Nobody else writes, so what was taken before a further hello is written before it.
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
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.greet {
		k.greet = false
		return [][]byte{k.hello()}, 0
	}
	if c.link != k {
		return nil, 0 // not welcomed
	}
	if k.more {
		k.more = false
		m := protocol.ClientMessage{Type: protocol.TypeMore}
		batch = append(batch, m.Append(nil, k.form))
	}
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

// tooLarge reports what the server would close the connection for, for good. c.mu is held.
func (k *conn) tooLarge(b []byte) bool {
	return k.welcome.LimitMessage > 0 && uint64(len(b)) > k.welcome.LimitMessage
}

func errTooLarge() *RoomError {
	return &RoomError{Code: abi.CodeTooLarge.String(), Text: "the message is larger than the room takes"}
}
