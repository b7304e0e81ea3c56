package abi

import "unicode/utf8"

// AppendEvent appends one event: its size, its type and its fields.
func AppendEvent(b []byte, e Event) []byte {
	return sized(e.appendFields(append(b, 0, byte(e.Type()))), len(b), 1)
}

// DecodeEvent decodes one event that fills b. Byte slices alias b.
func DecodeEvent(b []byte) (Event, error) {
	d := NewDecoder(b)
	e, err := decodeEvent(d, nil)
	if err != nil {
		return nil, err
	}
	return e, d.End("event")
}

func (c *Connection) appendTo(b []byte) []byte {
	b = AppendUvarint(b, c.ID)
	b = AppendString(b, c.User)
	b = AppendBytes(b, c.Claims)
	b = AppendString(b, c.Protocol)
	b = AppendUvarint(b, c.Since)
	b = appendStrings(b, c.Tags)
	b = AppendBytes(b, c.Attachment)
	return AppendBool(b, c.Muted)
}

func (e *StartEvent) appendFields(b []byte) []byte {
	b = AppendString(b, e.Kind)
	b = AppendString(b, e.Room)
	b = append(b, byte(e.Reason))
	b = AppendString(b, e.Term)
	b = AppendUvarint(b, e.Alarm)
	b = AppendUvarint(b, uint64(len(e.Connections)))
	for i := range e.Connections {
		b = e.Connections[i].appendTo(b)
	}
	return b
}

func (e *ConnectEvent) appendFields(b []byte) []byte {
	b = e.Connection.appendTo(b)
	b = AppendString(b, e.Query)
	return AppendString(b, e.Address)
}

func (e *MessageEvent) appendFields(b []byte) []byte {
	b = AppendUvarint(b, e.Connection)
	b = append(b, byte(e.Encoding))
	return AppendBytes(b, e.Data)
}

func (e *CloseEvent) appendFields(b []byte) []byte {
	b = AppendUvarint(b, e.Connection)
	b = AppendUvarint(b, uint64(e.Code))
	b = AppendString(b, e.Reason)
	return AppendBool(b, e.Clean)
}

func (e *AlarmEvent) appendFields(b []byte) []byte {
	return AppendUvarint(AppendUvarint(b, e.Scheduled), e.Attempt)
}

func (e *TickEvent) appendFields(b []byte) []byte { return AppendUvarint(b, e.Missed) }

func (e *RequestEvent) appendFields(b []byte) []byte {
	b = AppendUvarint(b, e.ID)
	b = AppendString(b, e.Method)
	b = AppendString(b, e.Path)
	b = AppendString(b, e.Query)
	b = AppendString(b, e.User)
	b = AppendBytes(b, e.Claims)
	b = appendHeaders(b, e.Headers)
	return AppendBytes(b, e.Body)
}

func (e *RejectedEvent) appendFields(b []byte) []byte {
	return AppendBytes(AppendUvarint(b, uint64(e.Code)), e.Event)
}

func (e *ForgetEvent) appendFields(b []byte) []byte { return b }

func (e *ToldEvent) appendFields(b []byte) []byte {
	b = AppendString(b, e.FromKind)
	b = AppendString(b, e.FromRoom)
	b = AppendUvarint(b, e.ID)
	return AppendBytes(b, e.Data)
}

func (e *PresenceEvent) appendFields(b []byte) []byte {
	b = AppendUvarint(b, uint64(len(e.Users)))
	for _, u := range e.Users {
		b = AppendBool(AppendString(b, u.User), u.Online)
	}
	return b
}

func (e *NotifiedEvent) appendFields(b []byte) []byte {
	b = AppendUvarint(b, e.Connection)
	b = AppendString(AppendString(b, e.FromKind), e.FromRoom)
	b = append(AppendString(b, e.Event), byte(e.Encoding))
	return AppendBytes(b, e.Data)
}

// CheckEvent returns the fault that [DecodeEvent] would find in e's encoding. A host calls
// it before an event enters a batch, because one bad event makes the whole batch bad.
func CheckEvent(e Event) error {
	m, ok := e.(*MessageEvent)
	if !ok {
		_, err := DecodeEvent(AppendEvent(nil, e))
		return err
	}
	var d Decoder
	switch {
	case m.Connection == 0:
		d.Malformed("message.connection", "zero")
	case m.Encoding != Text && m.Encoding != Binary:
		d.Malformed("message.encoding", "neither text nor binary")
	case len(m.Data) > MaxMessage:
		d.Limit("message.data", "too large")
	case m.Encoding == Text && !utf8.Valid(m.Data):
		d.Malformed("message.data", "not UTF-8")
	}
	return d.err
}

