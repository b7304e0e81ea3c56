package chat

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// settings are what the room remembers beside its history.
type settings struct {
	owner          string
	topic, topicBy string
	slow           uint64 // seconds between two messages of a member; 0: off
}

const keySettings = "settings"

func readSettings(room *session.Room) (s settings) {
	b, ok := room.Storage().Get(keySettings)
	if !ok {
		return s
	}
	r := jsonx.NewReader(b)
	for key := range r.Object() {
		switch string(key) {
		case "owner":
			s.owner = r.String()
		case "topic":
			s.topic = r.String()
		case "topicBy":
			s.topicBy = r.String()
		case "slow":
			s.slow = r.Uint()
		}
	}
	if err := r.End(); err != nil {
		panic("chat: the stored settings do not read: " + err.Error())
	}
	return s
}

func (c *Chat) writeSettings(room *session.Room) {
	s := &c.settings
	o := jsonx.NewObject(c.buf[:0])
	o.String("owner", s.owner)
	o.String("topic", s.topic)
	o.String("topicBy", s.topicBy)
	o.Uint("slow", s.slow)
	room.Storage().Put(keySettings, o.End())
}

func (c *Chat) setTopic(room *session.Room, from *session.Member, p session.Payload) (session.Event, error) {
	if !c.moderates(from) {
		return session.Event{}, session.Refuse(abi.CodeForbidden, "only the owner and moderators set the topic")
	}
	in, err := read(p)
	if err != nil {
		return session.Event{}, err
	}
	if !in.hasText {
		return session.Event{}, session.Refuse(abi.CodeInvalid, "no text")
	}
	text, err := in.cleanText(MaxTopic)
	if err != nil {
		return session.Event{}, err
	}
	c.settings.topic, c.settings.topicBy = string(text), from.User()
	c.writeSettings(room)
	return session.Event{Name: "topic", Payload: c.text(text)}, nil
}

func (c *Chat) setSlow(room *session.Room, from *session.Member, p session.Payload) (session.Event, error) {
	if !c.moderates(from) {
		return session.Event{}, session.Refuse(abi.CodeForbidden, "only the owner and moderators set slow mode")
	}
	in, err := read(p)
	if err != nil {
		return session.Event{}, err
	}
	if !in.hasSecs || in.seconds > MaxSlow {
		return session.Event{}, session.Refuse(abi.CodeInvalid, "seconds is not 0 to 3600")
	}
	c.settings.slow = in.seconds
	c.writeSettings(room)
	if in.seconds == 0 {
		forgetPaces(room)
	}
	o := jsonx.NewObject(nil)
	o.Uint("seconds", in.seconds)
	return session.Event{Name: "slow", Payload: session.JSON(o.End())}, nil
}
