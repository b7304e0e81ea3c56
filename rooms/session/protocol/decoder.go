package protocol

import (
	"encoding/base64"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// A Decoder decodes the messages of clients. It keeps the last event names, so that they
// cost no allocation the next time. The zero value is ready. Not safe for concurrent use.
type Decoder struct {
	names [maxNames]string
	next  uint8  // of names, to be given away
	last  string // name of the last publish
	// tail is what follows the number in a publish of that name, if it is short enough to lie here.
	tail    [48]byte
	tailLen uint8
}

// maxNames bounds a decoder's cache: what a room hears is a handful of names, and a
// client that invents them only costs itself and others the allocation.
const maxNames = 8

func (d *Decoder) name(b []byte) string {
	if string(b) == d.last {
		return d.last
	}
	for _, s := range d.names {
		if s == string(b) {
			return s
		}
	}
	s := string(b)
	d.names[d.next%maxNames] = s
	d.next++
	return s
}

// Decode decodes one message of a client into m. The error is an *[Error]; m then holds
// what was read before the fault, so that the answer can name the publish or request.
func (d *Decoder) Decode(m *ClientMessage, f Form, b []byte) error {
	*m = ClientMessage{}
	if f == Binary {
		return d.binary(m, b)
	}
	if d.usual(m, b) {
		return nil
	}
	*m = ClientMessage{}
	return d.json(m, b)
}

// usual decodes a publish that is written as this project's clients write it: the fields in
// this order, no white space between them, and the name that the last publish had. It is a
// third of the work of the general decoder, which takes over when anything is otherwise.
func (d *Decoder) usual(m *ClientMessage, b []byte) bool {
	const open = `{"type":"publish","seq":`
	i := len(open)
	tail := d.tail[:d.tailLen]
	if len(tail) == 0 || len(b) < i+len(tail)+4 || string(b[:i]) != open {
		return false
	}
	var seq uint64
	for from := i; ; i++ {
		c := b[i] - '0'
		if c > 9 {
			break
		}
		if seq = seq*10 + uint64(c); seq == 0 || i-from > 14 {
			return false
		}
	}
	value := i + len(tail)
	if value >= len(b) || seq == 0 || string(b[i:value]) != string(tail) {
		return false
	}
	end, err := jsonx.Skip(b, value)
	if err != nil || end != len(b)-1 || b[end] != '}' {
		return false
	}
	m.Type, m.Seq, m.Event = TypePublish, seq, d.last
	m.Payload = Payload{Format: FormatJSON, Data: b[value:end:end]}
	return true
}

// Bits of the fields that were seen.
const (
	sawType = 1 << iota
	sawSeq
	sawEvent
	sawSession
	sawIncarnation
	sawOffset
	sawID
	sawData
	sawBytes
)

func (d *Decoder) json(m *ClientMessage, b []byte) error {
	seen, fault := d.fields(m, b)
	if fault == nil {
		fault = m.check(seen)
	}
	if fault != nil {
		return fault
	}
	if m.Type == TypePublish && m.Event != d.last {
		d.last, d.tailLen = m.Event, 0
		if tail := append(append(append(d.tail[:0], `,"event":"`...), m.Event...), `","data":`...); len(tail) <= len(d.tail) {
			d.tailLen = uint8(len(tail))
		}
	}
	return nil
}

// fields reads the object and returns the bits of the fields that it has.
func (d *Decoder) fields(m *ClientMessage, b []byte) (seen int, fault *Error) {
	r := jsonx.NewReader(b)
	if r.Peek() != '{' {
		return 0, &Error{Reason: "not a JSON object"}
	}
	for key := range r.Object() {
		bit := 0
		switch string(key) {
		case "type":
			bit = sawType
		case "seq":
			bit = sawSeq
		case "event":
			bit = sawEvent
		case "data":
			bit = sawData
		case "bytes":
			bit = sawBytes
		case "id":
			bit = sawID
		case "session":
			bit = sawSession
		case "incarnation":
			bit = sawIncarnation
		case "offset":
			bit = sawOffset
		case "room", "to":
			fault = &Error{Field: string(key), Reason: "reserved"}
		}
		if bit == 0 && fault == nil {
			continue
		}
		if fault == nil && seen&bit != 0 {
			fault = &Error{Field: string(key), Reason: "twice"}
		}
		seen |= bit
		if fault == nil && (bit == sawData || !r.Null()) {
			fault = d.field(m, r, bit)
		} else if bit != sawData && fault == nil {
			seen &^= bit // null is the same as absent
		}
		if fault != nil {
			break
		}
	}
	if fault == nil {
		if err := r.End(); err != nil {
			fault = &Error{Reason: "not valid", Err: err}
		}
	}
	return seen, fault
}

// field reads the value of one known field.
func (d *Decoder) field(m *ClientMessage, r *jsonx.Reader, bit int) *Error {
	switch bit {
	case sawType:
		if m.Type = clientType(r.Bytes()); m.Type == 0 && r.Err() == nil {
			return &Error{Field: "type", Reason: "unknown"}
		}
	case sawSeq:
		m.Seq = r.Uint()
	case sawID:
		m.ID = r.Uint()
		m.HasID = r.Err() == nil
	case sawOffset:
		m.Offset = r.Uint()
		m.HasOffset = r.Err() == nil
	case sawEvent:
		if name := r.Bytes(); r.Err() == nil {
			if !ValidEventName(name) {
				return &Error{Field: "event", Reason: "not 1 to 64 printable characters"}
			}
			m.Event = d.name(name)
		}
	case sawSession:
		v := r.Bytes()
		if !ValidToken(v) {
			return &Error{Field: "session", Reason: "not at most 64 printable characters"}
		}
		m.Session = string(v)
	case sawIncarnation:
		v := r.Bytes()
		if !ValidToken(v) {
			return &Error{Field: "incarnation", Reason: "not at most 64 printable characters"}
		}
		m.Incarnation = string(v)
	case sawData:
		if m.Payload.Format != FormatNone {
			return &Error{Field: "data", Reason: "beside bytes"}
		}
		m.Payload = Payload{Format: FormatJSON, Data: r.Raw()}
	case sawBytes:
		if m.Payload.Format != FormatNone {
			return &Error{Field: "bytes", Reason: "beside data"}
		}
		return readBytes(&m.Payload, r)
	}
	if err := r.Err(); err != nil {
		if bit == sawData {
			m.Payload = Payload{}
		}
		return &Error{Field: fieldName(bit), Reason: "not valid", Err: err}
	}
	return nil
}

func readBytes(p *Payload, r *jsonx.Reader) *Error {
	v := r.Bytes()
	if err := r.Err(); err != nil {
		return &Error{Field: "bytes", Reason: "not valid", Err: err}
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(v)))
	n, err := base64.StdEncoding.Strict().Decode(data, v)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(v) {
		return &Error{Field: "bytes", Reason: "not base64"}
	}
	*p = Payload{Format: FormatBytes, Data: data[:n]}
	return nil
}

