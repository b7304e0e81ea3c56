// Package presence knows who is connected to the rooms of this node, and where: what GET
// /v1/presence/{user} answers. It is told by the scheduler when a connection has come or gone, keeps
// everything in memory, and is gone with the process, as the connections are.
//
// Who is in one room, with grace times and what the room says of its members, is that room's own
// knowledge: GET /v1/rooms/{kind}/{room}/presence.
package presence

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// MaxRooms bounds the rooms of one answer; the counts in it are of all.
const MaxRooms = 1000

// A Registry counts connections by user and room. The zero value is empty. Its methods may be
// called concurrently. Its memory is bounded by the connections there are.
type Registry struct {
	mu    sync.RWMutex // guards users
	users map[string]map[Place]*visit
}

// A Place names a room.
type Place struct{ Kind, Room string }

type visit struct {
	connections int
	since       time.Time
}

// Join counts one more connection of a user in a room. Anonymous users, whose name is empty,
// are not counted: they are nobody in particular.
func (r *Registry) Join(user string, p Place, now time.Time) {
	if user == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users == nil {
		r.users = make(map[string]map[Place]*visit)
	}
	rooms := r.users[user]
	if rooms == nil {
		rooms = make(map[Place]*visit, 1)
		r.users[user] = rooms
	}
	v := rooms[p]
	if v == nil {
		v = &visit{since: now}
		rooms[p] = v
	}
	v.connections++
}

// Leave counts one less. Each Join is followed by one Leave.
func (r *Registry) Leave(user string, p Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rooms := r.users[user]
	v := rooms[p]
	if v == nil {
		return
	}
	if v.connections--; v.connections > 0 {
		return
	}
	if delete(rooms, p); len(rooms) == 0 {
		delete(r.users, user)
	}
}

// A User is where a user is, as JSON says it.
type User struct {
	User        string `json:"user"`
	Online      bool   `json:"online"`
	Connections int    `json:"connections"`
	// Rooms are in the order of their kinds and names, at most [MaxRooms]; More says that
	// some were left out.
	Rooms []Visit `json:"rooms"`
	More  bool    `json:"more,omitempty"`
}

// A Visit is one room that a user is connected to.
type Visit struct {
	Kind        string `json:"kind"`
	Room        string `json:"room"`
	Connections int    `json:"connections"`
	// Since is when the first of the present connections came, milliseconds since 1970.
	Since int64 `json:"since"`
}

// Of returns where a user is.
func (r *Registry) Of(user string) User {
	r.mu.RLock()
	defer r.mu.RUnlock()
	u := User{User: user, Rooms: []Visit{}}
	for p, v := range r.users[user] {
		u.Connections += v.connections
		u.Rooms = append(u.Rooms, Visit{Kind: p.Kind, Room: p.Room, Connections: v.connections, Since: v.since.UnixMilli()})
	}
	u.Online = u.Connections > 0
	slices.SortFunc(u.Rooms, func(a, b Visit) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Room, b.Room)) })
	if len(u.Rooms) > MaxRooms {
		u.Rooms, u.More = u.Rooms[:MaxRooms], true
	}
	return u
}

// Users is the number of users who are connected.
func (r *Registry) Users() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.users)
}
