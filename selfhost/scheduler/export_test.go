package scheduler

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Told says that a row of a room's outbox has been heard, as the room that heard it does.
func (s *Scheduler) Told(from store.RoomID, row uint64) { s.told(from, row) }

// Counts are what a node keeps of a room.
type Counts struct{ Sockets, Table, Homes, Model, Mailbox, Members int }

// Counts returns them once nothing of the room runs: all -1 before, and -1 for a model that is not there.
func (s *Scheduler) Counts(id store.RoomID) Counts {
	s.mu.Lock()
	r := s.rooms[id]
	s.mu.Unlock()
	if r == nil {
		return Counts{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running || r.delivering {
		return Counts{-1, -1, -1, -1, -1, -1}
	}
	c := Counts{len(r.sockets), r.table.Len(), len(r.homes), -1, len(r.mailbox), r.members}
	if r.model != nil {
		c.Model = r.model.Connections().Len()
	}
	return c
}

// Moving reports whether the node is to give the room to another one.
func (s *Scheduler) Moving(id store.RoomID) bool {
	s.mu.Lock()
	r := s.rooms[id]
	s.mu.Unlock()
	return r != nil && r.moving()
}

// Knocking is how many gateways wait to be let in.
func (s *Scheduler) Knocking(id store.RoomID) int {
	s.mu.Lock()
	r := s.rooms[id]
	s.mu.Unlock()
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.knocking)
}

// Patient has the node wait for the next owners of the rooms that it gives back, however long they take.
func (s *Scheduler) Patient() {
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	s.mover.patience = time.Hour
}

// Hold stops everything about a room until the function it returns is called.
func (s *Scheduler) Hold(id store.RoomID) (release func()) {
	s.mu.Lock()
	r := s.rooms[id]
	s.mu.Unlock()
	r.mu.Lock()
	return r.mu.Unlock
}

// AttachFrame asks for a room on behalf of a node without connections.
func AttachFrame(id store.RoomID) []byte { return (&attachFrame{id: id}).append(nil) }

// RecordedFrame does so because the store's record named the node that is asked.
func RecordedFrame(id store.RoomID) []byte { return (&attachFrame{id: id, recorded: true}).append(nil) }

// Elsewhere returns the node that an answer names instead, "" for another answer.
func Elsewhere(answer []byte) string {
	if len(answer) == 0 || answer[0] != frameElsewhere {
		return ""
	}
	return abi.NewDecoder(answer[1:]).String("node", maxNode)
}

// Rooms is the number of room objects.
func (s *Scheduler) Rooms() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rooms)
}
