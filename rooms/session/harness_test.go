package session_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// parlorModule makes a module with one kind, "parlor". Unless the test says otherwise, no rate gets
// in its way: the tests' clock stands still.
func parlorModule(o session.Options) *rooms.Module {
	m := &rooms.Module{}
	if o.Room.MessagesPerSecond == 0 {
		o.Room.MessagesPerSecond, o.Room.MessageBurst = 100_000, 100_000
	}
	session.RegisterIn(m, "parlor", func() session.Kind { return parlor{} }, o)
	return m
}

// A mode is one way in which every rule must hold.
type mode struct {
	form  protocol.Form
	sleep bool
}

// each runs a test in both forms, and with and without a sleep after each turn.
func each(t *testing.T, o session.Options, f func(t *testing.T, h *parlorHost)) {
	t.Helper()
	for _, m := range []mode{{protocol.JSON, false}, {protocol.JSON, true}, {protocol.Binary, false}, {protocol.Binary, true}} {
		t.Run(fmt.Sprintf("%s,sleep=%v", m.form.Subprotocol(), m.sleep), func(t *testing.T) {
			f(t, newParlor(t, o, m, roomtest.Options{}))
		})
	}
}

// parlorHost is a roomtest host of a parlor with clients that speak the protocol.
type parlorHost struct {
	*roomtest.Host
	t    testing.TB
	mode mode
	ids  uint64
}

func newParlor(t testing.TB, o session.Options, m mode, ro roomtest.Options) *parlorHost {
	ro.Module, ro.Kind, ro.SleepEachTurn = parlorModule(o), "parlor", m.sleep
	return &parlorHost{Host: roomtest.New(t, ro), t: t, mode: m}
}

// count reads one of the kind's counters.
func (h *parlorHost) count(name string) int {
	n, _ := strconv.Atoi(string(h.Storage().Rows()[name]))
	return n
}

// client is one connection that speaks the protocol.
type client struct {
	*roomtest.Client
	h       *parlorHost
	form    protocol.Form
	welcome *protocol.Welcome
	seq     uint64
	hellos  uint64 // after the first
	// The client's place in history.
	incarnation string
	offset      uint64
	unread      []protocol.RoomMessage // decoded and not yet returned
}

// connect attaches a client that has not said hello.
func (h *parlorHost) connect(user string) *client { return h.connectForm(user, h.mode.form) }

func (h *parlorHost) connectForm(user string, f protocol.Form) *client {
	return &client{Client: h.Connect(user, roomtest.WithProtocol(f.Subprotocol())), h: h, form: f}
}

// join attaches a client that says hello and takes its welcome.
func (h *parlorHost) join(user string) *client {
	h.t.Helper()
	return h.connect(user).hello(protocol.ClientMessage{})
}

// lose throws away what has arrived and was not read: it was lost on its way.
func (c *client) lose() { c.Client.Messages() }

// again is a hello on the same connection, after something may have been lost.
func (c *client) again() protocol.ClientMessage {
	c.lose()
	c.unread = nil
	c.hellos++
	m := c.at(c.incarnation, c.offset)
	m.ID, m.HasID = c.hellos, true
	return m
}

// hello says hello and takes the welcome; what follows it stays to be read.
func (c *client) hello(m protocol.ClientMessage) *client {
	c.h.t.Helper()
	m.Type = protocol.TypeHello
	c.incarnation, c.offset = m.Incarnation, m.Offset
	c.say(m)
	msgs := c.read()
	if len(msgs) == 0 {
		code, reason, closed := c.Closed()
		c.h.t.Fatalf("%s: no welcome; closed %v %d %s", c.User, closed, code, reason)
	}
	w, ok := msgs[0].(*protocol.Welcome)
	if !ok {
		c.h.t.Fatalf("%s: the first message is %T %+v", c.User, msgs[0], msgs[0])
	}
	if w.ID != m.ID || w.HasID != m.HasID {
		c.h.t.Errorf("%s: hello %d %v was answered with %d %v", c.User, m.ID, m.HasID, w.ID, w.HasID)
	}
	c.welcome, c.seq, c.unread = w, w.Seq, msgs[1:]
	return c
}

// back is a hello that resumes the session from the place of an earlier connection.
func (c *client) back() protocol.ClientMessage {
	c.h.t.Helper()
	c.read()
	return protocol.ClientMessage{Session: c.welcome.Session, HasOffset: true, Incarnation: c.incarnation, Offset: c.offset}
}

// at is a hello that resumes from some other place.
func (c *client) at(incarnation string, offset uint64) protocol.ClientMessage {
	return protocol.ClientMessage{Session: c.welcome.Session, HasOffset: true, Incarnation: incarnation, Offset: offset}
}

// follow moves the client's place by the rules of PROTOCOL.md, section 5, and fails the test if
// there is a gap or a repetition.
func (c *client) follow(m protocol.RoomMessage) {
	c.h.t.Helper()
	switch m := m.(type) {
	case *protocol.Welcome:
		if !m.Resumed {
			c.incarnation, c.offset = m.Incarnation, m.Offset
		}
	case *protocol.Event:
		if m.Offset == 0 {
			return
		}
		if m.Offset != c.offset+1 {
			c.h.t.Errorf("%s: event %d after %d", c.User, m.Offset, c.offset)
		}
		if c.offset = m.Offset; m.Incarnation != "" {
			c.incarnation = m.Incarnation
		}
	}
}

