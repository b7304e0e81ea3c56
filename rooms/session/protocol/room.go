package protocol

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// A RoomMessage is any message of a room: *[Welcome], *[Ack], *[ErrorMessage], *[Event],
// *[Response], *[Signal], *[Presence], *[Part] or *[Pong]. Append appends it in a form.
type RoomMessage interface {
	Type() Type
	Append(b []byte, f Form) []byte
}

// Ack says that a publish is durable.
type Ack struct {
	Seq uint64
	// Offset of the event that it became; 0 if it became no durable event.
	Offset uint64
}

// ErrorMessage refuses a message of the client.
type ErrorMessage struct {
	// Seq names a publish, 0 for none; ID names a request if HasID.
	Seq   uint64
	ID    uint64
	HasID bool
	Code  string
	Text  string
	// Retry, in milliseconds, counts if Retryable: the message may be sent again then.
	Retry     uint64
	Retryable bool
	// Expected is the number that the room expects; 0 for none.
	Expected uint64
}

// Event is what was published, or what the room itself has to say.
type Event struct {
	Name string
	// Offset is 0 for an ephemeral event.
	Offset uint64
	// Incarnation is set on the first event of an incarnation only.
	Incarnation string
	From        string
	Time        uint64 // milliseconds since 1970
	Payload     Payload
}

// Response answers a request.
type Response struct {
	ID      uint64
	Payload Payload
}

// Signal is an ephemeral message, as the room relays it.
type Signal struct {
	Name, From string
	Payload    Payload
}

// Part ends a part of a replay: the room's message "more".
type Part struct{ Offset uint64 }

// Pong answers a ping.
type Pong struct{}

var (
	_ RoomMessage = (*Ack)(nil)
	_ RoomMessage = (*ErrorMessage)(nil)
	_ RoomMessage = (*Event)(nil)
	_ RoomMessage = (*Response)(nil)
	_ RoomMessage = (*Signal)(nil)
	_ RoomMessage = (*Part)(nil)
	_ RoomMessage = (*Pong)(nil)
)

// Type returns the type of the message.
func (*Ack) Type() Type { return TypeAck }

// Type returns the type of the message.
func (*ErrorMessage) Type() Type { return TypeError }

// Type returns the type of the message.
func (*Event) Type() Type { return TypeEvent }

// Type returns the type of the message.
func (*Response) Type() Type { return TypeResponse }

// Type returns the type of the message.
func (*Signal) Type() Type { return TypeSignaled }

// Type returns the type of the message.
func (*Part) Type() Type { return TypePart }

// Type returns the type of the message.
func (*Pong) Type() Type { return TypePong }

// Append appends the message in a form.
func (m *Ack) Append(b []byte, f Form) []byte {
	if f == Binary {
		return abi.AppendUvarint(abi.AppendUvarint(append(b, byte(TypeAck)), m.Seq), m.Offset)
	}
	b = jsonx.AppendUint(append(b, `{"type":"ack","seq":`...), m.Seq)
	if m.Offset != 0 {
		b = jsonx.AppendUint(append(b, `,"offset":`...), m.Offset)
	}
	return append(b, '}')
}

// Bits of the flags of errors and events.
const (
	flagSeq      = 1
	flagID       = 2
	flagRetry    = 4
	flagExpected = 8

	flagIncarnation = 1
	flagFrom        = 2
)

// Append appends the message in a form.
func (m *ErrorMessage) Append(b []byte, f Form) []byte {
	if f == Binary {
		return m.appendBinary(b)
	}
	b = append(b, `{"type":"error"`...)
	if m.Seq != 0 {
		b = jsonx.AppendUint(append(b, `,"seq":`...), m.Seq)
	}
	if m.HasID {
		b = jsonx.AppendUint(append(b, `,"id":`...), m.ID)
	}
	b = append(append(append(b, `,"code":"`...), m.Code...), '"')
	if m.Text != "" {
		b = jsonx.AppendString(append(b, `,"message":`...), m.Text)
	}
	if m.Retryable {
		b = jsonx.AppendUint(append(b, `,"retry":`...), m.Retry)
	}
	if m.Expected != 0 {
		b = jsonx.AppendUint(append(b, `,"expected":`...), m.Expected)
	}
	return append(b, '}')
}

