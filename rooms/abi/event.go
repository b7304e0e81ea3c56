package abi

import "strconv"

// EventType is the number of an event's type in the encoding.
type EventType uint8

// The types of events.
const (
	EventStart    EventType = 1
	EventConnect  EventType = 2
	EventMessage  EventType = 3
	EventClose    EventType = 4
	EventAlarm    EventType = 5
	EventTick     EventType = 6
	EventRequest  EventType = 7
	EventRejected EventType = 8
	EventForget   EventType = 9
	EventTold     EventType = 10

	// Reserved: 11 for a credential event before admission, 12 for a watch of another room.

	EventPresence EventType = 13
	EventNotified EventType = 14
)

var eventNames = [...]string{"", "start", "connect", "message", "close", "alarm", "tick", "request", "rejected", "forget", "told", 13: "presence", 14: "notified"}

// String returns the word of DESIGN for the type, such as "connect".
func (t EventType) String() string {
	if int(t) < len(eventNames) && eventNames[t] != "" {
		return eventNames[t]
	}
	return "event_" + strconv.Itoa(int(t))
}

// Encoding says whether a message is text (UTF-8) or binary.
type Encoding uint8

// The encodings.
const (
	Text   Encoding = 1
	Binary Encoding = 2
)

// An Event is what happened: one of the *Event types of this package.
type Event interface {
	Type() EventType
	appendFields(b []byte) []byte
}

// StartReason says why a room starts.
type StartReason uint8

// The reasons.
const (
	// StartCold: nobody ran the room since this host process began, or it is new.
	StartCold StartReason = 1
	// StartWake: the room slept.
	StartWake StartReason = 2
	// StartTrap: the room's memory was thrown away after a trap or a failed commit.
	StartTrap StartReason = 3
	// StartMoved: another node ran the room before.
	StartMoved StartReason = 4
	// StartReplaced: a new version of the module took over.
	StartReplaced StartReason = 5
)

// A Connection is what the host knows of a client attached to the room.
type Connection struct {
	// ID is unique among the room's connections for ever. Never zero.
	ID uint64
	// User is the authenticated identity; empty for an anonymous client.
	User string
	// Claims is a JSON object of what the credential says beside the identity, or empty.
	Claims []byte
	// Protocol is the WebSocket subprotocol that was agreed on; may be empty.
	Protocol string
	// Since is the time of the connect event, milliseconds since 1970.
	Since uint64
	// Tags are set in the connect turn and never change.
	Tags []string
	// Attachment is the room's own data about the connection.
	Attachment []byte
	// Muted connections are left out of broadcasts.
	Muted bool
}

// StartEvent is the first event that a room's memory sees. Its list of connections is
// complete: it is the truth, a [CloseEvent] is a hint.
type StartEvent struct {
	Kind, Room string
	Reason     StartReason
	// Term is the token of the ownership under which the room runs.
	Term string
	// Alarm is the time of the room's alarm, milliseconds since 1970, or 0.
	Alarm       uint64
	Connections []Connection
}

// ConnectEvent asks for admission of a client whose identity the host has verified.
// The room refuses by closing the connection in the same turn.
type ConnectEvent struct {
	// Connection has no tags and no attachment yet.
	Connection Connection
	// Query is the query of the client's URL as sent, without credentials.
	Query string
	// Address is the client's network address, for logs and limits.
	Address string
}

// MessageEvent is one message of a connection.
type MessageEvent struct {
	Connection uint64
	Encoding   Encoding
	Data       []byte
}

// CloseEvent says that a connection has ended, whoever ended it.
type CloseEvent struct {
	Connection uint64
	Code       Code
	Reason     string
	// Clean is true if both sides took part in the closing handshake.
	Clean bool
}

// AlarmEvent is the room's alarm. It comes at least once.
type AlarmEvent struct {
	// Scheduled is the time that was asked for, milliseconds since 1970.
	Scheduled uint64
	// Attempt counts from 0; above 0, an earlier attempt did not commit.
	Attempt uint64
}

// TickEvent is one beat of the interval that a [TickEffect] asked for. Beats that came
// while the room was busy are merged.
type TickEvent struct {
	// Missed is the number of beats that were merged into this one.
	Missed uint64
}

// A Header is one field of an HTTP request or answer.
type Header struct{ Name, Value string }

// RequestEvent is an HTTP request to the room. The room answers with a [RespondEffect]
// in this or a later turn.
type RequestEvent struct {
	// ID names the request in the answer. Never zero.
	ID     uint64
	Method string
	// Path is what follows the room's name in the URL: empty or starting with "/".
	Path    string
	Query   string
	User    string
	Claims  []byte
	Headers []Header
	Body    []byte
}

// RejectedEvent hands back an event that the room failed on alone. It comes in the
// first turn after the restart.
type RejectedEvent struct {
	Code Code
	// Event is the encoding of the original event, by [AppendEvent].
	Event []byte
}

// ForgetEvent says that the handle is gone: the guest drops its state and answers with
// no effect. It is alone in its batch.
type ForgetEvent struct{}

// ToldEvent is what another room of the same service said with a [TellEffect]. It comes
// at least once; From and ID together name it.
type ToldEvent struct {
	FromKind, FromRoom string
	ID                 uint64
	Data               []byte
}

// A PresenceEvent says of users whom the room watches ([WatchEffect]) whether they are online: the newest
// state of each. What came and went in between is left out, and the same may be said twice.
type PresenceEvent struct{ Users []UserPresence }

// UserPresence says whether a user has a connection to any room of the service, or had one until a moment
// ago.
type UserPresence struct {
	User   string
	Online bool
}

// A NotifiedEvent is what a room, or a backend, says to the user of a connection ([NotifyEffect]).
type NotifiedEvent struct {
	Connection uint64
	// FromKind and FromRoom name the room that says it; both are empty for a backend.
	FromKind, FromRoom string
	Event              string
	Encoding           Encoding
	Data               []byte
}

// Type returns the number of the event's type in the encoding.
func (*PresenceEvent) Type() EventType { return EventPresence }

// Type returns the number of the event's type in the encoding.
func (*NotifiedEvent) Type() EventType { return EventNotified }

// Type returns the number of the event's type in the encoding.
func (*StartEvent) Type() EventType { return EventStart }

// Type returns the number of the event's type in the encoding.
func (*ConnectEvent) Type() EventType { return EventConnect }

// Type returns the number of the event's type in the encoding.
func (*MessageEvent) Type() EventType { return EventMessage }

// Type returns the number of the event's type in the encoding.
func (*CloseEvent) Type() EventType { return EventClose }

// Type returns the number of the event's type in the encoding.
func (*AlarmEvent) Type() EventType { return EventAlarm }

// Type returns the number of the event's type in the encoding.
func (*TickEvent) Type() EventType { return EventTick }

// Type returns the number of the event's type in the encoding.
func (*RequestEvent) Type() EventType { return EventRequest }

// Type returns the number of the event's type in the encoding.
func (*RejectedEvent) Type() EventType { return EventRejected }

// Type returns the number of the event's type in the encoding.
func (*ForgetEvent) Type() EventType { return EventForget }

// Type returns the number of the event's type in the encoding.
func (*ToldEvent) Type() EventType { return EventTold }
