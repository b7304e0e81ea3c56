package session

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/reserved"
	"github.com/oriel-rooms/oriel/rooms/internal/small"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A Room is one living room as the handlers of its kind see it. It is valid in handlers only; a
// pointer to it may be kept in the kind's value, which lives exactly as long.
type Room struct {
	inner  *rooms.Room
	store  rooms.Storage // the SDK's part
	term   string        // as a token
	kind   handlers
	limits *limits

	decoder protocol.Decoder
	heard   protocol.ClientMessage // the message at work
	buf     *[]byte                // the frame or row that is being made

	state        state
	dirty        bool // state has changed since it was written
	rearm        bool // a timer may have become the first; dirty says the same of those in state
	greeted      bool // a connection has said hello, or has gone without
	awaited      bool // hosts may wait for some hellos no longer: this handler's alarm is for them, too
	head         uint64
	incarnations incarnations
	begun        bool // the term's is one of them
	sessions     shelf
	keys         shelf

	bySession   small.Map[string, *Member] // those that said hello
	greeting    []*Member                  // in the order of connecting; some have gone on
	users       roster
	graced      graces
	connections int // that said hello
	forms       [protocol.Binary + 1]int
	attached    int // bytes of all attachments

	// What replays may still send in this turn, in bytes.
	turn   uint64
	budget int

	infoBuf []protocol.Member // see infos

	few   fewMembers
	seats []seat // of few, not taken yet
}

// Kind is the name of the room's kind.
func (r *Room) Kind() string { return r.inner.Kind() }

// Name is the room's name within its kind.
func (r *Room) Name() string { return r.inner.Name() }

// Now is the turn's time. It never goes back.
func (r *Room) Now() time.Time { return r.inner.Now() }

// NowMillis is [Room.Now] in milliseconds since 1970.
func (r *Room) NowMillis() int64 { return r.inner.NowMillis() }

func (r *Room) now() uint64 { return uint64(r.inner.NowMillis()) }

// Rand is the turn's generator, as [rooms.Room.Rand].
func (r *Room) Rand() *rand.Rand { return r.inner.Rand() }

// Log writes one line to the host's log.
func (r *Room) Log(level abi.LogLevel, line string) { r.inner.Log(level, line) }

// StoreAway reports that the store cannot be written at the moment. Publishes are refused by the
// session itself then.
func (r *Room) StoreAway() bool { return r.inner.StoreAway() }

// Storage is the kind's own part of the room's storage.
func (r *Room) Storage() *rooms.Storage { return r.inner.Storage() }

// SetTick asks for beats, as [rooms.Room.SetTick].
func (r *Room) SetTick(d time.Duration) { r.inner.SetTick(d) }

// Tell sends data to another room, as [rooms.Room.Tell].
func (r *Room) Tell(kind, room string, data []byte) { r.inner.Tell(kind, room, data) }

// SetAlarm asks for an alarm event at t, to the millisecond, at once if t has passed. The kind has
// one alarm: a new one takes the place of the old. It shares the room's with the protocol's
// timers.
func (r *Room) SetAlarm(t time.Time) {
	r.state.alarm = uint64(min(max(t.UnixMilli(), 1), abi.MaxTime))
	r.dirty = true
}

// ClearAlarm takes the alarm back.
func (r *Room) ClearAlarm() {
	if r.state.alarm != 0 {
		r.state.alarm = 0
		r.dirty = true
	}
}

// Alarm returns the time of the kind's alarm.
func (r *Room) Alarm() (t time.Time, ok bool) {
	if r.state.alarm == 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(r.state.alarm)).UTC(), true
}

// Emit publishes an event of the room itself, or of the user that e.From names, and returns
// its offset, 0 if it is ephemeral. It returns [ErrTooLarge], and [ErrStoreAway] for an event that is
// not ephemeral. It panics if the name or the payload is not valid.
func (r *Room) Emit(e Event) (offset uint64, err error) {
	if err := r.checkEvent(&e, &Publish{}); err != nil {
		return 0, err
	}
	r.publishEvent(&e)
	return e.Offset, nil
}

// publishEvent makes a checked event heard.
func (r *Room) publishEvent(e *Event) {
	if e.Ephemeral {
		e.Offset, e.Time = 0, r.now()
		r.broadcastEvent(e, "")
		return
	}
	r.appendEvent(e)
}

func (r *Room) broadcastEvent(e *Event, incarnation string) {
	m := e.message(incarnation)
	for f := protocol.JSON; f <= protocol.Binary; f++ {
		if r.forms[f] > 0 {
			*r.buf = m.Append((*r.buf)[:0], f)
			r.sendAll(f, nil, "")
		}
	}
}

// Signal sends an ephemeral message of the room to every member, or of the user from if it is
// not empty. It panics if the name or the payload is not valid.
func (r *Room) Signal(from string, s Signal) {
	checkSignal(&s, nil)
	msg := protocol.Signal{Name: s.Name, From: from, Payload: s.Payload}
	r.broadcast(msg.Append, nil, s.Key)
}

// SignalTo sends an ephemeral message of the room to the connections of one user.
func (r *Room) SignalTo(name string, s Signal) {
	checkSignal(&s, nil)
	u := r.users.get(name)
	if u == nil {
		return
	}
	msg := &protocol.Signal{Name: s.Name, Payload: s.Payload}
	for _, m := range u.members {
		if m.phase == live {
			*r.buf = msg.Append((*r.buf)[:0], m.form)
			m.sendFrame(*r.buf, s.Key)
		}
	}
}

func checkSignal(s *Signal, known []byte) {
	if !protocol.ValidEventName(s.Name) {
		panic("session: a signal's name is not 1 to 64 printable characters")
	}
	checkPayload(s.Payload, known)
}

// broadcast sends one message to every live connection but one, in the forms that are spoken. It takes
// the message's Append, not an interface: so the message stays on the stack.
func (r *Room) broadcast(encode func([]byte, protocol.Form) []byte, except *Member, key string) {
	for f := protocol.JSON; f <= protocol.Binary; f++ {
		if r.forms[f] > 0 {
			*r.buf = encode((*r.buf)[:0], f)
			r.sendAll(f, except, key)
		}
	}
}

// sendAll broadcasts the frame in buf to the connections of one form.
func (r *Room) sendAll(f protocol.Form, except *Member, key string) {
	var conn *rooms.Connection
	if except != nil && except.form == f {
		conn = except.conn
	}
	rooms.Broadcast(r.inner, encoding(f), f.Subprotocol(), key, *r.buf, conn, reserved.Key{})
}

// mint makes a session id: 128 random bits of the host's cryptographic seed.
func (r *Room) mint() string { return string(r.appendMinted(make([]byte, 0, 32))) }

func (r *Room) appendMinted(b []byte) []byte {
	var id [16]byte
	g := r.inner.Rand()
	binary.BigEndian.PutUint64(id[:8], g.Uint64())
	binary.BigEndian.PutUint64(id[8:], g.Uint64())
	return base64.RawURLEncoding.AppendEncode(b, id[:])
}
