package session

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/reserved"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// adapter is the kind as package rooms knows it. Each of its handlers ends with settle, which
// writes what has changed of the state and sets the alarm.
type adapter struct {
	room      Room
	rehearser Rehearser
}

var (
	_ rooms.StartHandler    = (*adapter)(nil)
	_ rooms.ConnectHandler  = (*adapter)(nil)
	_ rooms.MessageHandler  = (*adapter)(nil)
	_ rooms.CloseHandler    = (*adapter)(nil)
	_ rooms.AlarmHandler    = (*adapter)(nil)
	_ rooms.TickHandler     = (*adapter)(nil)
	_ rooms.RequestHandler  = (*adapter)(nil)
	_ rooms.RejectedHandler = (*adapter)(nil)
	_ rooms.ToldHandler     = (*adapter)(nil)
)

// Start brings back what the room knew from storage and from the attachments.
func (a *adapter) Start(inner *rooms.Room) {
	r := &a.room
	r.inner = inner
	r.store = *rooms.SystemStorage(inner, reserved.Key{})
	r.term = tokenOf(inner.Term())
	r.rearm = true
	r.buf = rooms.Scratch(inner, reserved.Key{})
	r.few.lay(r)
	r.shelves()
	r.state = state{first: 1}
	n := inner.Len()
	r.bySession.Grow(n)
	r.users.grow(n)
	var places []restored
	for c := range inner.Connections() {
		if len(places) == 0 {
			places = make([]restored, min(n, manyRestored))
		}
		r.restore(c, &places[0])
		places = places[1:]
		n--
	}
	r.load()
	if reason := inner.StartReason(); r.connections > 0 && r.state.wholeDue == 0 &&
		(reason == abi.StartCold || reason == abi.StartMoved || reason == abi.StartTrap) {
		if inner.StoreAway() {
			r.broadcast(r.presence().Append, nil, keyPresence) // no timer can be set
		} else {
			r.state.wholeDue = r.now() + wholeDelay
			r.dirty = true
		}
	}
	if r.kind.start != nil {
		r.kind.start.Start(r)
	}
	r.settle()
}

// load reads the state, the incarnations and the grace times in one list, and the head in another.
func (r *Room) load() {
	damaged := func(what string, err error) {
		if err != nil {
			panic("session: the room's " + what + " is damaged: " + err.Error())
		}
	}
	for o := (rooms.ListOptions{Start: keyState, End: prefixEvent}); ; {
		rows, more := r.system().List(o)
		var err error
		for _, row := range rows {
			switch {
			case row.Key == keyState:
				r.state, err = decodeState(row.Value)
				damaged("state", err)
			case row.Key == keyIncarnations:
				r.incarnations, err = decodeIncarnations(row.Value)
				damaged("list of incarnations", err)
			default:
				r.restoreGrace(row)
			}
		}
		if !more {
			break
		}
		rooms.HoldCollector(r.inner, reserved.Key{})
		o.Start = rows[len(rows)-1].Key + "\x00"
	}
	r.begun = r.incarnations.current() == r.term
	r.head = r.state.head
	if rows, _ := r.system().List(rooms.ListOptions{Prefix: prefixEvent, Limit: 1, Reverse: true}); len(rows) == 1 {
		r.head = max(r.head, readRow(&rows[0]).Offset)
	}
}

// restore brings back a connection, in its place.
func (r *Room) restore(c *rooms.Connection, p *restored) {
	m := &p.member
	r.seatAt(m, c)
	data, err := m.restore(c.Attachment())
	if err != nil {
		// Of a version that this one does not know: the client comes back and says hello.
		c.Close(abi.CodeRestarting, abi.CloseReason(abi.CodeRestarting, 0, ""))
		return
	}
	r.bind(c, m)
	if m.phase == greeting {
		r.greeting = append(r.greeting, m)
		return
	}
	r.attached += m.size
	u := r.users.get(m.name)
	if u == nil {
		u = &p.user
		u.name, u.members = m.name, p.members[:0]
		r.users.add(u)
	}
	r.join(u, m)
	if other := r.bySession.Get(m.session); other != nil {
		// One took the session over from the other, and the close was lost with the node that said it.
		// Who was first is not known for certain, so the one that goes may come back.
		older := other
		if other.conn.Since().After(c.Since()) {
			older, m = m, other
		}
		r.takeOver(older, abi.CodeRestarting)
	}
	r.bySession.Set(m.session, m)
	u.data, u.shown, u.shownData = data, len(u.members), data
}

