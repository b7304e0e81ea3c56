package protocol

import (
	"strconv"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// Reason says why a welcome does not resume.
type Reason uint8

// The reasons (PROTOCOL.md, section 5).
const (
	ReasonNone        Reason = 0 // it does resume
	ReasonNew         Reason = 1 // the client had no place
	ReasonHistory     Reason = 2 // the place is older than the history
	ReasonIncarnation Reason = 3 // the incarnation is unknown
	ReasonAhead       Reason = 4 // the place is one that the room has lost, or never had
)

var reasons = [...]string{"", "new", "history", "incarnation", "ahead"}

// String returns the reason's name in the JSON form.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "unknown"
}

// Welcome answers hello.
type Welcome struct {
	Connection, Session string
	// ID is the hello's if HasID: it had one.
	ID    uint64
	HasID bool
	// Incarnation and Offset are the head: the place of the newest event.
	Incarnation string
	Offset      uint64
	// Seq is the last consumed number of the session.
	Seq     uint64
	Resumed bool
	Reason  Reason
	// Members are listed if Counts is nil.
	Members []Member
	Counts  *Counts
	// Heartbeat, RetentionAge and Keep are milliseconds.
	Heartbeat       uint64
	First           uint64 // offset of the oldest event in history
	RetentionEvents uint64
	RetentionAge    uint64
	Keep            uint64
	// LimitMessage is in bytes, LimitOpen a number of publishes.
	LimitMessage, LimitOpen uint64
	Payload                 Payload
}

var _ RoomMessage = (*Welcome)(nil)

// Type returns the type of the message.
func (*Welcome) Type() Type { return TypeWelcome }

const (
	flagResumed   = 1
	flagCounts    = 2
	flagWelcomeID = 4
)

// Append appends the message in a form.
func (m *Welcome) Append(b []byte, f Form) []byte {
	if f == Binary {
		return m.appendBinary(b)
	}
	str := func(name, v string) {
		b = append(append(append(append(append(b, `,"`...), name...), `":"`...), v...), '"')
	}
	num := func(name string, v uint64) {
		b = jsonx.AppendUint(append(append(append(b, `,"`...), name...), `":`...), v)
	}
	b = append(b, `{"type":"welcome"`...)
	if m.HasID {
		num("id", m.ID)
	}
	str("connection", m.Connection)
	str("session", m.Session)
	str("incarnation", m.Incarnation)
	num("offset", m.Offset)
	num("seq", m.Seq)
	b = strconv.AppendBool(append(b, `,"resumed":`...), m.Resumed)
	if m.Reason != ReasonNone {
		str("reason", m.Reason.String())
	}
	if m.Counts != nil {
		b = m.Counts.appendJSON(append(b, `,"counts":`...))
	} else {
		b = appendMembers(append(b, `,"members":`...), m.Members)
	}
	num("heartbeat", m.Heartbeat)
	num("first", m.First)
	b = jsonx.AppendUint(append(b, `,"retention":{"events":`...), m.RetentionEvents)
	num("age", m.RetentionAge)
	b = append(b, '}')
	num("keep", m.Keep)
	b = jsonx.AppendUint(append(b, `,"limits":{"message":`...), m.LimitMessage)
	num("open", m.LimitOpen)
	b = append(b, '}')
	return append(m.Payload.appendJSON(b), '}')
}

func (m *Welcome) appendBinary(b []byte) []byte {
	var flags byte
	if m.Resumed {
		flags |= flagResumed
	}
	if m.Counts != nil {
		flags |= flagCounts
	}
	if m.HasID {
		flags |= flagWelcomeID
	}
	b = append(b, byte(TypeWelcome), flags, byte(m.Reason))
	b = abi.AppendString(b, m.Connection)
	b = abi.AppendString(b, m.Session)
	b = abi.AppendString(b, m.Incarnation)
	for _, v := range [...]uint64{m.Offset, m.Seq, m.Heartbeat, m.First, m.RetentionEvents,
		m.RetentionAge, m.Keep, m.LimitMessage, m.LimitOpen} {
		b = abi.AppendUvarint(b, v)
	}
	if m.HasID {
		b = abi.AppendUvarint(b, m.ID)
	}
	if m.Counts != nil {
		b = m.Counts.appendBinary(b)
	} else {
		b = appendMembersBinary(b, m.Members)
	}
	return m.Payload.appendBinary(b)
}
