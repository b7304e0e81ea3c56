package protocol

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// A ClientMessage is any message of a client. Which fields count depends on Type.
type ClientMessage struct {
	Type Type
	// Seq numbers a publish, from 1.
	Seq uint64
	// ID names a request, or a hello so that its welcome is known. HasID is true if it was there, for
	// what could be read of a message that is malformed.
	ID    uint64
	HasID bool
	// Event names a publish, request or signal.
	Event string
	// Session, Incarnation and Offset are hello's; the last two count if HasOffset.
	Session     string
	Incarnation string
	Offset      uint64
	HasOffset   bool
	// Payload of a decoded message aliases the input, unless it was base64.
	Payload Payload
}

// Append appends m in a form. A message with values outside PROTOCOL.md's limits encodes to
// what a room refuses.
func (m *ClientMessage) Append(b []byte, f Form) []byte {
	if f == Binary {
		return m.appendBinary(b)
	}
	return m.appendJSON(b)
}

func (m *ClientMessage) appendJSON(b []byte) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, m.Type.String()...)
	b = append(b, '"')
	switch m.Type {
	case TypeHello:
		if m.HasID {
			b = jsonx.AppendUint(append(b, `,"id":`...), m.ID)
		}
		if m.Session != "" {
			b = append(append(append(b, `,"session":"`...), m.Session...), '"')
		}
		if m.HasOffset {
			b = append(append(append(b, `,"incarnation":"`...), m.Incarnation...), '"')
			b = jsonx.AppendUint(append(b, `,"offset":`...), m.Offset)
		}
		b = m.Payload.appendJSON(b)
	case TypePublish:
		b = jsonx.AppendUint(append(b, `,"seq":`...), m.Seq)
		b = m.Payload.appendJSON(appendEventName(b, m.Event))
	case TypeRequest:
		b = jsonx.AppendUint(append(b, `,"id":`...), m.ID)
		b = m.Payload.appendJSON(appendEventName(b, m.Event))
	case TypeSignal:
		b = m.Payload.appendJSON(appendEventName(b, m.Event))
	}
	return append(b, '}')
}

func appendEventName(b []byte, name string) []byte {
	return append(append(append(b, `,"event":"`...), name...), '"')
}

// Bits of the flags of hello.
const (
	flagOffset  = 1
	flagHelloID = 2
)

func (m *ClientMessage) appendBinary(b []byte) []byte {
	b = append(b, byte(m.Type))
	switch m.Type {
	case TypeHello:
		var flags byte
		if m.HasOffset {
			flags |= flagOffset
		}
		if m.HasID {
			flags |= flagHelloID
		}
		b = abi.AppendString(append(b, flags), m.Session)
		if m.HasOffset {
			b = abi.AppendUvarint(abi.AppendString(b, m.Incarnation), m.Offset)
		}
		if m.HasID {
			b = abi.AppendUvarint(b, m.ID)
		}
		return m.Payload.appendBinary(b)
	case TypePublish:
		b = abi.AppendUvarint(b, m.Seq)
	case TypeRequest:
		b = abi.AppendUvarint(b, m.ID)
	case TypeSignal:
	default:
		return b
	}
	return m.Payload.appendBinary(abi.AppendString(b, m.Event))
}
