package rooms

import "github.com/oriel-rooms/oriel/rooms/abi"

// prefixWatch begins the rows that name the users whom a room watches, in the SDK's part of the storage.
const prefixWatch = "wu"

// A PresenceHandler is told of the users whom the room watches ([Room.Watch]) whether they are online: the
// newest state of each. It is told of everybody again after each start, in a turn behind it; what came and went
// in between is left out, and the same may be said twice.
type PresenceHandler interface {
	Presence(room *Room, users []abi.UserPresence)
}

// A NotifiedHandler gets what a room or a backend says to the user of a connection. Without it the
// connection hears nothing: what is right to send depends on the room's protocol.
type NotifiedHandler interface {
	Notified(room *Room, to *Connection, n Notified)
}

// Notified is what somebody says to a user. Data is valid during the handler.
type Notified struct {
	FromKind, FromRoom string // the room that says it; empty for a backend
	Event              string // what it is about
	Encoding           abi.Encoding
	Data               []byte
}

// Watch has the room told whether a user is online, in any room of the service, now and at every change, until
// Unwatch: through sleep, moves and crashes. The kind is told by its Presence handler, and must have one. A change wakes a
// sleeping room that has connections; one without hears at its next start.
//
// Watching a user again does nothing. The error is [abi.CodeInvalid] for a name that no user has, and
// [abi.CodeTooLarge] for more than 1,000 users.
func (r *Room) Watch(user string) error {
	switch {
	case r.kind.presence == nil:
		panic("rooms: Watch: the kind has no Presence handler")
	case user == "" || len(user) > abi.MaxUser:
		return abi.CodeInvalid
	case r.Watched(user):
		return nil
	case len(r.watches) >= abi.MaxWatches:
		return abi.CodeTooLarge
	}
	r.watch(user)
	(&Storage{room: r, system: true}).Put(prefixWatch+user, nil)
	return nil
}

func (r *Room) watch(user string) {
	if r.watches == nil {
		r.watches = make(map[string]struct{})
	}
	r.watches[user] = struct{}{}
	r.effect(&abi.WatchEffect{User: user, On: true})
}

// Unwatch ends watching a user.
func (r *Room) Unwatch(user string) {
	if r.Watched(user) {
		delete(r.watches, user)
		(&Storage{room: r, system: true}).Delete(prefixWatch + user)
		r.effect(&abi.WatchEffect{User: user})
	}
}

// Watched reports whether the room watches a user.
func (r *Room) Watched(user string) bool {
	_, ok := r.watches[user]
	return ok
}

// watchAgain asks for what an earlier life of the room has watched. Only a kind that can be told has any.
func (r *Room) watchAgain() {
	if r.kind.presence == nil {
		return
	}
	rows := &Storage{room: r, system: true}
	for o := (ListOptions{Start: prefixWatch, End: prefixEnd(prefixWatch)}); ; {
		page, more := rows.List(o)
		for _, row := range page {
			r.watch(row.Key[len(prefixWatch):])
		}
		if !more {
			return
		}
		o.Start = page[len(page)-1].Key + "\x00"
	}
}

// presence hands on what is said of users who are still watched.
func (r *Room) presence(users []abi.UserPresence) {
	kept := users[:0]
	for _, u := range users {
		if r.Watched(u.User) {
			kept = append(kept, u)
		}
	}
	if len(kept) > 0 {
		r.kind.presence.Presence(r, kept)
	}
}

// Notify says something to a user on all devices, in whatever rooms of the service the user is: each device
// is reached once, on its newest connection, by the Notified handler of that room. It leaves when the turn is
// durable, and is lost where it cannot be delivered then. event names what it is about: 1 to 48
// printable ASCII characters without quotes and backslashes. The data has at most 16 KiB, and a turn at most 256
// notifications. Beyond that Notify panics.
func (r *Room) Notify(user, event string, m Message) {
	switch {
	case user == "" || len(user) > abi.MaxUser:
		panic("rooms: Notify: not a user's name")
	case !abi.ValidNotification(event):
		panic("rooms: Notify: the event's name is not 1 to 48 printable characters")
	case len(m.Data) > abi.MaxNotify:
		panic("rooms: Notify: more than 16 KiB")
	}
	if r.notifiesIn != r.turn {
		r.notifiesIn, r.notifies = r.turn, 0
	}
	if r.notifies == abi.MaxNotifies {
		panic("rooms: Notify: more than 256 notifications in one turn")
	}
	r.notifies++
	r.effect(&abi.NotifyEffect{User: user, Event: event, Encoding: m.encoding(), Data: m.Data})
}
