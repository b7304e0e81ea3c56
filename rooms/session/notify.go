package session

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// NotifyPrefix begins the names of signals by which a member hears what is said to its user
// (PROTOCOL.md, section 4, signal).
const NotifyPrefix = protocol.NotifyPrefix

// watcher is the adapter of a kind that watches users. The others are not asked at their start whom they watch.
type watcher struct{ *adapter }

var (
	_ rooms.PresenceHandler = (*watcher)(nil)
	_ rooms.NotifiedHandler = (*adapter)(nil)
)

// Presence hands on what is said of watched users.
func (w *watcher) Presence(_ *rooms.Room, users []abi.UserPresence) {
	w.room.kind.presence.Presence(&w.room, users)
	w.room.settle()
}

// Notified tells a connection what is said to its user.
func (a *adapter) Notified(_ *rooms.Room, c *rooms.Connection, n rooms.Notified) {
	r := &a.room
	m := r.member(c)
	if m == nil || m.phase != live {
		return
	}
	if r.kind.notified != nil {
		r.kind.notified.Notified(r, m, n)
		r.settle()
		return
	}
	m.send((&protocol.Signal{Name: NotifyPrefix + n.Event, Payload: payloadOf(n)}).Append)
}

// payloadOf is the payload of a notification: JSON if it is text that is JSON, else bytes.
func payloadOf(n rooms.Notified) Payload {
	if len(n.Data) == 0 {
		return Payload{}
	}
	if p := JSON(n.Data); n.Encoding == abi.Text && p.Valid() == nil {
		return p
	}
	return Bytes(n.Data)
}

// Watch has the room told whether a user is online, as [rooms.Room.Watch].
func (r *Room) Watch(user string) error { return r.inner.Watch(user) }

// Unwatch ends watching a user.
func (r *Room) Unwatch(user string) { r.inner.Unwatch(user) }

// Watched reports whether the room watches a user.
func (r *Room) Watched(user string) bool { return r.inner.Watched(user) }

// Notify says something to a user on all devices, in whatever rooms of the service the user is, as
// [rooms.Room.Notify]: their clients hear it as a notification. It panics if the payload is not valid, or is over 16
// KiB, and on a bad name.
func (r *Room) Notify(user, event string, p Payload) {
	checkPayload(p, nil)
	m := rooms.Message{Encoding: abi.Text, Data: p.Data}
	if p.Format == protocol.FormatBytes {
		m.Encoding = abi.Binary
	}
	r.inner.Notify(user, event, m)
}
