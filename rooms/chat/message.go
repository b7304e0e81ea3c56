package chat

import (
	"bytes"
	"errors"
	"unicode"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// input is the content of a publish: each event takes some of it.
type input struct {
	text      []byte
	hasText   bool
	plain     bool // the text is known to be what jsonx.Plain says
	offset    uint64
	hasOffset bool
	seconds   uint64
	hasSecs   bool
}

// read reads a publish's content. Members that are not known are ignored, so that clients may
// be newer than the room.
func read(p session.Payload) (in input, err error) {
	if p.Format != session.JSON("").Format {
		return in, session.Refuse(abi.CodeInvalid, "the content is not a JSON object")
	}
	if text, ok := usualText(p.Data); ok {
		in.text, in.hasText, in.plain = text, true, true
		return in, nil
	}
	r := jsonx.NewReader(p.Data)
	for key := range r.Object() {
		switch string(key) {
		case "text":
			in.text, in.hasText = r.Bytes(), true
		case "offset":
			in.offset, in.hasOffset = r.Uint(), true
		case "seconds":
			in.seconds, in.hasSecs = r.Uint(), true
		}
	}
	if err := r.End(); err != nil {
		return in, session.Refuse(abi.CodeInvalid, "the content has a member of the wrong type")
	}
	return in, nil
}

// usualText reads {"text":"..."} with a plain text and without white space, which is most of what
// people send: a fraction of the work of walking over the members. data is known to be JSON.
func usualText(data []byte) ([]byte, bool) {
	const open, end = `{"text":"`, `"}`
	n := len(data) - len(open) - len(end)
	if n < 0 || string(data[:len(open)]) != open || string(data[len(open)+n:]) != end {
		return nil, false
	}
	text := data[len(open) : len(open)+n]
	return text, jsonx.Plain(text)
}

// cleanText checks what a person wrote and cuts white space around it.
func (in *input) cleanText(limit int) ([]byte, error) {
	s := bytes.TrimSpace(in.text)
	if len(s) > MaxTextBytes || len(s) > limit && utf8.RuneCount(s) > limit {
		return nil, session.Refuse(abi.CodeTooLarge, "the text is too long")
	}
	if in.plain {
		return s, nil
	}
	for _, c := range string(s) {
		if c != '\n' && c != '\t' && unicode.IsControl(c) {
			return nil, session.Refuse(abi.CodeInvalid, "the text has a control character")
		}
	}
	return s, nil
}

// message makes the content of a message of what a member wrote.
func (c *Chat) message(room *session.Room, from *session.Member, p session.Payload) (session.Payload, error) {
	in, err := read(p)
	if err != nil {
		return p, err
	}
	text, err := in.cleanText(MaxText)
	if err != nil {
		return p, err
	}
	if len(text) == 0 {
		return p, session.Refuse(abi.CodeInvalid, "the message is empty")
	}
	if err := c.slowDown(room, from); err != nil {
		return p, err
	}
	if isText(p.Data, text) {
		return p, nil
	}
	return c.text(text), nil
}

// isText reports whether data, from which text was read, is {"text":text} and nothing else: if
// text lies in it, without escapes, there is no place for anything else around it.
func isText(data, text []byte) bool {
	const open, end = `{"text":"`, `"}`
	return len(data) == len(open)+len(text)+len(end) && &data[len(open)] == &text[0]
}

// text is {"text":text}.
func (c *Chat) text(text []byte) session.Payload {
	o := jsonx.NewObject(c.buf[:0])
	o.StringBytes("text", text)
	return c.said(&o)
}

// said ends an object that began in c.buf: a payload is of use until the room takes up the next
// message.
func (c *Chat) said(o *jsonx.Object) session.Payload {
	b := o.End()
	if cap(b) <= maxBuffer {
		c.buf = b
	}
	return session.JSON(b)
}

// maxBuffer bounds what is kept of a long message's memory.
const maxBuffer = 1 << 10

// edit changes the text of one's own message, in history too.
func (c *Chat) edit(room *session.Room, from *session.Member, p session.Payload) (session.Event, error) {
	in, err := read(p)
	if err != nil {
		return session.Event{}, err
	}
	text, err := in.cleanText(MaxText)
	if err != nil {
		return session.Event{}, err
	}
	if len(text) == 0 {
		return session.Event{}, session.Refuse(abi.CodeInvalid, "the message is empty; delete it instead")
	}
	m, err := find(room, in)
	if err != nil {
		return session.Event{}, err
	}
	if from.User() == "" || m.from != from.User() {
		return session.Event{}, session.Refuse(abi.CodeForbidden, "the message is somebody else's")
	}
	o := jsonx.NewObject(nil)
	o.StringBytes("text", text)
	o.Uint("edited", uint64(room.NowMillis()))
	o.Uint("edit", room.Head()+1) // the offset of the event that this returns
	if err := m.replace(room, o.End()); err != nil {
		return session.Event{}, err
	}
	e := jsonx.NewObject(nil)
	e.Uint("offset", in.offset)
	e.StringBytes("text", text)
	return session.Event{Name: "edit", Payload: session.JSON(e.End())}, nil
}

// delete removes a message's text from the room for good.
func (c *Chat) delete(room *session.Room, from *session.Member, p session.Payload) (session.Event, error) {
	in, err := read(p)
	if err != nil {
		return session.Event{}, err
	}
	m, err := find(room, in)
	if err != nil {
		return session.Event{}, err
	}
	if own := from.User() != "" && m.from == from.User(); !own && !c.moderates(from) {
		return session.Event{}, session.Refuse(abi.CodeForbidden, "the message is somebody else's")
	}
	o := jsonx.NewObject(nil)
	o.Bool("deleted", true)
	if err := m.replace(room, o.End()); err != nil {
		return session.Event{}, err
	}
	return session.Event{Name: "delete", Payload: pointer(in.offset)}, nil
}

// pointer is {"offset":offset}.
func pointer(offset uint64) session.Payload {
	o := jsonx.NewObject(nil)
	o.Uint("offset", offset)
	return session.JSON(o.End())
}

// stored is a message of history.
type stored struct {
	offset, edit uint64 // edit is the offset of its newest edit event, 0 for none
	from         string
}

// find reads a message that is in history and not deleted.
func find(room *session.Room, in input) (stored, error) {
	if !in.hasOffset {
		return stored{}, session.Refuse(abi.CodeInvalid, "no offset")
	}
	e, ok := room.Event(in.offset)
	if !ok || e.Name != "message" {
		return stored{}, session.Refuse(abi.CodeNotFound, "there is no such message")
	}
	m := stored{offset: in.offset, from: e.From}
	r := jsonx.NewReader(e.Payload.Data)
	deleted := false
	for key := range r.Object() {
		switch string(key) {
		case "edit":
			m.edit = r.Uint()
		case "deleted":
			deleted = r.Bool()
		}
	}
	if r.End() != nil || deleted {
		return stored{}, session.Refuse(abi.CodeNotFound, "there is no such message")
	}
	return m, nil
}

// replace puts data in the message's place, and takes the text out of the edit event before.
func (m *stored) replace(room *session.Room, data []byte) error {
	if m.edit != 0 {
		if err := room.Replace(m.edit, pointer(m.offset)); err != nil && !errors.Is(err, session.ErrNoEvent) {
			return err
		}
	}
	return room.Replace(m.offset, session.JSON(data))
}