// event is the event of one message of the client.
func (c *client) event(m protocol.ClientMessage) abi.Event {
	return c.raw(m.Append(nil, c.form))
}

func (c *client) raw(b []byte) abi.Event {
	e := abi.Text
	if c.form == protocol.Binary {
		e = abi.Binary
	}
	return &abi.MessageEvent{Connection: c.ID, Encoding: e, Data: b}
}

func (c *client) say(m protocol.ClientMessage) { c.h.t.Helper(); c.h.Run(c.event(m)) }

// publish sends the next publish.
func (c *client) publish(event, data string) {
	c.h.t.Helper()
	c.seq++
	c.say(pub(c.seq, event, data))
}

func pub(seq uint64, event, data string) protocol.ClientMessage {
	m := protocol.ClientMessage{Type: protocol.TypePublish, Seq: seq, Event: event}
	if data != "" {
		m.Payload = protocol.JSONPayload(data)
	}
	return m
}

func req(id uint64, event, data string) protocol.ClientMessage {
	m := protocol.ClientMessage{Type: protocol.TypeRequest, ID: id, HasID: true, Event: event}
	if data != "" {
		m.Payload = protocol.JSONPayload(data)
	}
	return m
}

// read decodes what has arrived.
func (c *client) read() []protocol.RoomMessage {
	c.h.t.Helper()
	out := c.unread
	c.unread = nil
	for _, m := range c.Client.Messages() {
		if want := map[protocol.Form]abi.Encoding{protocol.JSON: abi.Text, protocol.Binary: abi.Binary}[c.form]; m.Encoding != want {
			c.h.t.Errorf("%s got a frame of the other sort: %q", c.User, m.Data)
		}
		msg, err := protocol.DecodeRoom(c.form, m.Data)
		if err != nil || msg == nil {
			c.h.t.Fatalf("%s: %v: %q", c.User, err, m.Data)
		}
		c.follow(msg)
		out = append(out, msg)
	}
	return out
}

// got renders what has arrived in short lines, such as "ack 7@131" and "event message@131 ann".
func (c *client) got() []string {
	c.h.t.Helper()
	var out []string
	for _, m := range c.read() {
		out = append(out, render(m))
	}
	return out
}

func render(m protocol.RoomMessage) string {
	switch m := m.(type) {
	case *protocol.Ack:
		if m.Offset == 0 {
			return fmt.Sprintf("ack %d", m.Seq)
		}
		return fmt.Sprintf("ack %d@%d", m.Seq, m.Offset)
	case *protocol.ErrorMessage:
		s := "error " + m.Code
		if m.Seq != 0 {
			s += fmt.Sprintf(" seq=%d", m.Seq)
		}
		if m.HasID {
			s += fmt.Sprintf(" id=%d", m.ID)
		}
		if m.Retryable {
			s += fmt.Sprintf(" retry=%d", m.Retry)
		}
		if m.Expected != 0 {
			s += fmt.Sprintf(" expected=%d", m.Expected)
		}
		return s
	case *protocol.Event:
		s := fmt.Sprintf("event %s@%d", m.Name, m.Offset)
		if m.From != "" {
			s += " " + m.From
		}
		if m.Incarnation != "" {
			s += " (" + m.Incarnation + ")"
		}
		return s
	case *protocol.Signal:
		return "signal " + m.Name + " " + m.From
	case *protocol.Presence:
		switch {
		case m.Counts != nil:
			return fmt.Sprintf("counts %d/%d", m.Counts.Users, m.Counts.Connections)
		case m.Whole:
			return "members " + renderMembers(m.Members)
		}
		var parts []string
		if len(m.Join) > 0 {
			parts = append(parts, "join "+renderMembers(m.Join))
		}
		if len(m.Leave) > 0 {
			parts = append(parts, "leave "+strings.Join(m.Leave, " "))
		}
		return strings.Join(parts, ", ")
	case *protocol.Response:
		return fmt.Sprintf("response %d %s", m.ID, m.Payload.Data)
	case *protocol.Part:
		return fmt.Sprintf("more %d", m.Offset)
	}
	return m.Type().String()
}

func renderMembers(list []protocol.Member) string {
	var out []string
	for _, m := range list {
		out = append(out, fmt.Sprintf("%s:%d%s", m.User, m.Connections, m.Data))
	}
	return strings.Join(out, " ")
}

// want checks what has arrived, in order.
func (c *client) want(want ...string) {
	c.h.t.Helper()
	if got := c.got(); !slices.Equal(got, want) {
		c.h.t.Errorf("%s got\n %s\nwant\n %s", c.User, strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

// wantClosed checks how the room closed the connection.
func (c *client) wantClosed(code abi.Code) {
	c.h.t.Helper()
	got, reason, closed := c.Closed()
	if !closed || got != code {
		c.h.t.Errorf("%s: closed %v with %d %s, want %d %s", c.User, closed, got, reason, code, code)
	}
}

func (c *client) wantOpen() {
	c.h.t.Helper()
	if code, reason, closed := c.Closed(); closed {
		c.h.t.Errorf("%s: closed with %d %s", c.User, code, reason)
	}
}

// drain throws away what has arrived.
func drain(clients ...*client) {
	for _, c := range clients {
		c.read()
	}
}

func roomsMembers(n int) rooms.Options { return rooms.Options{Members: n} }
