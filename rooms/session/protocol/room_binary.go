package protocol

import "github.com/oriel-rooms/oriel/rooms/abi"

// DecodeRoom decodes one message of a room. Messages of the JSON form whose type is not
// known give nil and no error: the protocol may grow. Payloads and members' data alias b.
// The error is an *[Error].
func DecodeRoom(f Form, b []byte) (RoomMessage, error) {
	if f == Binary {
		return decodeRoomBinary(b)
	}
	return decodeRoomJSON(b)
}

func decodeRoomBinary(b []byte) (RoomMessage, error) {
	r := abi.NewDecoder(b)
	switch Type(r.Byte("type")) {
	case TypeWelcome:
		return welcomeBinary(r)
	case TypeAck:
		m := &Ack{Seq: r.Uvarint("seq", MaxInteger)}
		m.Offset = r.Uvarint("offset", MaxInteger)
		return done(m, end(r))
	case TypeError:
		return errorBinary(r)
	case TypeEvent:
		m := &Event{}
		return done(m, m.readFields(r))
	case TypeResponse:
		m := &Response{ID: r.Uvarint("id", MaxInteger)}
		return done(m, payload(r, &m.Payload))
	case TypeSignaled:
		m := &Signal{}
		if flags(r, flagFrom) != 0 {
			m.From = text(r, "from", MaxUser)
		}
		m.Name = eventName(r)
		return done(m, payload(r, &m.Payload))
	case TypePresence:
		return presenceBinary(r)
	case TypePart:
		m := &Part{Offset: r.Uvarint("offset", MaxInteger)}
		return done(m, end(r))
	case TypePong:
		return done(&Pong{}, end(r))
	}
	r.Malformed("type", "unknown")
	return nil, fault(r)
}

// done keeps a half-read message from leaving with an error.
func done(m RoomMessage, err error) (RoomMessage, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

func eventName(r *abi.Decoder) string {
	v := r.Bytes("event", MaxEventName)
	if r.Err() == nil && !ValidEventName(v) {
		r.Malformed("event", "not 1 to 64 printable characters")
	}
	return string(v)
}

func welcomeBinary(r *abi.Decoder) (RoomMessage, error) {
	m := &Welcome{}
	flags := flags(r, flagResumed|flagCounts|flagWelcomeID)
	m.Resumed = flags&flagResumed != 0
	if m.Reason = Reason(r.Byte("reason")); int(m.Reason) >= len(reasons) {
		r.Malformed("reason", "unknown")
	}
	if m.Connection = token(r, "connection"); len(m.Connection) > MaxConnection {
		r.Limit("connection", "too long")
	}
	m.Session = token(r, "session")
	m.Incarnation = token(r, "incarnation")
	for _, p := range [...]*uint64{&m.Offset, &m.Seq, &m.Heartbeat, &m.First, &m.RetentionEvents,
		&m.RetentionAge, &m.Keep, &m.LimitMessage, &m.LimitOpen} {
		*p = r.Uvarint("welcome", MaxInteger)
	}
	if m.HasID = flags&flagWelcomeID != 0; m.HasID {
		m.ID = r.Uvarint("id", MaxInteger)
	}
	if flags&flagCounts != 0 {
		m.Counts = countsBinary(r)
	} else {
		m.Members = membersBinary(r)
	}
	return done(m, payload(r, &m.Payload))
}

func errorBinary(r *abi.Decoder) (RoomMessage, error) {
	m := &ErrorMessage{}
	flags := flags(r, flagSeq|flagID|flagRetry|flagExpected)
	if flags&flagSeq != 0 {
		m.Seq = r.Uvarint("seq", MaxInteger)
	}
	if m.HasID = flags&flagID != 0; m.HasID {
		m.ID = r.Uvarint("id", MaxInteger)
	}
	if m.Retryable = flags&flagRetry != 0; m.Retryable {
		m.Retry = r.Uvarint("retry", MaxInteger)
	}
	if flags&flagExpected != 0 {
		m.Expected = r.Uvarint("expected", MaxInteger)
	}
	m.Code = code(r)
	m.Text = text(r, "message", MaxErrorText)
	return done(m, end(r))
}

func (m *Event) readFields(r *abi.Decoder) error {
	flags := flags(r, flagIncarnation|flagFrom)
	m.Offset = r.Uvarint("offset", MaxInteger)
	m.Time = r.Uvarint("time", MaxInteger)
	if flags&flagIncarnation != 0 {
		m.Incarnation = token(r, "incarnation")
	}
	if flags&flagFrom != 0 {
		m.From = text(r, "from", MaxUser)
	}
	m.Name = eventName(r)
	return payload(r, &m.Payload)
}

func presenceBinary(r *abi.Decoder) (RoomMessage, error) {
	m := &Presence{}
	switch r.Byte("form") {
	case presenceDeltas:
		m.Join = membersBinary(r)
		n := r.Count("leave", maxMembers)
		for range n {
			m.Leave = append(m.Leave, text(r, "user", MaxUser))
			if r.Err() != nil {
				break
			}
		}
	case presenceWhole:
		m.Whole, m.Members = true, membersBinary(r)
	case presenceCounts:
		m.Counts = countsBinary(r)
	default:
		r.Malformed("form", "unknown")
	}
	return done(m, end(r))
}

func countsBinary(r *abi.Decoder) *Counts {
	c := &Counts{Users: r.Uvarint("users", MaxInteger)}
	c.Connections = r.Uvarint("connections", MaxInteger)
	return c
}

func membersBinary(r *abi.Decoder) []Member {
	n := r.Count("members", maxMembers)
	var out []Member
	for range n {
		m := Member{User: text(r, "user", MaxUser)}
		m.Connections = r.Uvarint("connections", MaxInteger)
		m.Data = rawJSON(r, "data", MaxMemberData)
		if r.Err() != nil {
			return nil
		}
		out = append(out, m)
	}
	return out
}

// DecodeHistoryPage decodes the payload of the answer to a history request.
func DecodeHistoryPage(p Payload, f Form) (HistoryPage, error) {
	if f == JSON {
		return historyPageJSON(p)
	}
	page := HistoryPage{}
	if p.Format != FormatBytes {
		return page, &Error{Field: "payload", Reason: "not of the binary form"}
	}
	r := abi.NewDecoder(p.Data)
	page.More = r.Bool("more")
	n := r.Count("events", MaxPage)
	for range n {
		e := Event{}
		item := abi.NewDecoder(r.Bytes("event", abi.MaxMessage))
		if r.Err() != nil {
			break
		}
		if err := e.readFields(item); err != nil {
			return HistoryPage{}, err
		}
		page.Events = append(page.Events, e)
	}
	return page, end(r)
}

// DecodeMembersPage decodes the payload of the answer to a members request.
func DecodeMembersPage(p Payload, f Form) (MembersPage, error) {
	if f == JSON {
		return membersPageJSON(p)
	}
	page := MembersPage{}
	if p.Format != FormatBytes {
		return page, &Error{Field: "payload", Reason: "not of the binary form"}
	}
	r := abi.NewDecoder(p.Data)
	page.More = r.Bool("more")
	page.Counts = *countsBinary(r)
	page.Members = membersBinary(r)
	return page, end(r)
}
