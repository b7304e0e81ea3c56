// Package presence knows who is connected, to which rooms, and on which connections: what GET
// /v1/presence/{user} answers, and what tells a room that somebody came online or went. A [Registry] is told by the
// node when a connection of one of its sockets has come or gone.
//
// [Local] keeps everything in memory and is gone with the process, as the connections are: the registry
// of one node. The package redis below this one makes one registry of all nodes of a fleet.
//
// Who is in one room, with what the room says of its members, is that room's own knowledge:
// GET /v1/rooms/{kind}/{room}/presence.
package presence

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

const (
	// MaxRooms bounds the rooms of one answer; the counts in it are of all.
	MaxRooms = 1000
	// MaxDevices bounds the connections of a user that one node says in detail.
	MaxDevices = 1000
	// MaxDevice bounds [Connection.Device]; what is longer is cut.
	MaxDevice = 64
	// DefaultGrace is how long a server lets a user stay online after the last connection has gone.
	DefaultGrace = 10 * time.Second
)

// A Registry knows who is connected. Its methods may be called concurrently. Answers are of type [*Error]
// if they cannot be had; a [Local] always has them.
type Registry interface {
	// Join says that a connection has come. One that is known already does nothing, and so does one
	// of an anonymous user, whose name is empty: they are nobody in particular. It never waits.
	Join(c Connection)
	// Leave says that a connection has gone. It never waits.
	Leave(c Connection)
	// Of returns where a user is.
	Of(ctx context.Context, user string) (User, error)
	// In returns at most limit of a room's users, in the order of their names.
	In(ctx context.Context, p Place, limit int) (Room, error)
	// Devices returns the connections of a user.
	Devices(ctx context.Context, user string) (Devices, error)
	// Watch begins to watch users; changed is called, with nothing held and soon done, when
	// [Watch.Take] has something.
	Watch(changed func()) *Watch
}

// A Place names a room.
type Place struct{ Kind, Room string }

// Compare orders places by kind and room.
func (p Place) Compare(q Place) int {
	return cmp.Or(strings.Compare(p.Kind, q.Kind), strings.Compare(p.Room, q.Room))
}

// A Connection is a client in a room.
type Connection struct {
	// ID is that of the gateway: unique in the fleet.
	ID    uint64
	User  string
	Place Place
	// Device is what the client says it runs on, at most [MaxDevice] bytes. May be empty.
	Device string
	// Since is when it came, on its node's clock.
	Since time.Time
}

// A User is where a user is, as JSON says it.
type User struct {
	User string `json:"user"`
	// Online is true a little longer than there are connections: see [Local.Grace].
	Online      bool `json:"online"`
	Connections int  `json:"connections"`
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

// NewUser adds up what several nodes say of a user: their visits, in any order, and how many connections are in
// rooms that they have left out.
func NewUser(user string, online bool, visits []Visit, hidden int) User {
	slices.SortFunc(visits, func(a, b Visit) int {
		return Place{a.Kind, a.Room}.Compare(Place{b.Kind, b.Room})
	})
	u := User{User: user, Connections: hidden, Rooms: []Visit{}, More: hidden > 0}
	for _, v := range visits {
		u.Connections += v.Connections
		if last := len(u.Rooms) - 1; last >= 0 && u.Rooms[last].Kind == v.Kind && u.Rooms[last].Room == v.Room {
			u.Rooms[last].Connections += v.Connections
			u.Rooms[last].Since = min(u.Rooms[last].Since, v.Since)
			continue
		}
		u.Rooms = append(u.Rooms, v)
	}
	u.Online = online || u.Connections > 0
	if len(u.Rooms) > MaxRooms {
		u.Rooms, u.More = u.Rooms[:MaxRooms], true
	}
	return u
}

// A Room is who is in a room, as JSON says it.
type Room struct {
	Kind string `json:"kind"`
	Room string `json:"room"`
	// Count is the number of users; Connections is the number of their connections.
	Count       int `json:"count"`
	Connections int `json:"connections"`
	// Users are the first of them in the order of their names.
	Users []Occupant `json:"users"`
}

// An Occupant is one user of a room.
type Occupant struct {
	User        string `json:"user"`
	Connections int    `json:"connections"`
}

// NewRoom makes a room of its users and their connections.
func NewRoom(p Place, users map[string]int, limit int) Room {
	r := Room{Kind: p.Kind, Room: p.Room, Count: len(users), Users: make([]Occupant, 0, len(users))}
	for user, n := range users {
		r.Connections += n
		r.Users = append(r.Users, Occupant{user, n})
	}
	slices.SortFunc(r.Users, func(a, b Occupant) int { return strings.Compare(a.User, b.User) })
	r.Users = slices.Clip(r.Users[:min(len(r.Users), max(0, limit))])
	return r
}

// Devices are a user's connections, in the order of their nodes and IDs. More says that a node has left some out,
// because they were more than [MaxDevices] there. Who wants to reach them all tells each node among them once,
// which knows its own: [Local.Connections].
type Devices struct {
	Devices []Device
	More    bool
}

// A Device is one connection of a user and the node that holds its socket, empty in a [Local].
type Device struct {
	Node string
	Connection
}

// Compare orders devices by node and ID.
func (d Device) Compare(e Device) int {
	return cmp.Or(strings.Compare(d.Node, e.Node), cmp.Compare(d.ID, e.ID))
}
