package presence

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

var _ Registry = (*Local)(nil)

// A Local is the registry of the connections of one node. The zero value is empty and ready. Its memory is
// bounded by the connections there are, and were a grace ago.
type Local struct {
	// Grace is how long a user stays online after the last connection has gone, so that one who
	// reconnects is not seen to go and come. It is set before the first call. Default none.
	Grace time.Duration
	// Changed, if not nil, hears of every user, and of the room if it is about one, of whom
	// something has changed. It is called with nothing held, so that an older change may be heard after a newer
	// one: what is true, is asked. It is set before the first call.
	Changed func(user string, p Place)

	watchers Watchers

	mu    sync.RWMutex // guards what follows; above the lock of watchers
	users map[string]*person
	rooms map[Place]map[string]int // connections by user
	leave []linger                 // in the order of their times
	timer *time.Timer              // runs while leave is not empty
}

// A person is a user with connections, or one who lingers.
type person struct {
	connections map[uint64]Connection
	gone        time.Time // of one without connections: when the last one went
}

type linger struct {
	user string
	gone time.Time
}

// Join implements [Registry].
func (l *Local) Join(c Connection) {
	if c.User == "" {
		return
	}
	c.Device = strings.ToValidUTF8(c.Device[:min(len(c.Device), MaxDevice)], "")
	l.mu.Lock()
	p := l.users[c.User]
	if p == nil {
		p = &person{connections: make(map[uint64]Connection, 1)}
		if l.users == nil {
			l.users = make(map[string]*person)
		}
		l.users[c.User] = p
	}
	if _, ok := p.connections[c.ID]; ok {
		l.mu.Unlock()
		return
	}
	p.connections[c.ID] = c
	room := l.rooms[c.Place]
	if room == nil {
		room = make(map[string]int, 1)
		if l.rooms == nil {
			l.rooms = make(map[Place]map[string]int)
		}
		l.rooms[c.Place] = room
	}
	room[c.User]++
	call := l.watchers.set(c.User, true)
	l.mu.Unlock()
	call()
	l.changed(c.User, c.Place)
}

// Leave implements [Registry].
func (l *Local) Leave(c Connection) {
	l.mu.Lock()
	p := l.users[c.User]
	if p == nil {
		l.mu.Unlock()
		return
	}
	was, ok := p.connections[c.ID]
	if !ok {
		l.mu.Unlock()
		return
	}
	delete(p.connections, c.ID)
	room := l.rooms[was.Place]
	if room[c.User]--; room[c.User] == 0 {
		if delete(room, c.User); len(room) == 0 {
			delete(l.rooms, was.Place)
		}
	}
	call := nothing
	switch {
	case len(p.connections) > 0:
	case l.Grace > 0:
		p.gone = time.Now()
		l.leave = append(l.leave, linger{c.User, p.gone})
		if len(l.leave) == 1 {
			l.timer = time.AfterFunc(l.Grace, l.sweep)
		}
	default:
		delete(l.users, c.User)
		call = l.watchers.set(c.User, false)
	}
	l.mu.Unlock()
	call()
	l.changed(c.User, was.Place)
}

// sweep lets those go whose grace is over.
func (l *Local) sweep() {
	l.mu.Lock()
	var gone []string
	var calls []func()
	now := time.Now()
	for len(l.leave) > 0 && now.Sub(l.leave[0].gone) >= l.Grace {
		v := l.leave[0]
		l.leave = l.leave[1:]
		if p := l.users[v.user]; p != nil && len(p.connections) == 0 && p.gone.Equal(v.gone) {
			delete(l.users, v.user)
			gone = append(gone, v.user)
			calls = append(calls, l.watchers.set(v.user, false))
		}
	}
	if len(l.leave) > 0 {
		l.timer.Reset(l.Grace - now.Sub(l.leave[0].gone))
	} else {
		l.leave = nil
	}
	l.mu.Unlock()
	for _, call := range calls {
		call()
	}
	for _, user := range gone {
		l.changed(user, Place{})
	}
}

// Close stops the timer of [Local.Grace]: nobody is let go any more.
func (l *Local) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *Local) changed(user string, p Place) {
	if l.Changed != nil {
		l.Changed(user, p)
	}
}

// Of implements [Registry].
func (l *Local) Of(_ context.Context, user string) (User, error) {
	online, visits := l.Visits(user)
	return NewUser(user, online, visits, 0), nil
}

// Visits returns whether a user is online, and where, in no order.
func (l *Local) Visits(user string) (online bool, visits []Visit) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	p := l.users[user]
	if p == nil {
		return false, nil
	}
	at := make(map[Place]int, 1) // index in visits
	for _, c := range p.connections {
		since := c.Since.UnixMilli()
		i, ok := at[c.Place]
		if !ok {
			at[c.Place] = len(visits)
			visits = append(visits, Visit{Kind: c.Place.Kind, Room: c.Place.Room, Connections: 1, Since: since})
			continue
		}
		visits[i].Connections++
		visits[i].Since = min(visits[i].Since, since)
	}
	return true, visits
}

// In implements [Registry].
func (l *Local) In(_ context.Context, p Place, limit int) (Room, error) {
	return NewRoom(p, l.Occupants(p), limit), nil
}

// Occupants returns the connections of each user in a room.
func (l *Local) Occupants(p Place) map[string]int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	users := make(map[string]int, len(l.rooms[p]))
	for user, n := range l.rooms[p] {
		users[user] = n
	}
	return users
}

// Count returns the connections of one user in a room, and whether the room has any.
func (l *Local) Count(p Place, user string) (n int, occupied bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.rooms[p][user], len(l.rooms[p]) > 0
}

// Devices implements [Registry].
func (l *Local) Devices(_ context.Context, user string) (Devices, error) {
	_, all := l.Connections(user)
	d := Devices{More: len(all) > MaxDevices}
	for _, c := range all[:min(len(all), MaxDevices)] {
		d.Devices = append(d.Devices, Device{Connection: c})
	}
	return d, nil
}

// Connections returns whether a user is online, and all connections there are, by ID.
func (l *Local) Connections(user string) (online bool, all []Connection) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	p := l.users[user]
	if p == nil {
		return false, nil
	}
	for _, c := range p.connections {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Connection) int { return Device{Connection: a}.Compare(Device{Connection: b}) })
	return true, all
}

// Online reports whether a user is online.
func (l *Local) Online(user string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.users[user] != nil
}

// Everybody returns all who are online, and all rooms with somebody in them, in no order.
func (l *Local) Everybody() (users []string, rooms []Place) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	users, rooms = make([]string, 0, len(l.users)), make([]Place, 0, len(l.rooms))
	for user := range l.users {
		users = append(users, user)
	}
	for p := range l.rooms {
		rooms = append(rooms, p)
	}
	return users, rooms
}

// Watch implements [Registry].
func (l *Local) Watch(changed func()) *Watch {
	ask := func(user string) {
		l.mu.RLock() // so that no change comes in between
		call := l.watchers.set(user, l.users[user] != nil)
		l.mu.RUnlock()
		call()
	}
	return l.watchers.Watch(changed, ask, func(string) {})
}

// Users is the number of users who are online.
func (l *Local) Users() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.users)
}