func (r *Room) newMember(c *rooms.Connection) *Member {
	m := r.seat()
	r.seatAt(m, c)
	return m
}

func (r *Room) seatAt(m *Member, c *rooms.Connection) {
	f, _ := protocol.FormOf(c.Protocol())
	m.room, m.name, m.claims, m.conn, m.form = r, c.User(), c.Claims(), c, f
}

// bind makes m the member of a connection; member finds it there, nil after unbind.
func (r *Room) bind(c *rooms.Connection, m *Member) { *rooms.Slot(c, reserved.Key{}) = m }

func (r *Room) unbind(c *rooms.Connection) { *rooms.Slot(c, reserved.Key{}) = nil }

func (r *Room) member(c *rooms.Connection) *Member {
	if c == nil {
		return nil
	}
	m, _ := (*rooms.Slot(c, reserved.Key{})).(*Member)
	return m
}

// Connect admits a client, which then has to say hello.
func (a *adapter) Connect(_ *rooms.Room, c *rooms.Connection) error {
	r := &a.room
	defer r.settle()
	m := r.newMember(c)
	if m.form == 0 {
		return abi.CodeUnknownProtocol
	}
	if r.kind.admit != nil {
		if err := r.kind.admit.Admit(r, m); err != nil {
			code, reason := toError(err).closing()
			return &rooms.CloseError{Code: code, Reason: reason}
		}
	}
	if !c.Open() {
		return nil
	}
	c.Mute(true)
	r.rearm = true
	r.bind(c, m)
	r.greeting = append(r.greeting, m)
	return nil
}

// Message hears a connection.
func (a *adapter) Message(_ *rooms.Room, c *rooms.Connection, msg rooms.Message) {
	r := &a.room
	m := r.member(c)
	if m == nil {
		return
	}
	if msg.Encoding != encoding(m.form) {
		r.otherEncoding(m, msg)
	} else {
		r.hear(m, msg.Data)
	}
	switch {
	case m.phase != greeting:
	case r.inner.StoreAway(): // no alarm can be set for it; nor could it say hello
		m.storageAway()
	default: // a ping
		r.awaited, r.rearm = true, true
	}
	r.settle()
}

// otherEncoding answers a frame of the other sort. A host answers the text ping itself; one that
// does not lets it through to here.
func (r *Room) otherEncoding(m *Member, msg rooms.Message) {
	switch {
	case msg.Encoding == abi.Text && string(msg.Data) == protocol.PingText:
		m.conn.Send(rooms.Text(protocol.PongText))
	case m.phase == greeting:
		m.fail(abi.CodeUnsupportedEncoding, "")
	default:
		m.sayError(toError(abi.CodeUnsupportedEncoding), 0, nil, 0)
	}
}

// hear decodes a message and does what it asks for.
func (r *Room) hear(m *Member, data []byte) {
	c := &r.heard
	err := r.decoder.Decode(c, m.form, data)
	switch {
	case err == nil && c.Type == protocol.TypePing:
		m.send((&protocol.Pong{}).Append)
	case m.phase == greeting && err != nil:
		m.fail(abi.CodeMalformed, err.(*protocol.Error).Text())
	case m.phase == greeting:
		if c.Type != protocol.TypeHello {
			m.fail(abi.CodeWrongOrder, "hello comes first")
			return
		}
		r.hello(m, c)
	case err != nil:
		r.malformed(m, c, Refuse(abi.CodeMalformed, cut(err.(*protocol.Error).Text(), protocol.MaxErrorText)))
	default:
		r.act(m, c)
	}
}

