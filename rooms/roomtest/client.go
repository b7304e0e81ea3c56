package roomtest

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Client is one connection as its client sees it.
type Client struct {
	// ID is the connection's.
	ID   uint64
	User string
	host *Host
	// Protocol is the subprotocol it asked for.
	Protocol string

	inbox  []rooms.Message
	closed bool
	code   abi.Code
	reason string
}

// A ConnectOption changes how a client connects.
type ConnectOption func(*abi.ConnectEvent)

// WithProtocol connects with a WebSocket subprotocol.
func WithProtocol(p string) ConnectOption {
	return func(e *abi.ConnectEvent) { e.Connection.Protocol = p }
}

// WithClaims connects with claims, a JSON object.
func WithClaims(json string) ConnectOption {
	return func(e *abi.ConnectEvent) { e.Connection.Claims = []byte(json) }
}

// WithQuery connects with a query.
func WithQuery(q string) ConnectOption { return func(e *abi.ConnectEvent) { e.Query = q } }

// Connect attaches a new client and returns it; [Client.Closed] says if the room refused.
func (h *Host) Connect(user string, options ...ConnectOption) *Client {
	h.lastID++
	e := &abi.ConnectEvent{Address: "192.0.2.1"}
	e.Connection = abi.Connection{ID: h.lastID, User: user, Since: uint64(h.now.UnixMilli())}
	for _, o := range options {
		o(e)
	}
	c := &Client{ID: h.lastID, User: user, Protocol: e.Connection.Protocol, host: h}
	h.clients[c.ID] = c
	h.Run(e)
	return c
}

// Send sends one text message to the room.
func (c *Client) Send(text string) { c.host.Run(c.Message(text)) }

// SendBinary sends one binary message to the room.
func (c *Client) SendBinary(b []byte) {
	c.host.Run(&abi.MessageEvent{Connection: c.ID, Encoding: abi.Binary, Data: b})
}

// Message is the event of a text message, for [Host.Run] with several events in one batch.
func (c *Client) Message(text string) abi.Event {
	return &abi.MessageEvent{Connection: c.ID, Encoding: abi.Text, Data: []byte(text)}
}

// Close ends the connection from the client's side.
func (c *Client) Close() { c.Drop(abi.CodeNormal) }

// Drop ends the connection with a code, such as [abi.CodeAbnormal] for a broken line.
func (c *Client) Drop(code abi.Code) {
	if c.closed {
		return
	}
	c.closed, c.code = true, code
	c.host.Run(&abi.CloseEvent{Connection: c.ID, Code: code, Clean: code == abi.CodeNormal})
}

// Messages returns what has arrived since the last call of Messages or Texts.
func (c *Client) Messages() []rooms.Message {
	m := c.inbox
	c.inbox = nil
	return m
}

// Texts is Messages as strings.
func (c *Client) Texts() []string {
	var out []string
	for _, m := range c.Messages() {
		out = append(out, string(m.Data))
	}
	return out
}

// Closed reports whether the connection has ended, and how the room closed it.
func (c *Client) Closed() (code abi.Code, reason string, closed bool) {
	return c.code, c.reason, c.closed
}