func fieldName(bit int) string {
	switch bit {
	case sawType:
		return "type"
	case sawSeq:
		return "seq"
	case sawEvent:
		return "event"
	case sawSession:
		return "session"
	case sawIncarnation:
		return "incarnation"
	case sawOffset:
		return "offset"
	case sawID:
		return "id"
	case sawBytes:
		return "bytes"
	}
	return "data"
}

func clientType(v []byte) Type {
	switch string(v) {
	case "publish":
		return TypePublish
	case "signal":
		return TypeSignal
	case "request":
		return TypeRequest
	case "hello":
		return TypeHello
	case "more":
		return TypeMore
	case "ping":
		return TypePing
	}
	return 0
}

// check checks that the fields that m's type requires are there.
func (m *ClientMessage) check(seen int) *Error {
	need := sawType
	switch m.Type {
	case TypePublish:
		need |= sawSeq | sawEvent
	case TypeRequest:
		need |= sawID | sawEvent
	case TypeSignal:
		need |= sawEvent
	}
	if lack := need &^ seen; lack != 0 {
		return &Error{Field: fieldName(lack & -lack), Reason: "missing"}
	}
	if m.Type == TypePublish && m.Seq == 0 {
		return &Error{Field: "seq", Reason: "less than 1"}
	}
	return nil
}

func (d *Decoder) binary(m *ClientMessage, b []byte) error {
	r := abi.NewDecoder(b)
	m.Type = Type(r.Byte("type"))
	switch m.Type {
	case TypeHello:
		m.HasOffset = r.Bool("flags")
		m.Session = token(r, "session")
		if m.HasOffset {
			m.Incarnation = token(r, "incarnation")
			m.Offset = r.Uvarint("offset", MaxInteger)
		}
		return payload(r, &m.Payload)
	case TypePublish:
		if m.Seq = r.Uvarint("seq", MaxInteger); m.Seq == 0 {
			r.Malformed("seq", "less than 1")
		}
		m.Event = d.eventName(r)
		return payload(r, &m.Payload)
	case TypeRequest:
		m.ID = r.Uvarint("id", MaxInteger)
		m.HasID = r.Err() == nil
		m.Event = d.eventName(r)
		return payload(r, &m.Payload)
	case TypeSignal:
		m.Event = d.eventName(r)
		return payload(r, &m.Payload)
	case TypeMore, TypePing:
		return end(r)
	}
	if r.Err() == nil {
		m.Type = 0
		return &Error{Field: "type", Reason: "unknown"}
	}
	return fault(r)
}

func (d *Decoder) eventName(r *abi.Decoder) string {
	v := r.Bytes("event", MaxEventName)
	if r.Err() != nil {
		return ""
	}
	if !ValidEventName(v) {
		r.Malformed("event", "not 1 to 64 printable characters")
		return ""
	}
	return d.name(v)
}

// PublishBody is the body of a publish that comes by HTTP.
type PublishBody struct {
	Event   string
	Payload Payload
}

// DecodePublishBody decodes the JSON body of an HTTP publish (PROTOCOL.md, section 13). The
// payload aliases b unless it was base64. The error is an *[Error].
func DecodePublishBody(b []byte) (PublishBody, error) {
	var d Decoder
	var m ClientMessage
	seen, fault := d.fields(&m, b)
	if fault == nil && seen&sawEvent == 0 {
		fault = &Error{Field: "event", Reason: "missing"}
	}
	if fault != nil {
		return PublishBody{}, fault
	}
	return PublishBody{Event: m.Event, Payload: m.Payload}, nil
}
