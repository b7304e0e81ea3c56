package chat

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// Limits of what people write.
const (
	// MaxText and MaxTextBytes bound a message.
	MaxText      = 4000
	MaxTextBytes = 16 << 10
	// MaxTopic bounds the topic, in characters.
	MaxTopic = 200
	// MaxSlow bounds slow mode, in seconds.
	MaxSlow = 3600
	// History is how many events a room keeps.
	History = 10_000
)

func init() {
	session.Register("chat", func() session.Kind { return newChat() }, Options())
}

// Options are the options that the kind "chat" is registered with.
func Options() session.Options { return session.Options{History: History} }

// Chat is one room. Everything in it is a copy of what is stored.
type Chat struct {
	settings settings
	buf      []byte // of the payload that is being made
	first    [firstBuffer]byte
}

// firstBuffer is long enough for most messages; it lies in the room's own memory from the start.
const firstBuffer = 160

func newChat() *Chat {
	c := &Chat{}
	c.buf = c.first[:0]
	return c
}

var (
	_ session.StartHandler   = (*Chat)(nil)
	_ session.JoinHandler    = (*Chat)(nil)
	_ session.PublishHandler = (*Chat)(nil)
	_ session.RequestHandler = (*Chat)(nil)
	_ session.SignalHandler  = (*Chat)(nil)
	_ session.AlarmHandler   = (*Chat)(nil)
	_ session.Rehearser      = (*Chat)(nil)
)

// Rehearsal is what people do.
func (c *Chat) Rehearsal() ([]session.Publish, []session.Signal) {
	return []session.Publish{{Event: "message", Payload: session.JSON(`{"text":"hello"}`)}},
		[]session.Signal{{Name: "typing", Payload: session.JSON("true")}}
}

// Start reads the settings.
func (c *Chat) Start(room *session.Room) { c.settings = readSettings(room) }

// Join makes the first user the owner, and tells the newcomer the state of the room.
func (c *Chat) Join(room *session.Room, m *session.Member, _ session.Payload) (session.Payload, error) {
	if c.settings.owner == "" && m.User() != "" && !room.StoreAway() {
		c.settings.owner = m.User()
		c.writeSettings(room)
	}
	return c.state(m), nil
}

// Publish takes what a member has to say.
func (c *Chat) Publish(room *session.Room, from *session.Member, p session.Publish) (session.Event, error) {
	switch p.Event {
	case "message":
		said, err := c.message(room, from, p.Payload)
		return session.Event{Name: p.Event, Payload: said}, err
	case "edit":
		return c.edit(room, from, p.Payload)
	case "delete":
		return c.delete(room, from, p.Payload)
	case "topic":
		return c.setTopic(room, from, p.Payload)
	case "slow":
		return c.setSlow(room, from, p.Payload)
	}
	return session.Event{}, abi.CodeUnknownEvent
}

// Request answers "state".
func (c *Chat) Request(_ *session.Room, from *session.Member, r session.Request) (session.Payload, error) {
	if r.Event != "state" {
		return session.Payload{}, abi.CodeUnknownEvent
	}
	return c.state(from), nil
}

// Signal relays typing.
func (c *Chat) Signal(_ *session.Room, from *session.Member, s session.Signal) (session.Signal, error) {
	if s.Name != "typing" {
		return session.Signal{}, abi.CodeUnknownEvent
	}
	r := jsonx.NewReader(s.Payload.Data)
	typing := r.Bool()
	if s.Payload.Format != session.JSON("").Format || r.End() != nil {
		return session.Signal{}, session.Refuse(abi.CodeInvalid, "typing is true or false")
	}
	data := "false"
	if typing {
		data = "true"
	}
	return session.Signal{Name: s.Name, Payload: session.JSON(data), Key: conflationKey(from.User())}, nil
}

// conflationKey lets a slow reader have only the newest of what one user types.
func conflationKey(user string) string {
	key := "typing " + user
	return key[:min(len(key), abi.MaxConflationKey)]
}

// state is what a member may know of the room's settings.
func (c *Chat) state(m *session.Member) session.Payload {
	o := jsonx.NewObject(c.buf[:0])
	o.String("topic", c.settings.topic)
	if c.settings.topicBy != "" {
		o.String("topicBy", c.settings.topicBy)
	}
	o.Uint("slow", c.settings.slow)
	o.String("owner", c.settings.owner)
	o.String("role", c.role(m))
	return c.said(&o)
}
