package client

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// hear takes one frame in, on the client's goroutine. An error ends the connection, not the client.
func (k *conn) hear(typ websocket.MessageType, b []byte) error {
	if typ == websocket.MessageText && string(b) == protocol.PongText {
		return nil
	}
	if typ == websocket.MessageText && string(b) == protocol.ResyncFrame {
		k.resync()
		return nil
	}
	if binary := typ == websocket.MessageBinary; binary != (k.form == protocol.Binary) {
		return fmt.Errorf("%w: a frame of the other sort", errBroken)
	}
	m, err := protocol.DecodeRoom(k.form, b)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	w, ok := m.(*protocol.Welcome)
	switch {
	case k.welcomed() && ok:
		return fmt.Errorf("%w: a second welcome", errBroken)
	case k.welcomed():
		return k.handle(m)
	case ok && w.ID == k.hellos && w.HasID == (k.hellos > 0):
		return k.enter(w)
	}
	return nil // nothing of it can be for this client, or all of it will come again
}

// welcomed reports whether the newest hello has its answer.
func (k *conn) welcomed() bool {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	return k.c.link == k
}

// resync says hello again: something may have been lost on this connection.
func (k *conn) resync() {
	c := k.c
	k.timer.Stop()
	k.await(c.o.ConnectTimeout)
	again := func() {
		c.link = nil
		c.dropRequests()
		k.hellos++
		k.greet, k.more = true, false
	}
	if k.welcomed() {
		c.become(State{Phase: Connecting}, again)
	} else {
		c.mu.Lock()
		again()
		c.mu.Unlock()
	}
	c.stir()
}

// enter takes over the session and the place.
func (k *conn) enter(w *protocol.Welcome) error {
	c := k.c
	k.timer.Stop()
	c.mu.Lock()
	place := &c.place
	switch {
	case w.Session == "", w.Resumed && !place.Known:
		c.mu.Unlock()
		return fmt.Errorf("%w: a welcome that answers another hello", errBroken)
	case w.Session != place.Session:
		c.queue.lost()
		place.Session = w.Session
	case !c.queue.follows(w.Seq):
		place.Session = ""
		c.queue.lost()
		c.mu.Unlock()
		return errLost
	}
	c.queue.connected(w.Seq)
	if !w.Resumed {
		place.Incarnation, place.Offset, place.Known = w.Incarnation, w.Offset, true
	}
	k.welcome = w
	c.mu.Unlock()
	k.every.Store(int64(heartbeat(w)))
	if c.o.Welcome != nil {
		c.o.Welcome(w)
	}
	if !w.Resumed && w.Reason != protocol.ReasonNew && c.o.Gap != nil {
		c.o.Gap(w.Reason)
	}
	if c.o.Presence != nil {
		c.o.Presence(&protocol.Presence{Whole: true, Members: w.Members, Counts: w.Counts})
	}
	c.become(State{Phase: Open}, func() { c.link = k })
	c.stir()
	return nil
}

func (k *conn) handle(m protocol.RoomMessage) error {
	c := k.c
	switch m := m.(type) {
	case *protocol.Event:
		return k.event(m)
	case *protocol.Ack:
		return k.answer(m.Seq, m.Offset, nil)
	case *protocol.ErrorMessage:
		return k.refusal(m)
	case *protocol.Response:
		k.respond(m.ID, answer{payload: clone(m.Payload)})
	case *protocol.Signal:
		if event, ok := strings.CutPrefix(m.Name, protocol.NotifyPrefix); ok {
			if c.o.Notify != nil {
				c.o.Notify(event, m.Payload)
			}
		} else if c.o.Signal != nil {
			c.o.Signal(m)
		}
	case *protocol.Presence:
		if c.o.Presence != nil {
			c.o.Presence(m)
		}
	case *protocol.Part:
		c.mu.Lock()
		k.more = true
		c.mu.Unlock()
		c.stir()
	}
	return nil
}

// event hands a durable event on exactly once.
func (k *conn) event(m *protocol.Event) error {
	c := k.c
	if at := c.Place().Offset; m.Offset > 0 && m.Offset != at+1 {
		if !k.holed { // not a second time
			k.holed = true
			k.resync()
			return nil
		}
		return fmt.Errorf("%w: event %d after event %d", errBroken, m.Offset, at)
	}
	if c.o.Event != nil {
		c.o.Event(m)
	}
	if m.Offset > 0 { // only now: whoever resumes at the place has handled the event
		c.mu.Lock()
		c.place.Offset = m.Offset
		if m.Incarnation != "" {
			c.place.Incarnation = m.Incarnation
		}
		c.mu.Unlock()
	}
	return nil
}

// answer gives a publish its final answer.
func (k *conn) answer(seq, offset uint64, err error) error {
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.queue.answer(seq, offset, err) {
		return fmt.Errorf("%w: an answer to publish %d", errBroken, seq)
	}
	c.stir()
	return nil
}

// refusal deals with an error message.
func (k *conn) refusal(m *protocol.ErrorMessage) error {
	retry := milliseconds(m.Retry, maxHint)
	fault := &RoomError{Code: m.Code, Text: m.Text, Retry: retry, Retryable: m.Retryable}
	switch {
	case m.HasID:
		k.respond(m.ID, answer{err: fault})
	case m.Seq == 0: // of a signal, or of what could not be read
	case m.Code == abi.CodeSessionLost.String() && !m.Retryable:
		return k.lost()
	case !m.Retryable:
		return k.answer(m.Seq, 0, fault)
	default:
		return k.retry(m, retry)
	}
	return nil
}

// retry writes a refused publish, and all after it, once more.
func (k *conn) retry(m *protocol.ErrorMessage, wait time.Duration) error {
	c := k.c
	c.mu.Lock()
	if !c.queue.again(m.Seq, wait, time.Now()) {
		c.mu.Unlock()
		return fmt.Errorf("%w: an answer to publish %d", errBroken, m.Seq)
	}
	behind := m.Expected > 0 && m.Expected <= c.queue.last
	c.mu.Unlock()
	if behind { // it has lost what it acknowledged
		return k.lost()
	}
	c.stir()
	return nil
}

// lost gives the session up.
func (k *conn) lost() error {
	c := k.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.place.Session = ""
	c.queue.lost()
	return errLost
}

func (k *conn) respond(id uint64, a answer) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if got := k.c.requests[id]; got != nil {
		got <- a
		delete(k.c.requests, id)
	}
}

// clone copies what aliases the read buffer.
func clone(p protocol.Payload) protocol.Payload {
	p.Data = slices.Clone(p.Data)
	return p
}