// malformed answers what could not be read, by whatever could.
func (r *Room) malformed(m *Member, c *protocol.ClientMessage, e *Error) {
	switch {
	case c.Type == protocol.TypePublish && c.Seq > 0:
		if rec := r.inOrder(m, c.Seq); rec != nil {
			r.conclude(m, rec, &Event{}, e)
		}
	case c.Type == protocol.TypeRequest && c.HasID:
		m.sayError(e, 0, &c.ID, 0)
	default:
		m.sayError(e, 0, nil, 0)
	}
}

func (r *Room) act(m *Member, c *protocol.ClientMessage) {
	switch c.Type {
	case protocol.TypePublish:
		r.publish(m, c)
	case protocol.TypeRequest:
		r.request(m, c)
	case protocol.TypeSignal:
		r.signal(m, c)
	case protocol.TypeMore:
		if m.phase != replaying {
			m.sayError(toError(abi.CodeWrongOrder), 0, nil, 0)
			return
		}
		r.replay(m, false)
	case protocol.TypeHello:
		r.hello(m, c)
	}
}

// Close forgets a connection; the client's own 1000 ends its session too.
func (a *adapter) Close(_ *rooms.Room, c *rooms.Connection, code abi.Code, _ string) {
	r := &a.room
	if m := r.member(c); m != nil {
		m.conn = c
		over := code == abi.CodeNormal
		r.detach(m, !over)
		if over && m.session != "" && !r.inner.StoreAway() {
			r.forget(m)
		}
	}
	r.settle()
}

// detach takes a connection out of the room's lists. With grace its user stays for a while.
func (r *Room) detach(m *Member, grace bool) {
	before := m.phase
	m.phase = gone
	r.unbind(m.conn)
	if before != replaying && before != live {
		r.greeted = true
		return
	}
	r.attached -= m.size
	if !r.inner.StoreAway() {
		if rec := r.recordOf(m); rec != nil {
			rec.left = r.now()
			r.putRecord(m.session, rec)
		}
	}
	r.bySession.Delete(m.session)
	r.left(m, grace)
}

// Alarm does what is due, of the protocol and of the kind.
func (a *adapter) Alarm(inner *rooms.Room, alarm rooms.Alarm) {
	r := &a.room
	if inner.StoreAway() {
		// Nothing of this can be written now. The turn fails and the host tries again.
		inner.SetAlarm(inner.Now().Add(time.Second))
		return
	}
	r.rearm, r.awaited = true, true
	r.due(r.now(), alarm.Attempt)
	r.settle()
}

// Tick hands a beat to the kind.
func (a *adapter) Tick(_ *rooms.Room, t rooms.Tick) {
	if a.room.kind.tick != nil {
		a.room.kind.tick.Tick(&a.room, t)
		a.room.settle()
	}
}

// Told hands another room's message to the kind.
func (a *adapter) Told(_ *rooms.Room, t rooms.Told) {
	if a.room.kind.told != nil {
		a.room.kind.told.Told(&a.room, t)
		a.room.settle()
	}
}

// Rejected answers the sender of a message that did not happen: because the room failed on
// it, or because its commit did.
func (a *adapter) Rejected(_ *rooms.Room, code abi.Code, e abi.Event) {
	r := &a.room
	if msg, ok := e.(*abi.MessageEvent); ok {
		if m := r.member(r.inner.Connection(msg.Connection)); m != nil {
			r.reject(m, toError(code), msg)
		}
	}
	if r.kind.rejected != nil {
		r.kind.rejected.Rejected(r, code, e)
	}
	r.settle()
}

func (r *Room) reject(m *Member, e *Error, msg *abi.MessageEvent) {
	var c protocol.ClientMessage
	err := r.decoder.Decode(&c, m.form, msg.Data)
	switch {
	case m.phase == greeting, c.Type == protocol.TypeHello:
		code, reason := e.closing()
		m.Close(code, reason)
	case c.Type == protocol.TypePublish && c.Seq > 0 && e.Retryable:
		m.sayError(e, c.Seq, nil, 0)
	case c.Type == protocol.TypeMore && err == nil:
		// The next part is not asked for again: the client comes back instead.
		m.fail(abi.CodeRestarting, "")
	default:
		r.malformed(m, &c, e)
	}
}
