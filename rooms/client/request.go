package client

import (
	"context"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// answer is what a request gets.
type answer struct {
	payload protocol.Payload
	err     error
}

// maxOutbox bounds the signals and requests that wait to be written.
const maxOutbox = 256

// Request asks the room, and waits for its answer. Requests are not repeated: when the connection
// ends first or something on it may have been lost, when there is none, or when too many wait to be
// written, the error is [ErrDisconnected]. A *[RoomError] is the room's, or says that the request is
// larger than the room takes.
func (c *Client) Request(ctx context.Context, event string, p protocol.Payload) (protocol.Payload, error) {
	if err := check(event, p); err != nil {
		return protocol.Payload{}, err
	}
	got := make(chan answer, 1)
	c.mu.Lock()
	c.requestID++
	id := c.requestID
	m := protocol.ClientMessage{Type: protocol.TypeRequest, ID: id, HasID: true, Event: event, Payload: p}
	if err := c.post(&m); err != nil {
		c.mu.Unlock()
		return protocol.Payload{}, err
	}
	c.requests[id] = got
	c.mu.Unlock()
	c.stir()
	select {
	case a := <-got:
		return a.payload, a.err
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.requests, id)
		c.mu.Unlock()
		return protocol.Payload{}, ctx.Err()
	}
}

// History reads a page of the room's history.
func (c *Client) History(ctx context.Context, q protocol.HistoryQuery) (protocol.HistoryPage, error) {
	p, err := c.Request(ctx, protocol.RequestHistory, q.Payload(c.o.form()))
	if err != nil {
		return protocol.HistoryPage{}, err
	}
	return protocol.DecodeHistoryPage(p, c.o.form())
}

// Members reads a page of the room's members.
func (c *Client) Members(ctx context.Context, q protocol.MembersQuery) (protocol.MembersPage, error) {
	p, err := c.Request(ctx, protocol.RequestMembers, q.Payload(c.o.form()))
	if err != nil {
		return protocol.MembersPage{}, err
	}
	return protocol.DecodeMembersPage(p, c.o.form())
}

// Signal sends an ephemeral message. It is lost with the connection; without one, or when
// too many wait to be written, it is dropped and the error is [ErrDisconnected].
func (c *Client) Signal(event string, p protocol.Payload) error {
	if err := check(event, p); err != nil {
		return err
	}
	m := protocol.ClientMessage{Type: protocol.TypeSignal, Event: event, Payload: p}
	c.mu.Lock()
	err := c.post(&m)
	c.mu.Unlock()
	c.stir()
	return err
}

// post puts a message that is not repeated into the outbox. mu is held.
func (c *Client) post(m *protocol.ClientMessage) error {
	if c.link == nil || len(c.outbox) >= maxOutbox {
		return ErrDisconnected
	}
	b := m.Append(nil, c.link.form)
	if c.link.tooLarge(b) {
		return errTooLarge()
	}
	c.outbox = append(c.outbox, b)
	return nil
}

// dropRequests fails every request of a connection that has ended. mu is held.
func (c *Client) dropRequests() {
	for id, got := range c.requests {
		got <- answer{err: ErrDisconnected}
		delete(c.requests, id)
	}
	c.outbox = nil
}
