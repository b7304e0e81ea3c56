package session

import (
	"iter"
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// mergeCounts is how long counts are merged, in milliseconds.
const mergeCounts = 250

// wholeDelay is how long after a start that may have lost somebody's leaving everybody is told
// the members anew, in milliseconds: a room that traps again and again tells it once.
const wholeDelay = 1000

// keyPresence lets newer counts and lists take the place of older ones in a slow queue.
const keyPresence = "oriel.presence"

// user is a member in the sense of PROTOCOL.md, section 8: one user with its connections.
type user struct {
	name    string
	data    []byte
	members []*Member // those that said hello
	// until is the end of the grace time, 0 while there are connections.
	until uint64
	gone  bool // see roster
	// shown is the number of connections that was told last.
	shown     int
	shownData []byte
}

func (u *user) connections() int {
	if len(u.members) == 0 {
		return u.shown // in the grace time the last count stands
	}
	return len(u.members)
}

func (u *user) info() protocol.Member {
	return protocol.Member{User: u.name, Connections: uint64(u.connections()), Data: u.data}
}

// Members yields the members in the byte order of their users, those in the grace time
// included.
func (r *Room) Members() iter.Seq[protocol.Member] {
	return func(yield func(protocol.Member) bool) {
		for _, u := range slices.Clone(r.users.sorted()) {
			if !yield(u.info()) {
				return
			}
		}
	}
}

// Present returns what presence says of a user; false if the user is not here.
func (r *Room) Present(name string) (protocol.Member, bool) {
	if u := r.users.get(name); u != nil {
		return u.info(), true
	}
	return protocol.Member{}, false
}

// Counts returns the number of users and of connections.
func (r *Room) Counts() protocol.Counts {
	return protocol.Counts{Users: uint64(r.users.len()), Connections: uint64(r.connections)}
}

// Kick closes all connections of a user with a code and a reason, and returns their number. The
// user leaves at once.
func (r *Room) Kick(name string, code abi.Code, reason string) int {
	u := r.users.get(name)
	if u == nil {
		return 0
	}
	n := len(u.members)
	for _, m := range slices.Clone(u.members) {
		m.Close(code, reason)
	}
	if n == 0 {
		r.endGrace(u)
		r.leave(u)
	}
	return n
}

// enter adds a connection to its user's, and tells the others unless nothing has changed for
// them.
func (r *Room) enter(m *Member) {
	u := r.users.get(m.name)
	if u == nil {
		u = m.newUser()
		r.users.add(u)
	}
	r.endGrace(u)
	r.join(u, m)
	if m.data != nil {
		u.data, m.data = m.data, nil
	}
	for _, c := range u.members {
		if c != m && string(u.shownData) != string(u.data) {
			c.attach()
		}
	}
	r.told(u)
}

func (r *Room) join(u *user, m *Member) {
	u.members = append(u.members, m)
	r.connections++
	r.forms[m.form]++
}

// part takes a connection from its user's, without telling.
func (r *Room) part(m *Member) *user {
	u := r.users.get(m.name)
	if u == nil {
		return nil
	}
	if i := slices.Index(u.members, m); i >= 0 {
		u.members = slices.Delete(u.members, i, i+1)
		r.connections--
		r.forms[m.form]--
	}
	return u
}

// left is called when a connection has gone: the user stays for the grace time, unless the
// connection ended for good.
func (r *Room) left(m *Member, grace bool) {
	u := r.part(m)
	switch {
	case u == nil:
	case len(u.members) > 0:
		r.told(u)
	case grace && r.limits.grace > 0 && !r.inner.StoreAway():
		r.graced.add(u, r.now()+r.limits.grace)
		r.rearm = true
		// The last count and the data stand until then, also through a sleep.
		r.system().Put(graceKey(u), u.data)
	default:
		r.leave(u)
	}
}

func graceKey(u *user) string { return numberKey(prefixGrace, u.until) + graceUser + u.name }

// graceUser keeps the key of the anonymous user apart from that of the time alone.
const graceUser = "/"

// endGrace ends a user's grace time without telling.
func (r *Room) endGrace(u *user) {
	if u.until == 0 {
		return
	}
	r.system().Delete(graceKey(u))
	r.graced.end(u)
}

// leave ends a user's presence, and tells the others and the kind.
func (r *Room) leave(u *user) {
	r.users.remove(u)
	if !r.switched() {
		if r.state.counts {
			r.countsChanged()
		} else {
			msg := protocol.Presence{Leave: []string{u.name}}
			r.broadcast(msg.Append, nil, "")
		}
	}
	if r.kind.leave != nil {
		r.kind.leave.Leave(r, &Member{room: r, name: u.name, data: u.data, phase: gone})
	}
}

// graceRows bounds the users who leave in one turn because their grace time is over.
const graceRows = 256

// graceOver lets those leave whose time is over; the alarm comes at once for the rest.
func (r *Room) graceOver(now uint64) {
	for _, u := range r.graced.ended(now, graceRows) {
		r.endGrace(u)
		r.leave(u)
	}
}

// told tells the others what has changed of a user.
func (r *Room) told(u *user) {
	same := u.shown == len(u.members) && string(u.shownData) == string(u.data)
	u.shown, u.shownData = len(u.members), u.data
	switch {
	case r.switched():
	case same:
	case r.state.counts:
		r.countsChanged()
	default:
		msg := protocol.Presence{Join: []protocol.Member{u.info()}}
		r.broadcast(msg.Append, nil, "")
	}
}

// switched goes over to counts or back when the number of members says so, and tells everybody.
func (r *Room) switched() bool {
	switch n := r.users.len(); {
	case !r.state.counts && n > r.limits.detail:
		r.state.counts = true
		r.tellCounts()
	case r.state.counts && n <= r.limits.detail*3/4:
		r.state.counts, r.state.countsDue = false, 0
		r.broadcast(r.presence().Append, nil, keyPresence)
	default:
		return false
	}
	r.dirty = true
	return true
}

// presence is what a client is told as a whole.
func (r *Room) presence() *protocol.Presence {
	if r.state.counts {
		c := r.Counts()
		return &protocol.Presence{Counts: &c}
	}
	return &protocol.Presence{Whole: true, Members: r.infos()}
}

// infos lists the members; the list is valid until the next one.
func (r *Room) infos() []protocol.Member {
	out := r.infoBuf[:0]
	for _, u := range r.users.sorted() {
		out = append(out, u.info())
	}
	return out
}

// countsChanged tells the counts, at most once in a while.
func (r *Room) countsChanged() {
	now := r.now()
	switch {
	case r.state.countsDue != 0:
	case now >= r.state.countsAt+mergeCounts:
		r.tellCounts()
	default:
		r.state.countsDue = r.state.countsAt + mergeCounts
		r.dirty = true
	}
}

func (r *Room) tellCounts() {
	r.state.countsAt, r.state.countsDue = r.now(), 0
	r.dirty = true
	r.broadcast(r.presence().Append, nil, keyPresence)
}

// restoreGrace puts a user in the grace time back in the list after a sleep.
func (r *Room) restoreGrace(row rooms.Entry) {
	until, name, ok := keyNumber(row.Key)
	if !ok || !strings.HasPrefix(name, graceUser) {
		return
	}
	name = name[len(graceUser):]
	if r.users.get(name) != nil {
		// The room had given up a connection whose node has come back with it.
		if !r.inner.StoreAway() {
			r.system().Delete(row.Key)
		}
		return
	}
	u := &user{name: name, data: row.Value, shown: 1, shownData: row.Value}
	r.users.add(u)
	r.graced.add(u, until)
}

func membersPage(r *Room, q protocol.MembersQuery) protocol.MembersPage {
	at, sorted := 0, r.users.sorted()
	if q.HasAfter {
		at = after(sorted, q.After)
	}
	end := min(at+int(q.Limit), len(sorted))
	page := protocol.MembersPage{More: end < len(sorted), Counts: r.Counts()}
	for _, u := range sorted[at:end] {
		page.Members = append(page.Members, u.info())
	}
	return page
}
