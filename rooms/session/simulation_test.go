package session_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// simClient follows PROTOCOL.md as a client in any language would, and keeps books.
type simClient struct {
	s    *simulation
	user string
	c    *client // nil while away
	// waiting for the welcome that answers the newest of its hellos on this connection.
	waiting bool
	hellos  uint64

	session     string
	incarnation string
	offset      uint64
	placed      bool
	last        uint64    // number of the last publish that was given one
	open        []*simPub // sent or to be sent again, in order
	resend      uint64    // send again from this number, 0: nothing
	seen        []string  // id of the event at each offset from start on
	start       uint64    // offset of seen[0]
	members     []string  // as presence tells
	outcome     []*simPub // in the order of numbers
	late        []abi.Event
}

type simPub struct {
	seq    uint64
	event  string
	id     string
	offset uint64 // acked
	code   string // refused
	done   bool
}

type simulation struct {
	t       *testing.T
	h       *parlorHost
	g       *rand.Rand
	clients []*simClient
	term    int
	ids     int
	trapped int
	away    bool // the store
	orphans int  // sessions at most that were minted and whose welcomes were lost
	double  int  // welcomes to other hellos than the newest
}

func (c *simClient) connect() {
	t := c.s.t
	c.c = c.s.h.connect(c.user)
	if _, _, closed := c.c.Closed(); closed {
		c.c = nil // the commit of the connect failed
		return
	}
	c.hellos, c.waiting = 0, true
	c.late = []abi.Event{c.hello()}
	if c.session == "" && !c.s.away && c.s.g.IntN(2) == 0 {
		return // it is still on its way
	}
	c.s.h.Run(c.events()...)
	c.receive()
	if c.c != nil && c.waiting {
		t.Errorf("%s: neither a welcome nor a close", c.user)
	}
}

func (c *simClient) hello() abi.Event {
	m := protocol.ClientMessage{Type: protocol.TypeHello, Session: c.session, ID: c.hellos, HasID: c.hellos > 0}
	if c.placed {
		m.HasOffset, m.Incarnation, m.Offset = true, c.incarnation, c.offset
	}
	return c.c.event(m)
}

// resync is what a client does when the host says so.
func (c *simClient) resync() {
	c.hellos++
	c.waiting, c.resend = true, 0
	c.late = []abi.Event{c.hello()}
}

// receive handles everything that has arrived.
func (c *simClient) receive() {
	if c.c == nil {
		return
	}
	for _, m := range c.c.Client.Messages() {
		msg, err := protocol.DecodeRoom(c.c.form, m.Data)
		if err != nil {
			c.s.t.Fatalf("%s: %v", c.user, err)
		}
		c.handle(msg)
	}
	if code, _, closed := c.c.Closed(); closed {
		if code.Action() != abi.ActionRetry && code != abi.CodeTakenOver {
			c.s.t.Errorf("%s: closed with %s", c.user, code)
		}
		c.c, c.late = nil, nil
	}
}

