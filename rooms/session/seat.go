package session

import (
	"github.com/oriel-rooms/oriel/rooms/internal/small"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// Most rooms are small. What the first members of a room need lies in one block with the room, made
// before anybody comes: where all rooms begin with one image (see package rooms), each page of
// memory that a member touches is a page that the room does not share any more.

// fewSeats is how many connections a room has such a place for; they are given once. What comes after
// them takes memory of its own.
const fewSeats = 5

// fewMembers are the seats, and the first memory of the room's lists.
type fewMembers struct {
	seats        [fewSeats]seat
	order, fresh [fewSeats]*user
	greeting     [fewSeats]*Member
	incarnations [2]incarnation
	infos        [fewSeats]protocol.Member
}

// seat is what one connection needs: its member, and the user and the session if they are new.
type seat struct {
	member  Member
	user    user
	members [1]*Member
	record  record
	key     small.Text // of the session's row
	answers [fewAnswers]byte
}

// restored is what a connection needs that a start lists.
type restored struct {
	member  Member
	user    user
	members [1]*Member
}

// manyRestored is the number of them that are made at once: an allocation for each part would cost
// as much as all else.
const manyRestored = 64

// fewAnswers is what the answers to a few dozen publishes take.
const fewAnswers = 48

// lay makes the room's lists begin in its block.
func (f *fewMembers) lay(r *Room) {
	r.seats = f.seats[:]
	r.users.order, r.users.fresh = f.order[:0], f.fresh[:0]
	r.greeting, r.incarnations = f.greeting[:0], f.incarnations[:0]
	r.infoBuf = f.infos[:0]
}

// seat returns a new member.
func (r *Room) seat() *Member {
	if len(r.seats) == 0 {
		return &Member{}
	}
	s := &r.seats[0]
	r.seats = r.seats[1:]
	s.member.seat = s
	return &s.member
}

func (m *Member) newUser() *user {
	if m.seat == nil {
		return &user{name: m.name}
	}
	m.seat.user = user{name: m.name, members: m.seat.members[:0]}
	return &m.seat.user
}

// newRecord begins a session. Its key is the memory of its id too.
func (r *Room) newRecord(m *Member) *record {
	key := r.appendMinted(append(make([]byte, 0, 32), prefixSession...))
	if m.seat == nil {
		return &record{key: string(key), user: m.name}
	}
	m.seat.record = record{key: m.seat.key.Set(key), user: m.name, answers: answers{b: m.seat.answers[:0]}}
	return &m.seat.record
}