// decodeEvent decodes one event, into the memory of another if reuse is not nil.
func decodeEvent(outer *Decoder, reuse *reused) (Event, error) {
	var in Decoder
	in.b = outer.Bytes("event", MaxBatch)
	in.err = outer.err
	d := &in
	t := EventType(d.Byte("event.type"))
	if d.err != nil {
		return nil, d.err
	}
	var e Event
	switch t {
	case EventStart:
		v := reuse.newStart()
		decodeStart(d, v)
		e = v
	case EventConnect:
		v := reuse.newConnect()
		v.Connection = decodeConnection(d, "connect.connection", "")
		v.Query = d.String("connect.query", MaxQuery)
		v.Address = d.String("connect.address", MaxAddress)
		e = v
	case EventMessage:
		v := reuse.newMessage()
		v.Connection, v.Encoding = decodeID(d, "message.connection"), decodeEncoding(d, "message.encoding")
		v.Data = d.Bytes("message.data", MaxMessage)
		if v.Encoding == Text && !utf8.Valid(v.Data) {
			d.Malformed("message.data", "not UTF-8")
		}
		e = v
	case EventClose:
		v := reuse.newClose()
		v.Connection, v.Code = decodeID(d, "close.connection"), Code(d.Uvarint("close.code", MaxCode))
		v.Reason = d.String("close.reason", MaxCloseReason)
		v.Clean = d.Bool("close.clean")
		e = v
	case EventAlarm:
		v := &AlarmEvent{Scheduled: d.Uvarint("alarm.scheduled", MaxTime)}
		v.Attempt = d.Uvarint("alarm.attempt", MaxAttempt)
		e = v
	case EventTick:
		e = &TickEvent{Missed: d.Uvarint("tick.missed", MaxMissed)}
	case EventRequest:
		e = decodeRequest(d)
	case EventRejected:
		v := &RejectedEvent{Code: Code(d.Uvarint("rejected.code", MaxCode))}
		v.Event = d.Bytes("rejected.event", MaxBatch)
		e = v
	case EventForget:
		e = &ForgetEvent{}
	case EventTold:
		v := &ToldEvent{FromKind: decodeName(d, "told.from_kind"), FromRoom: decodeName(d, "told.from_room")}
		v.ID = d.Uvarint("told.id", 1<<64-1)
		v.Data = d.Bytes("told.data", MaxTell)
		e = v
	case EventPresence:
		e = decodePresence(d)
	case EventNotified:
		e = decodeNotifiedEvent(d)
	default:
		d.Malformed("event.type", "unknown "+t.String())
	}
	if d.err != nil || len(d.b) > 0 {
		return nil, d.End("event." + t.String())
	}
	return e, nil
}

func decodeStart(d *Decoder, v *StartEvent) {
	*v = StartEvent{Kind: decodeName(d, "start.kind"), Room: decodeName(d, "start.room")}
	v.Reason = StartReason(d.Byte("start.reason"))
	if v.Reason < StartCold || v.Reason > StartReplaced {
		d.Malformed("start.reason", "unknown")
	}
	v.Term = d.String("start.term", MaxTerm)
	v.Alarm = d.Uvarint("start.alarm", MaxTime)
	n := d.countOf("start.connections", MaxConnections, minConnection)
	if n > 0 {
		v.Connections = make([]Connection, 0, n)
	}
	protocol := ""
	for range n {
		v.Connections = append(v.Connections, decodeConnection(d, "start.connections", protocol))
		protocol = v.Connections[len(v.Connections)-1].Protocol
		if d.err != nil {
			break
		}
	}
}

func decodePresence(d *Decoder) *PresenceEvent {
	v := &PresenceEvent{}
	n := d.countOf("presence.users", MaxWatches, 3)
	if n > 0 {
		v.Users = make([]UserPresence, 0, n)
	}
	for range n {
		v.Users = append(v.Users, UserPresence{User: decodeUser(d, "presence.users"), Online: d.Bool("presence.users")})
		if d.err != nil {
			break
		}
	}
	return v
}

func decodeNotifiedEvent(d *Decoder) *NotifiedEvent {
	v := &NotifiedEvent{Connection: decodeID(d, "notified.connection")}
	v.FromKind, v.FromRoom = d.String("notified.from_kind", MaxName), d.String("notified.from_room", MaxName)
	switch {
	case d.err != nil || v.FromKind == "" && v.FromRoom == "":
	case !ValidName(v.FromKind):
		d.Malformed("notified.from_kind", "not a name")
	case !ValidName(v.FromRoom):
		d.Malformed("notified.from_room", "not a name")
	}
	v.Event, v.Encoding = decodeNotification(d, "notified.event"), decodeEncoding(d, "notified.encoding")
	v.Data = decodeNotified(d, "notified.data", v.Encoding)
	return v
}