func (c *simClient) handle(msg protocol.RoomMessage) {
	t := c.s.t
	if c.waiting {
		w, ok := msg.(*protocol.Welcome)
		if !ok || w.ID != c.hellos || w.HasID != (c.hellos > 0) {
			if ok {
				c.s.double++
			}
			return
		}
		c.waiting = false
	}
	switch m := msg.(type) {
	case *protocol.Welcome:
		if c.session != "" && m.Session != c.session {
			t.Errorf("%s: session lost", c.user)
		}
		c.session = m.Session
		if c.placed != m.Resumed {
			t.Errorf("%s: resumed %v (%s), placed %v at (%s, %d)", c.user, m.Resumed, m.Reason, c.placed, c.incarnation, c.offset)
		}
		if !m.Resumed {
			c.incarnation, c.offset, c.placed, c.start = m.Incarnation, m.Offset, true, m.Offset+1
		}
		if m.Seq > c.last {
			t.Errorf("%s: the room has consumed %d of %d", c.user, m.Seq, c.last)
		}
		c.setMembers(m.Members)
		c.resend = 1
	case *protocol.Event:
		if m.Offset == 0 {
			return
		}
		if m.Offset != c.offset+1 {
			t.Errorf("%s: event %d after %d", c.user, m.Offset, c.offset)
		}
		if c.offset = m.Offset; m.Incarnation != "" {
			c.incarnation = m.Incarnation
		}
		c.seen = append(c.seen, string(m.Payload.Data))
	case *protocol.Ack:
		c.answered(m.Seq, m.Offset, "")
	case *protocol.ErrorMessage:
		switch {
		case m.Seq == 0:
			t.Errorf("%s: %s %s", c.user, m.Code, m.Text)
		case !m.Retryable:
			c.answered(m.Seq, 0, m.Code)
		case m.Expected != 0:
			c.again(m.Expected)
		default:
			c.again(m.Seq)
		}
	case *protocol.Presence:
		switch {
		case m.Whole:
			c.setMembers(m.Members)
		default:
			for _, j := range m.Join {
				c.dropMember(j.User)
				c.members = append(c.members, fmt.Sprint(j.User, ":", j.Connections))
			}
			for _, l := range m.Leave {
				c.dropMember(l)
			}
			slices.Sort(c.members)
		}
	case *protocol.Part:
		c.late = append(c.late, c.c.event(protocol.ClientMessage{Type: protocol.TypeMore}))
	}
}

func (c *simClient) setMembers(list []protocol.Member) {
	c.members = nil
	for _, m := range list {
		c.members = append(c.members, fmt.Sprint(m.User, ":", m.Connections))
	}
	slices.Sort(c.members)
}

func (c *simClient) dropMember(user string) {
	c.members = slices.DeleteFunc(c.members, func(s string) bool { return strings.HasPrefix(s, user+":") })
}

func (c *simClient) again(seq uint64) {
	if c.resend == 0 || seq < c.resend {
		c.resend = seq
	}
}

func (c *simClient) answered(seq, offset uint64, code string) {
	for i, p := range c.open {
		if p.seq == seq {
			p.offset, p.code, p.done = offset, code, true
			c.open = slices.Delete(c.open, i, i+1)
			return
		}
	}
	for _, p := range c.outcome { // a second answer says the same
		if p.seq == seq && (p.offset != offset || p.code != code) {
			c.s.t.Errorf("%s: publish %d was answered %d %q, then %d %q", c.user, seq, p.offset, p.code, offset, code)
		}
	}
}

// publish numbers a new publish; events sends it.
func (c *simClient) publish(event string) {
	if len(c.open) >= protocol.MaxOpen {
		return
	}
	c.last++
	c.s.ids++
	p := &simPub{seq: c.last, event: event, id: fmt.Sprintf(`"%s/%d"`, c.user, c.s.ids)}
	c.open = append(c.open, p)
	c.outcome = append(c.outcome, p)
	if c.c != nil && c.resend == 0 && !c.waiting {
		c.late = append(c.late, c.c.event(pub(p.seq, p.event, p.id)))
	}
}

// events are what the client sends now.
func (c *simClient) events() []abi.Event {
	if c.c == nil {
		return nil
	}
	out := c.late
	c.late = nil
	if c.resend != 0 {
		out = slices.DeleteFunc(out, func(e abi.Event) bool {
			var m protocol.ClientMessage
			var d protocol.Decoder
			return d.Decode(&m, c.c.form, e.(*abi.MessageEvent).Data) == nil && m.Type == protocol.TypePublish
		})
		for _, p := range c.open {
			if p.seq >= c.resend {
				out = append(out, c.c.event(pub(p.seq, p.event, p.id)))
			}
		}
		c.resend = 0
	}
	return out
}

func (c *simClient) drop(code abi.Code) {
	if c.c == nil {
		return
	}
	conn := c.c
	c.c, c.late = nil, nil
	conn.Drop(code) // what it has not read is lost
}

func (s *simulation) receive() {
	for _, c := range s.clients {
		c.receive()
	}
}