func (m *ErrorMessage) appendBinary(b []byte) []byte {
	b = append(b, byte(TypeError), 0)
	at := len(b) - 1
	if m.Seq != 0 {
		b[at] |= flagSeq
		b = abi.AppendUvarint(b, m.Seq)
	}
	if m.HasID {
		b[at] |= flagID
		b = abi.AppendUvarint(b, m.ID)
	}
	if m.Retryable {
		b[at] |= flagRetry
		b = abi.AppendUvarint(b, m.Retry)
	}
	if m.Expected != 0 {
		b[at] |= flagExpected
		b = abi.AppendUvarint(b, m.Expected)
	}
	return abi.AppendString(abi.AppendString(b, m.Code), m.Text)
}

// Append appends the message in a form.
func (m *Event) Append(b []byte, f Form) []byte {
	if f == Binary {
		return m.appendFields(append(b, byte(TypeEvent)))
	}
	return m.appendRest(append(b, `{"type":"event","event":"`...))
}

// appendItem appends the event as an item of a history response.
func (m *Event) appendItem(b []byte) []byte { return m.appendRest(append(b, `{"event":"`...)) }

func (m *Event) appendRest(b []byte) []byte {
	b = append(b, m.Name...)
	if m.Offset != 0 {
		b = jsonx.AppendUint(append(b, `","offset":`...), m.Offset)
	} else {
		b = append(b, '"')
	}
	if m.Incarnation != "" {
		b = append(append(append(b, `,"incarnation":"`...), m.Incarnation...), '"')
	}
	if m.From != "" {
		b = jsonx.AppendString(append(b, `,"from":`...), m.From)
	}
	b = jsonx.AppendUint(append(b, `,"time":`...), m.Time)
	return append(m.Payload.appendJSON(b), '}')
}

func (m *Event) appendFields(b []byte) []byte {
	var flags byte
	if m.Incarnation != "" {
		flags |= flagIncarnation
	}
	if m.From != "" {
		flags |= flagFrom
	}
	b = abi.AppendUvarint(append(b, flags), m.Offset)
	b = abi.AppendUvarint(b, m.Time)
	if m.Incarnation != "" {
		b = abi.AppendString(b, m.Incarnation)
	}
	if m.From != "" {
		b = abi.AppendString(b, m.From)
	}
	return m.Payload.appendBinary(abi.AppendString(b, m.Name))
}

// Append appends the message in a form.
func (m *Response) Append(b []byte, f Form) []byte {
	if f == Binary {
		return m.Payload.appendBinary(abi.AppendUvarint(append(b, byte(TypeResponse)), m.ID))
	}
	b = jsonx.AppendUint(append(b, `{"type":"response","id":`...), m.ID)
	return append(m.Payload.appendJSON(b), '}')
}

// Append appends the message in a form.
func (m *Signal) Append(b []byte, f Form) []byte {
	if f == Binary {
		b = append(b, byte(TypeSignaled), 0)
		if m.From != "" {
			b[len(b)-1] = flagFrom
			b = abi.AppendString(b, m.From)
		}
		return m.Payload.appendBinary(abi.AppendString(b, m.Name))
	}
	b = appendEventName(append(b, `{"type":"signal"`...), m.Name)
	if m.From != "" {
		b = jsonx.AppendString(append(b, `,"from":`...), m.From)
	}
	return append(m.Payload.appendJSON(b), '}')
}

// Append appends the message in a form.
func (m *Part) Append(b []byte, f Form) []byte {
	if f == Binary {
		return abi.AppendUvarint(append(b, byte(TypePart)), m.Offset)
	}
	b = jsonx.AppendUint(append(b, `{"type":"more","offset":`...), m.Offset)
	return append(b, '}')
}

// Append appends the message in a form.
func (*Pong) Append(b []byte, f Form) []byte {
	if f == Binary {
		return append(b, PongBinary...)
	}
	return append(b, PongText...)
}
