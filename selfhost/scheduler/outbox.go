package scheduler

import (
	"slices"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// tell executes the tells of a durable turn: each is a row of the room's outbox until the
// room that was told has committed the turn in which it heard it.
func (s *Scheduler) tell(from *room, number uint64, tells []*abi.TellEffect) {
	for i, t := range tells {
		s.tellOne(from, store.OutboxID(number, i), t)
	}
}

func (s *Scheduler) tellOne(from *room, row uint64, t *abi.TellEffect) {
	id := from.id
	e := &abi.ToldEvent{FromKind: id.Kind, FromRoom: id.Name, ID: row, Data: t.Data}
	done := func() { s.told(id, row) }
	if _, ok := s.o.Modules.Kind(t.Kind); !ok {
		s.o.Log.Error("a room tells one of an unknown kind; the message is dropped", "room", id.String(), "to", t.Kind+"/"+t.Room)
		done()
		return
	}
	s.deliverTold(store.RoomID{Kind: t.Kind, Name: t.Room}, e, done, 0)
}

// deliverTold posts the event, again after a while if the room cannot take it now.
func (s *Scheduler) deliverTold(to store.RoomID, e *abi.ToldEvent, done func(), tries int) {
	if s.post(to, posting{event: e, ack: done}) == nil || s.ctx.Err() != nil {
		return
	}
	wait := min(100*time.Millisecond<<min(tries, 9), time.Minute)
	time.AfterFunc(wait, func() {
		if s.ctx.Err() == nil {
			s.deliverTold(to, e, done, tries+1)
		}
	})
}

// retryTold comes after a told event that did not happen: the sender's outbox still has the row.
func (s *Scheduler) retryTold(to store.RoomID, e *abi.ToldEvent) {
	from := store.RoomID{Kind: e.FromKind, Name: e.FromRoom}
	time.AfterFunc(time.Second, func() {
		if s.ctx.Err() == nil {
			s.deliverTold(to, e, func() { s.told(from, e.ID) }, 3)
		}
	})
}

// told notes that a row of a room's outbox is done; a later commit of that room removes it.
func (s *Scheduler) told(from store.RoomID, row uint64) {
	for {
		r := s.room(from)
		if r == nil {
			return
		}
		r.mu.Lock()
		if s.o.Cluster != nil && !r.owns && !r.dead { // its owner tells the same again, and hears of it then
			r.start() // to be put away, if it was made just now
			r.mu.Unlock()
			return
		}
		if !r.dead {
			r.done = append(r.done, row)
			r.start()
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

// readOutbox executes what an earlier life of the room left. It runs on the room's turn
// goroutine, when the room is opened.
func (s *Scheduler) readOutbox(r *room) {
	r.mu.Lock()
	done := slices.Clone(r.done) // delivered, but not removed yet
	r.mu.Unlock()
	after := uint64(0)
	for {
		rows, more, err := r.rows.Outbox(s.ctx, after, store.MaxOutboxRead)
		if err != nil {
			s.o.Log.Error("outbox not read", "room", r.id.String(), "err", err)
			return
		}
		for _, row := range rows {
			if after = row.ID; slices.Contains(done, row.ID) {
				continue
			}
			effects, err := abi.DecodeEffects(append(abi.AppendUvarint(nil, 1), row.Data...))
			if err != nil {
				s.o.Log.Error("a row of the outbox does not decode", "room", r.id.String(), "err", err)
				continue
			}
			if t, ok := effects[0].(*abi.TellEffect); ok {
				s.tellOne(r, row.ID, t)
			}
		}
		if !more {
			return
		}
	}
}