// step does one random thing.
func (s *simulation) step() {
	c := s.clients[s.g.IntN(len(s.clients))]
	switch n := s.g.IntN(100); {
	case n < 30:
		for range 1 + s.g.IntN(4) {
			c.publish([]string{"message", "message", "message", "flaky", "invalid", "nothing"}[s.g.IntN(6)])
		}
	case n < 32:
		c.publish("panic")
		s.trapped++
	case n < 55: // everybody's messages in one batch, mixed
		var batch []abi.Event
		for _, i := range s.g.Perm(len(s.clients)) {
			batch = append(batch, s.clients[i].events()...)
		}
		if len(batch) > 0 {
			s.h.Run(batch...)
		}
	case n < 65:
		if c.c == nil {
			c.connect()
		}
	case n < 70:
		c.drop(abi.CodeAbnormal)
	case n < 72: // sent, and lost on the way
		c.events()
		c.drop(abi.CodeAbnormal)
	case n < 74: // a second connection takes the session
		if c.session != "" {
			c.connect()
		}
	case n < 82:
		s.h.Advance(time.Duration(s.g.IntN(3000)) * time.Millisecond)
	case n < 88:
		s.h.Sleep()
	case n < 90:
		s.h.Advance(time.Duration(s.g.IntN(30)) * time.Second)
	case n < 92:
		for range 1 + s.g.IntN(3) {
			s.cut()
		}
	case n < 93:
		s.h.FailCommits(1 + s.g.IntN(2))
	case n < 95:
		s.term++
		s.h.Move(fmt.Sprint("moved-", s.term))
	case n < 96:
		s.term++
		for _, c := range s.clients {
			c.c, c.late = nil, nil
		}
		s.h.Restart(fmt.Sprint("restarted-", s.term))
	case n < 98:
		if _, ok := s.h.Alarm(); ok {
			s.h.RepeatAlarm()
		}
	default:
		s.away = s.g.IntN(2) == 0
		s.h.StoreAway(s.away)
	}
	s.receive()
}

// cut breaks the way between the room and some clients, and lets another node take the room over: of what
// they send the first messages arrive, the next are lost, and the last wait for the next node; and so
// it is with what the room says, but for the last.
func (s *simulation) cut() {
	type waiting struct {
		c      *simClient
		events []abi.Event
	}
	var before, behind []abi.Event
	var cut []waiting
	var clients []*roomtest.Client
	for _, i := range s.g.Perm(len(s.clients)) {
		c := s.clients[i]
		if c.c == nil || s.g.IntN(4) == 0 {
			continue
		}
		e := c.events()
		a, b, d := s.g.IntN(len(e)+1), s.g.IntN(len(e)+1), s.g.IntN(len(e)+1)
		at := []int{a, b, d}
		slices.Sort(at)
		before, behind = append(before, e[:at[0]]...), append(behind, e[at[0]:at[1]]...)
		cut = append(cut, waiting{c, e[at[2]:]})
		clients = append(clients, c.c.Client)
		if c.session == "" && at[0] < at[1] {
			s.orphans++
		}
	}
	s.h.Run(before...)
	s.receive()
	s.h.Cut(clients...)
	s.h.Run(behind...)
	s.term++
	s.h.Move(fmt.Sprint("taken-", s.term))
	for _, w := range cut {
		if w.c.c != nil {
			w.c.resync()
			s.h.Run(w.events...)
		}
	}
}

// settle brings everybody back and every publish to its end.
func (s *simulation) settle() {
	s.h.StoreAway(false)
	s.h.FailCommits(0)
	for range 500 {
		busy := false
		for _, c := range s.clients {
			if c.c == nil {
				c.connect()
				busy = true
			}
			if e := c.events(); len(e) > 0 {
				s.h.Run(e...)
				busy = true
			}
			s.receive()
			busy = busy || len(c.open) > 0
			if len(c.open) > 0 && c.resend == 0 && len(c.late) == 0 && !c.waiting {
				c.resend = 1
			}
		}
		if !busy {
			break
		}
	}
	s.h.Advance(30 * time.Second)
	s.receive()
}

