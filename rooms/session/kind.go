package session

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Kind is the value that holds one room's logic. It implements any of the *Handler
// interfaces below. Without any, members may be present and read an empty history.
//
// Errors that handlers return become the client's error: an *[Error] as it is; an
// [abi.Code] by its row of the table, retryable after 1 s if the row says retry; any other
// error as the final error "invalid" with its text.
type Kind any

// A StartHandler is told that the room begins to run: at first, and again after each sleep,
// move, trap or new version of the module. Members are known already.
type StartHandler interface {
	Start(room *Room)
}

// An AdmitHandler decides on a client before it is heard: when it connects, and before an
// HTTP request is answered. An error refuses it.
type AdmitHandler interface {
	Admit(room *Room, m *Member) error
}

// A JoinHandler decides on a client that says hello, with what it said. It may set the member's
// data ([Member.SetData]). What it returns goes into the welcome. An error closes the connection. It
// is asked for each connection, so also when a user opens a second one or comes back; the
// member list does not hold this connection yet. It is asked again when a connection says hello again,
// because something may have been lost on its way: then the list holds it.
type JoinHandler interface {
	Join(room *Room, m *Member, hello Payload) (welcome Payload, err error)
}

// A LeaveHandler is told that a user has left: its last connection has been gone for the grace
// time. After a crash of the host it may not be told.
type LeaveHandler interface {
	Leave(room *Room, m *Member)
}

// A PublishHandler decides on a publish: what it returns becomes the room's next event. An event
// without a name is none: the publish is acknowledged and nobody hears of it. After a
// retryable error the client sends the same publish again; a final error is its answer for
// ever. Without a PublishHandler every publish is an unknown_event.
//
// What the handler writes to storage happens also when it returns an error, and happens
// together with the event otherwise.
type PublishHandler interface {
	Publish(room *Room, from *Member, p Publish) (Event, error)
}

// A RequestHandler answers requests, except those whose names belong to the protocol. Requests
// may come twice: they are not numbered. Without it every request is an unknown_event.
type RequestHandler interface {
	Request(room *Room, from *Member, r Request) (Payload, error)
}

// A SignalHandler decides what the others hear of a signal. A signal without a name is
// none. Without it every signal is an unknown_event.
type SignalHandler interface {
	Signal(room *Room, from *Member, s Signal) (Signal, error)
}

// An AlarmHandler gets the alarm set with [Room.SetAlarm], at least once until its turn
// commits.
type AlarmHandler interface {
	Alarm(room *Room, a rooms.Alarm)
}

// A TickHandler gets the beats asked for with [Room.SetTick].
type TickHandler interface {
	Tick(room *Room, t rooms.Tick)
}

// An HTTPHandler answers the HTTP requests that are not the protocol's own. Without it they get
// 404. Admit was asked already.
type HTTPHandler interface {
	HTTP(room *Room, from *Member, r *rooms.Request)
}

// A ToldHandler gets what other rooms said, at least once.
type ToldHandler interface {
	Told(room *Room, t rooms.Told)
}

// A PresenceHandler is told of users whom the room watches ([Room.Watch]), as [rooms.PresenceHandler].
type PresenceHandler interface {
	Presence(room *Room, users []abi.UserPresence)
}

// A NotifiedHandler gets what is said to the user of a connection, as [rooms.NotifiedHandler], when it is live.
// Without it the connection hears it as a signal whose name is [NotifyPrefix] and the notification's event.
type NotifiedHandler interface {
	Notified(room *Room, to *Member, n rooms.Notified)
}

// A RejectedHandler is told which event made the room trap. The sender was answered already.
type RejectedHandler interface {
	Rejected(room *Room, code abi.Code, e abi.Event)
}

// handlers are the interfaces that a kind implements, looked up once.
type handlers struct {
	start    StartHandler
	admit    AdmitHandler
	join     JoinHandler
	leave    LeaveHandler
	publish  PublishHandler
	request  RequestHandler
	signal   SignalHandler
	alarm    AlarmHandler
	tick     TickHandler
	http     HTTPHandler
	told     ToldHandler
	presence PresenceHandler
	notified NotifiedHandler
	rejected RejectedHandler
}

func resolve(k Kind) (h handlers) {
	h.start, _ = k.(StartHandler)
	h.admit, _ = k.(AdmitHandler)
	h.join, _ = k.(JoinHandler)
	h.leave, _ = k.(LeaveHandler)
	h.publish, _ = k.(PublishHandler)
	h.request, _ = k.(RequestHandler)
	h.signal, _ = k.(SignalHandler)
	h.alarm, _ = k.(AlarmHandler)
	h.tick, _ = k.(TickHandler)
	h.http, _ = k.(HTTPHandler)
	h.told, _ = k.(ToldHandler)
	h.presence, _ = k.(PresenceHandler)
	h.notified, _ = k.(NotifiedHandler)
	h.rejected, _ = k.(RejectedHandler)
	return h
}