func decodeUser(d *Decoder, field string) string {
	s := d.String(field, MaxUser)
	if d.err == nil && s == "" {
		d.Malformed(field, "empty")
	}
	return s
}

func decodeNotification(d *Decoder, field string) string {
	s := d.String(field, MaxNotification)
	if d.err == nil && !ValidNotification(s) {
		d.Malformed(field, "not 1 to 48 printable characters")
	}
	return s
}

func decodeNotified(d *Decoder, field string, enc Encoding) []byte {
	data := d.Bytes(field, MaxNotify)
	if enc == Text && !utf8.Valid(data) {
		d.Malformed(field, "text is not UTF-8")
	}
	return data
}

func decodeRequest(d *Decoder) *RequestEvent {
	v := &RequestEvent{ID: decodeID(d, "request.id"), Method: d.String("request.method", MaxMethod)}
	v.Path = d.String("request.path", MaxPath)
	if v.Path != "" && v.Path[0] != '/' {
		d.Malformed("request.path", "does not start with /")
	}
	v.Query = d.String("request.query", MaxQuery)
	v.User = d.String("request.user", MaxUser)
	v.Claims = d.Bytes("request.claims", MaxClaims)
	v.Headers = decodeHeaders(d, "request.headers")
	v.Body = d.Bytes("request.body", MaxBody)
	return v
}

// minConnection is the size of the shortest connection: its eight fields, one byte each.
const minConnection = 8

// decodeConnection makes no copy of the subprotocol if it is the one that it is given.
func decodeConnection(d *Decoder, field, protocol string) Connection {
	c := Connection{ID: decodeID(d, field), User: d.String(field, MaxUser)}
	c.Claims = d.Bytes(field, MaxClaims)
	if c.Protocol = protocol; !d.same(protocol) {
		c.Protocol = d.String(field, MaxProtocol)
	}
	c.Since = d.Uvarint(field, MaxTime)
	c.Tags = decodeTags(d, field)
	c.Attachment = d.Bytes(field, MaxAttachment)
	c.Muted = d.Bool(field)
	return c
}

func decodeID(d *Decoder, field string) uint64 {
	id := d.Uvarint(field, 1<<64-1)
	if id == 0 {
		d.Malformed(field, "zero")
	}
	return id
}

func decodeEncoding(d *Decoder, field string) Encoding {
	e := Encoding(d.Byte(field))
	if e != Text && e != Binary {
		d.Malformed(field, "neither text nor binary")
	}
	return e
}

func decodeName(d *Decoder, field string) string {
	s := d.String(field, MaxName)
	if d.err == nil && !ValidName(s) {
		d.Malformed(field, "not a name")
	}
	return s
}

func decodeTags(d *Decoder, field string) []string {
	n := d.Count(field, MaxTags)
	if n == 0 {
		return nil
	}
	tags := make([]string, 0, n)
	for range n {
		tags = append(tags, d.String(field, MaxTag))
	}
	return tags
}

func appendStrings(b []byte, list []string) []byte {
	b = AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = AppendString(b, s)
	}
	return b
}

func appendHeaders(b []byte, list []Header) []byte {
	b = AppendUvarint(b, uint64(len(list)))
	for _, h := range list {
		b = AppendString(AppendString(b, h.Name), h.Value)
	}
	return b
}

func decodeHeaders(d *Decoder, field string) []Header {
	n := d.Count(field, MaxHeaders)
	if n == 0 {
		return nil
	}
	list := make([]Header, 0, n)
	for range n {
		h := Header{Name: d.String(field, MaxHeader)}
		h.Value = d.String(field, MaxHeader)
		if d.err == nil && !validHeader(h) {
			d.Malformed(field, "not a header field")
		}
		list = append(list, h)
	}
	return list
}

// validHeader follows RFC 9110, section 5: a token, and a value without control
// characters, so that a room cannot split an HTTP answer.
func validHeader(h Header) bool {
	if h.Name == "" {
		return false
	}
	for i := range len(h.Name) {
		c := h.Name[i]
		if c <= ' ' || c >= 0x7f || c == ':' || c == '"' || c == '(' || c == ')' || c == ',' || c == '/' ||
			(c >= ';' && c <= '@') || (c >= '[' && c <= ']') || c == '{' || c == '}' {
			return false
		}
	}
	for i := range len(h.Value) {
		if c := h.Value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
