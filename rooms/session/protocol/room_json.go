package protocol

import (
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// roomFields is every field of a room's messages in the JSON form. A client decodes into it
// once and builds the message from it: speed matters less here than in [Decoder].
type roomFields struct {
	typ, event, from, code, text              string
	connection, session, incarnation, reason  string
	seq, id, offset, time, retry, expected    uint64
	heartbeat, first, keep                    uint64
	retentionEvents, retentionAge             uint64
	limitMessage, limitOpen                   uint64
	hasID, retryable, resumed, members, delta bool
	list, join                                []Member
	leave                                     []string
	counts                                    *Counts
	payload                                   Payload
	events                                    []Event
	more                                      bool
}

func decodeRoomJSON(b []byte) (RoomMessage, error) {
	r := jsonx.NewReader(b)
	if r.Peek() != '{' {
		return nil, &Error{Reason: "not a JSON object"}
	}
	v := roomFields{}
	if err := v.read(r); err != nil {
		return nil, err
	}
	if err := r.End(); err != nil {
		return nil, &Error{Reason: "not valid", Err: err}
	}
	return v.message()
}

// read reads one object. Unknown fields are skipped; a known one that comes twice is a
// fault.
func (v *roomFields) read(r *jsonx.Reader) error {
	var seen uint64
	var err error
	for key := range r.Object() {
		bit := v.field(string(key), r, &err)
		if err == nil && r.Err() != nil {
			err = &Error{Field: string(key), Reason: "not valid", Err: r.Err()}
		}
		if err == nil && bit != 0 && seen&bit != 0 {
			err = &Error{Field: string(key), Reason: "twice"}
		}
		if err != nil {
			return err
		}
		seen |= bit
	}
	if err := r.Err(); err != nil {
		return &Error{Reason: "not valid", Err: err}
	}
	return nil
}

// field reads the value of one field and returns its bit, 0 if it is unknown.
func (v *roomFields) field(key string, r *jsonx.Reader, err *error) (bit uint64) {
	if key != "data" && r.Null() {
		return 0
	}
	n := 0
	str := func(at int, p *string, limit int) {
		n = at
		if *p = r.String(); len(*p) > limit && r.Err() == nil {
			*err = &Error{Field: key, Reason: "too long"}
		}
	}
	num := func(at int, p *uint64) {
		n = at
		*p = r.Uint()
	}
	switch key {
	case "type":
		str(1, &v.typ, MaxEventName)
	case "event":
		if str(2, &v.event, MaxEventName); *err == nil && r.Err() == nil && !ValidEventName(v.event) {
			*err = &Error{Field: key, Reason: "not 1 to 64 printable characters"}
		}
	case "from":
		str(3, &v.from, MaxUser)
	case "code":
		if str(4, &v.code, MaxCode); *err == nil && r.Err() == nil && !ValidCode(v.code) {
			*err = &Error{Field: key, Reason: "not 1 to 64 of a-z 0-9 _"}
		}
	case "message":
		str(5, &v.text, MaxErrorText)
	case "connection":
		str(6, &v.connection, MaxConnection)
	case "session":
		str(7, &v.session, MaxToken)
	case "incarnation":
		str(8, &v.incarnation, MaxToken)
	case "reason":
		str(9, &v.reason, MaxCode)
	case "seq":
		num(10, &v.seq)
	case "id":
		num(11, &v.id)
		v.hasID = true
	case "offset":
		num(12, &v.offset)
	case "time":
		num(13, &v.time)
	case "retry":
		num(14, &v.retry)
		v.retryable = true
	case "expected":
		num(15, &v.expected)
	case "heartbeat":
		num(16, &v.heartbeat)
	case "first":
		num(17, &v.first)
	case "keep":
		num(18, &v.keep)
	case "resumed":
		n, v.resumed = 19, r.Bool()
	case "more":
		n, v.more = 20, r.Bool()
	case "retention":
		n = 21
		pairs(r, "events", &v.retentionEvents, "age", &v.retentionAge)
	case "limits":
		n = 22
		pairs(r, "message", &v.limitMessage, "open", &v.limitOpen)
	case "counts":
		n, v.counts = 23, &Counts{}
		pairs(r, "users", &v.counts.Users, "connections", &v.counts.Connections)
	case "members":
		n, v.members, v.list = 24, true, readMembers(r, err)
	case "join":
		n, v.delta, v.join = 25, true, readMembers(r, err)
	case "leave":
		n, v.delta = 26, true
		for _, m := range readMembers(r, err) {
			v.leave = append(v.leave, m.User)
		}
	case "events":
		n = 27
		v.readEvents(r, err)
	case "data":
		n = 28
		if v.payload.Format != FormatNone {
			*err = &Error{Field: key, Reason: "beside bytes"}
		}
		v.payload = Payload{Format: FormatJSON, Data: r.Raw()}
	case "bytes":
		n = 29
		if v.payload.Format != FormatNone {
			*err = &Error{Field: key, Reason: "beside data"}
		} else if e := readBytes(&v.payload, r); e != nil {
			*err = e
		}
	default:
		return 0
	}
	return 1 << n
}

func pairs(r *jsonx.Reader, a string, pa *uint64, b string, pb *uint64) {
	for key := range r.Object() {
		switch string(key) {
		case a:
			*pa = r.Uint()
		case b:
			*pb = r.Uint()
		}
	}
}

func readMembers(r *jsonx.Reader, err *error) []Member {
	var out []Member
	for range r.Array() {
		m := Member{}
		for key := range r.Object() {
			switch string(key) {
			case "user":
				m.User = r.String()
			case "connections":
				m.Connections = r.Uint()
			case "data":
				m.Data = r.Raw()
			}
		}
		if len(m.User) > MaxUser || len(m.Data) > MaxMemberData || len(out) == maxMembers {
			*err = &Error{Field: "members", Reason: "too large"}
			return nil
		}
		out = append(out, m)
	}
	return out
}

func (v *roomFields) readEvents(r *jsonx.Reader, err *error) {
	for range r.Array() {
		item := roomFields{}
		if *err = item.read(r); *err != nil {
			return
		}
		if item.event == "" || len(v.events) == MaxPage {
			*err = &Error{Field: "events", Reason: "not events, or too many"}
			return
		}
		v.events = append(v.events, item.toEvent())
	}
}

func (v *roomFields) toEvent() Event {
	return Event{Name: v.event, Offset: v.offset, Incarnation: v.incarnation, From: v.from, Time: v.time, Payload: v.payload}
}

func (v *roomFields) message() (RoomMessage, error) {
	missing := func(field string) (RoomMessage, error) {
		return nil, &Error{Field: field, Reason: "missing"}
	}
	switch v.typ {
	case "":
		return missing("type")
	case "welcome":
		return v.welcome()
	case "ack":
		if v.seq == 0 {
			return missing("seq")
		}
		return &Ack{Seq: v.seq, Offset: v.offset}, nil
	case "error":
		if v.code == "" {
			return missing("code")
		}
		return &ErrorMessage{Seq: v.seq, ID: v.id, HasID: v.hasID, Code: v.code, Text: v.text,
			Retry: v.retry, Retryable: v.retryable, Expected: v.expected}, nil
	case "event":
		if v.event == "" {
			return missing("event")
		}
		e := v.toEvent()
		return &e, nil
	case "response":
		if !v.hasID {
			return missing("id")
		}
		return &Response{ID: v.id, Payload: v.payload}, nil
	case "signal":
		if v.event == "" {
			return missing("event")
		}
		return &Signal{Name: v.event, From: v.from, Payload: v.payload}, nil
	case "presence":
		if !v.members && !v.delta && v.counts == nil {
			return missing("join")
		}
		return &Presence{Whole: v.members && v.counts == nil, Members: v.list, Counts: v.counts, Join: v.join, Leave: v.leave}, nil
	case "more":
		return &Part{Offset: v.offset}, nil
	case "pong":
		return &Pong{}, nil
	}
	return nil, nil
}

func (v *roomFields) welcome() (RoomMessage, error) {
	if !ValidToken(v.session) || v.session == "" {
		return nil, &Error{Field: "session", Reason: "missing or not valid"}
	}
	if !ValidToken(v.incarnation) {
		return nil, &Error{Field: "incarnation", Reason: "not valid"}
	}
	m := &Welcome{
		Connection: v.connection, Session: v.session, ID: v.id, HasID: v.hasID, Incarnation: v.incarnation, Offset: v.offset,
		Seq: v.seq, Resumed: v.resumed, Counts: v.counts, Heartbeat: v.heartbeat, First: v.first,
		RetentionEvents: v.retentionEvents, RetentionAge: v.retentionAge, Keep: v.keep,
		LimitMessage: v.limitMessage, LimitOpen: v.limitOpen, Payload: v.payload,
	}
	if v.counts == nil {
		m.Members = v.list
	}
	for i, name := range reasons {
		if v.reason == name {
			m.Reason = Reason(i)
		}
	}
	return m, nil
}

func readPage(p Payload) (roomFields, error) {
	v := roomFields{}
	if p.Format != FormatJSON {
		return v, &Error{Field: "payload", Reason: "not of the JSON form"}
	}
	r := jsonx.NewReader(p.Data)
	if err := v.read(r); err != nil {
		return v, err
	}
	if err := r.End(); err != nil {
		return v, &Error{Reason: "not valid", Err: err}
	}
	return v, nil
}

func historyPageJSON(p Payload) (HistoryPage, error) {
	v, err := readPage(p)
	if err != nil {
		return HistoryPage{}, err
	}
	return HistoryPage{Events: v.events, More: v.more}, nil
}

func membersPageJSON(p Payload) (MembersPage, error) {
	v, err := readPage(p)
	if err != nil {
		return MembersPage{}, err
	}
	page := MembersPage{Members: v.list, More: v.more}
	if v.counts != nil {
		page.Counts = *v.counts
	}
	return page, nil
}