// check compares everybody's books with the history.
func (s *simulation) check() {
	t := s.t
	var history []string
	reader := s.clients[0].c
	for after := uint64(0); ; {
		reader.say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: 1, Event: "history",
			Payload: (&protocol.HistoryQuery{HasAfter: true, After: after, Limit: 200}).Payload(reader.form)})
		msgs := reader.Client.Messages()
		m, err := protocol.DecodeRoom(reader.form, msgs[len(msgs)-1].Data)
		if err != nil {
			t.Fatal(err)
		}
		page, err := protocol.DecodeHistoryPage(m.(*protocol.Response).Payload, reader.form)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if e.Offset != uint64(len(history))+1 {
				t.Fatalf("history has event %d after %d", e.Offset, len(history))
			}
			history = append(history, string(e.Payload.Data))
			after = e.Offset
		}
		if !page.More {
			break
		}
	}
	at := map[string]uint64{}
	for i, id := range history {
		if at[id] != 0 {
			t.Errorf("%s is in history twice, at %d and %d", id, at[id], i+1)
		}
		at[id] = uint64(i) + 1
	}
	want := []string{}
	for _, c := range s.clients {
		want = append(want, c.user+":1")
	}
	slices.Sort(want)
	acked := 0
	for _, c := range s.clients {
		if len(c.open) > 0 {
			t.Errorf("%s: %d publishes have no answer", c.user, len(c.open))
		}
		before := uint64(0)
		for _, p := range c.outcome {
			switch {
			case p.code == "" && p.event != "nothing":
				acked++
				if at[p.id] != p.offset {
					t.Errorf("%s was acknowledged at %d and is at %d", p.id, p.offset, at[p.id])
				}
				if p.offset <= before {
					t.Errorf("%s is at %d, after one at %d", p.id, p.offset, before)
				}
				before = p.offset
			case at[p.id] != 0:
				t.Errorf("%s (%s %q) is in history", p.id, p.event, p.code)
			}
			if p.event == "panic" && p.code != "rejected" || p.event == "invalid" && p.code != "invalid" && p.code != "rejected" {
				t.Errorf("%s %s: %q", p.id, p.event, p.code)
			}
		}
		if got := history[c.start-1:]; !slices.Equal(got, c.seen) {
			t.Errorf("%s saw from %d on\n%v\nhistory is\n%v", c.user, c.start, c.seen, got)
		}
		if !slices.Equal(c.members, want) {
			t.Errorf("%s sees the members %v, want %v", c.user, c.members, want)
		}
	}
	if acked == 0 || len(history) != acked {
		t.Errorf("%d acknowledged, %d in history", acked, len(history))
	}
	if n := s.h.rows("ss"); n < len(s.clients) || n > len(s.clients)+s.orphans || n != s.h.rows("sx") {
		t.Errorf("%d sessions, at most %d of them unknown to their clients", n, s.orphans)
	}
}

// TestExactlyOnce drives random clients through sleeps, traps, failed commits, moves, crashes, broken
// links, lost answers and takeovers, and expects what PROTOCOL.md promises: each publish has one outcome, what was
// acknowledged is in history once and in its sender's order, and everybody has seen all of it.
func TestExactlyOnce(t *testing.T) {
	runs, steps := 40, 400
	if testing.Short() {
		runs, steps = 8, 200
	}
	double := 0
	for seed := range runs {
		m := mode{form: []protocol.Form{protocol.JSON, protocol.Binary}[seed%2]}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			h := newParlor(t, session.Options{History: 1_000_000, PresenceGrace: 2 * time.Second}, m, roomtest.Options{AllowTraps: true, Seed: uint64(seed) + 1})
			s := &simulation{t: t, h: h, g: rand.New(rand.NewPCG(uint64(seed), 7))}
			for i := range 5 {
				s.clients = append(s.clients, &simClient{s: s, user: fmt.Sprint("user", i)})
			}
			for range steps {
				s.step()
				if t.Failed() {
					return
				}
			}
			s.settle()
			s.check()
			double += s.double
		})
	}
	if double == 0 {
		t.Error("no hello was answered after another one")
	}
}
