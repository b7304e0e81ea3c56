package roomtest

import (
	"maps"
	"slices"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// users is what the service beside the room knows of users.
type users struct {
	online   map[string]bool // whom [Host.SetOnline] named
	watching map[string]bool // whom the room watches; true: it has to be told
	telling  bool
	notifies []*abi.NotifyEffect
}

// SetOnline says whether a user is online, which is nothing that the host knows of its own clients: nobody is
// at first. A room that watches the user is told at once.
func (h *Host) SetOnline(user string, online bool) {
	h.tb.Helper()
	if h.online == nil {
		h.online = make(map[string]bool)
	}
	if h.online[user] == online {
		return
	}
	h.online[user] = online
	if _, ok := h.watching[user]; ok {
		h.watching[user] = true
		h.tellPresence()
	}
}

// Watching returns whom the room watches since its last start, in the order of their names.
func (h *Host) Watching() []string { return slices.Sorted(maps.Keys(h.watching)) }

func (h *Host) watch(e *abi.WatchEffect) {
	if !e.On {
		delete(h.watching, e.User)
		return
	}
	if h.watching == nil {
		h.watching = make(map[string]bool)
	}
	h.watching[e.User] = true
}

// tellPresence tells the room of those whom it asked for, or who have changed. With SleepEachTurn each turn
// is a start, which asks for all again: then it is told once of each Run.
func (h *Host) tellPresence() {
	if h.telling {
		return
	}
	h.telling = true
	defer func() { h.telling = false }()
	for {
		e := &abi.PresenceEvent{}
		for _, user := range h.Watching() {
			if h.watching[user] {
				h.watching[user] = false
				e.Users = append(e.Users, abi.UserPresence{User: user, Online: h.online[user]})
			}
		}
		if len(e.Users) == 0 {
			return
		}
		h.Run(e)
		if h.o.SleepEachTurn || len(h.unrun) > 0 {
			for user := range h.watching {
				h.watching[user] = false
			}
		}
	}
}

// Notifies returns what the room has said to users since the last call.
func (h *Host) Notifies() []*abi.NotifyEffect {
	n := h.notifies
	h.notifies = nil
	return n
}

// Notify says something to the client's user, as another room of kind and name from does; both are empty for a
// backend.
func (c *Client) Notify(fromKind, fromRoom, event string, m rooms.Message) {
	e := &abi.NotifiedEvent{Connection: c.ID, FromKind: fromKind, FromRoom: fromRoom, Event: event, Encoding: m.Encoding, Data: m.Data}
	if e.Encoding == 0 {
		e.Encoding = abi.Text
	}
	c.host.Run(e)
}
