package session

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/reserved"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// phase is where a connection is in its life (PROTOCOL.md, section 10).
type phase uint8

const (
	greeting  phase = iota // has not said hello; muted
	replaying              // gets what it missed, part by part; muted
	live
	gone
)

// A Member is who says something: one connection of a user, or the user of an HTTP request.
// It is valid in handlers only.
type Member struct {
	room   *Room
	name   string
	claims []byte
	conn   *rooms.Connection // nil for an HTTP request, and in Leave
	form   protocol.Form
	phase  phase

	// known from hello on
	session string
	record  *record // of the session, when it was needed
	place   uint64  // while replaying: the last offset that was sent
	data    []byte  // set before the user is in the list
	size    int     // of the attachment
	pace    uint64  // see tooFast
	seat    *seat   // that it has, nil for none
}

// User is the verified identity, empty for an anonymous client.
func (m *Member) User() string { return m.name }

// Claims is a JSON object of what the credential says beside the identity, or empty.
func (m *Member) Claims() []byte { return m.claims }

// Connection is the ID of the connection, 0 for an HTTP request and in Leave.
func (m *Member) Connection() uint64 {
	if m.conn == nil {
		return 0
	}
	return m.conn.ID()
}

// Data is what presence says of the user, one JSON value, or nil. Do not change it.
func (m *Member) Data() []byte {
	if u := m.room.users.get(m.name); u != nil {
		return u.data
	}
	return m.data
}

// SetData sets what presence says of the user, on all its connections: one JSON value of at most
// 1,024 bytes, or nothing. Members are told. It panics if data is not JSON. It returns
// [ErrTooLarge], and [ErrNoEvent] for a user who is not present.
func (m *Member) SetData(data []byte) error {
	if len(data) > protocol.MaxMemberData {
		return ErrTooLarge
	}
	if len(data) > 0 {
		checkPayload(JSON(data), nil)
	}
	data = append([]byte{}, data...)
	if m.conn != nil && m.phase == greeting {
		m.data = data // hello will tell
		return nil
	}
	u := m.room.users.get(m.name)
	if u == nil || len(u.members) == 0 {
		return ErrNoEvent
	}
	if m.room.attached+len(u.members)*(len(data)-len(u.data)) > maxAttached {
		return ErrTooLarge
	}
	u.data = data
	for _, c := range u.members {
		c.attach()
	}
	m.room.told(u)
	return nil
}

// Close ends the connection with a code of the table or of the room's own (4400 to 4999). The user
// is not present any more unless it has other connections. The session stays.
func (m *Member) Close(code abi.Code, reason string) {
	if m.conn != nil && m.phase != gone {
		m.room.detach(m, false)
		m.conn.Close(code, reason)
	}
}

// fail closes the connection with a code of the table, and says the name of the code.
func (m *Member) fail(code abi.Code, detail string) {
	m.Close(code, abi.CloseReason(code, 0, detail))
}

// sayError sends an error.
func (m *Member) sayError(e *Error, seq uint64, id *uint64, expected uint64) {
	msg := protocol.ErrorMessage{Seq: seq, Code: e.Code, Text: e.Message, Retryable: e.Retryable, Retry: ms(e.After), Expected: expected}
	if id != nil {
		msg.ID, msg.HasID = *id, true
	}
	m.send(msg.Append)
}

// send sends one message of the protocol, by its Append, to this connection.
func (m *Member) send(encode func([]byte, protocol.Form) []byte) {
	*m.room.buf = encode((*m.room.buf)[:0], m.form)
	m.sendFrame(*m.room.buf, "")
}

func (m *Member) sendFrame(frame []byte, key string) {
	rooms.Send(m.conn, encoding(m.form), key, frame, reserved.Key{})
}

func encoding(f protocol.Form) abi.Encoding {
	if f == protocol.Binary {
		return abi.Binary
	}
	return abi.Text
}

// The attachment of a connection that said hello; before that it has none:
//
//	u8 version, u8 phase, str session, uint place, rest: the user's data
const attachmentVersion = 1

func (m *Member) attach() {
	b := append((*m.room.buf)[:0], attachmentVersion, byte(m.phase))
	b = abi.AppendString(b, m.session)
	b = abi.AppendUvarint(b, m.place)
	if u := m.room.users.get(m.name); u != nil {
		b = append(b, u.data...)
	}
	*m.room.buf = b
	m.room.attached += len(b) - m.size
	m.size = len(b)
	m.conn.Attach(b)
}

// restore reads the attachment; data is the user's.
func (m *Member) restore(b []byte) (data []byte, err error) {
	if len(b) == 0 {
		m.phase = greeting
		return nil, nil
	}
	d := abi.NewDecoder(b)
	if d.Byte("version") != attachmentVersion {
		d.Malformed("version", "unknown")
	}
	if m.phase = phase(d.Byte("phase")); m.phase != replaying && m.phase != live {
		d.Malformed("phase", "unknown")
	}
	m.session = d.String("session", protocol.MaxToken)
	m.place = d.Uvarint("place", protocol.MaxInteger)
	m.size = len(b)
	if n := d.Len(); n > 0 {
		data = append(data, d.Fixed("data", n)...)
	}
	return data, d.End("attachment")
}
