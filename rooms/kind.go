package rooms

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Kind is the value that holds one room's logic and its state in memory. It
// implements any of the *Handler interfaces below; without any, it is a room that
// lets everybody in and ignores them.
type Kind any

// A StartHandler is told that the room begins to run: at first, and again after each
// sleep, move, trap or new version of the module.
type StartHandler interface {
	Start(room *Room)
}

// A ConnectHandler decides on a client whose identity the host has verified. An error
// refuses it: an [abi.Code] or a *[CloseError] says how, any other error
// closes with [abi.CodeForbidden] and the error's text. Tags can be set only here.
type ConnectHandler interface {
	Connect(room *Room, c *Connection) error
}

// A MessageHandler gets the messages of the room's connections.
type MessageHandler interface {
	Message(room *Room, from *Connection, m Message)
}

// A CloseHandler is told that a connection has ended. The connection has left the room already.
// After a crash of a host it may not be told: the connections at Start are the truth.
type CloseHandler interface {
	Close(room *Room, c *Connection, code abi.Code, reason string)
}

// An AlarmHandler gets the room's alarm, at least once. It is over when the turn
// commits; set a new one to be called again.
type AlarmHandler interface {
	Alarm(room *Room, a Alarm)
}

// A TickHandler gets the beats asked for with [Room.SetTick].
type TickHandler interface {
	Tick(room *Room, t Tick)
}

// A RequestHandler answers HTTP requests to the room. Without it they get 404.
type RequestHandler interface {
	Request(room *Room, r *Request)
}

// A RejectedHandler is told which event made the room trap, in the first turn after.
// The event did not happen.
type RejectedHandler interface {
	Rejected(room *Room, code abi.Code, e abi.Event)
}

// A ToldHandler gets what other rooms said with [Room.Tell], at least once.
type ToldHandler interface {
	Told(room *Room, t Told)
}

// Further handlers stand where their subjects do: [PresenceHandler], [NotifiedHandler].

// Alarm is what an alarm event says.
type Alarm struct {
	ScheduledMillis int64 // the time that was asked for, in milliseconds since 1970
	Attempt         int   // 0 at first; more if an earlier attempt failed
}

// Scheduled is ScheduledMillis as a time. A field of this type would bring package time's parser,
// formatter and time zones into every module, because handlers are interfaces.
func (a Alarm) Scheduled() time.Time { return millis(uint64(a.ScheduledMillis)) }

// Tick is what a tick says.
type Tick struct {
	Missed int // beats that were merged into this one because the room was busy
}

// Told is a message of another room. FromKind, FromRoom and ID together name it, so a
// room that must not act twice remembers the ID.
type Told struct {
	FromKind, FromRoom string
	ID                 uint64
	Data               []byte
}

// Options are what the host needs to know of a kind. The zero value is useful: each
// field says its default.
type Options struct {
	// Protocols are the WebSocket subprotocols the kind speaks, in order of
	// preference, at most 8. None: raw frames without a subprotocol.
	Protocols []string
	// Anonymous admits clients without a credential; their user is empty.
	Anonymous bool
	// MessageBytes bounds one received message. Default 65,536; at most 1 MiB. A longer
	// one closes the connection with 1009.
	MessageBytes int
	// MessagesPerSecond and MessageBurst bound a connection's messages. Defaults 50 and
	// 100. More closes the connection with rate_limited.
	MessagesPerSecond, MessageBurst int
	// Members bounds the connections of one room. Default 10,000; at most 32,768.
	Members int
	// SleepAfter is how long a room without events stays in memory. Default 10 s, and
	// always 10 s at the edge, where the platform decides.
	SleepAfter time.Duration
	// Durability says whether effects wait for stable storage. Default abi.Durable, and
	// always so at the edge.
	Durability abi.Durability
	// QueueBytes bounds what waits to be written to one connection. Default 1 MiB. At the
	// edge the platform queues without a bound of ours.
	QueueBytes int
	// Overflow says what happens beyond it. Default abi.OverflowClose. Nothing at the edge.
	Overflow abi.Overflow
}

func (o Options) abi(name string) abi.KindOptions {
	return abi.KindOptions{
		Name:              name,
		Protocols:         o.Protocols,
		Anonymous:         o.Anonymous,
		MessageBytes:      o.MessageBytes,
		MessagesPerSecond: o.MessagesPerSecond,
		MessageBurst:      o.MessageBurst,
		Members:           o.Members,
		SleepAfterMillis:  o.SleepAfter.Milliseconds(),
		Durability:        o.Durability,
		QueueBytes:        o.QueueBytes,
		Overflow:          o.Overflow,
	}
}
