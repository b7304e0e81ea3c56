package session

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A shelf is a bounded set of rows that are forgotten after a time: sessions, and
// idempotency keys. Each row has one entry in an index by the time at which it is looked at
// next, so that neither a start nor a removal reads them all. A look may find that a row is still
// needed (its session is connected, or has left only lately) and moves the entry on; so connecting
// and leaving touch the row alone.
type shelf struct {
	rows, index string // prefixes
	count       *uint64
	max         uint64
	keep, step  uint64
}

// sweepRows bounds the rows that one turn looks at.
const sweepRows = 256

// at is when a row is looked at that is to be kept until a time.
func (s *shelf) at(until uint64) uint64 { return (until + s.step - 1) / s.step * s.step }

func (s *shelf) entry(at uint64, id string) string { return numberKey(s.index, at) + id }

// shelve adds the index entry of a new row; the caller writes the row.
func (r *Room) shelve(s *shelf, id string, at uint64) {
	r.system().Put(s.entry(at, id), nil)
	*s.count++
	r.state.sweepDue = earlier(r.state.sweepDue, at)
	r.dirty = true
}

// unshelve removes a row and its index entry.
func (r *Room) unshelve(s *shelf, id string, at uint64) {
	r.system().Delete(s.rows + id)
	r.system().Delete(s.entry(at, id))
	*s.count -= min(*s.count, 1)
	r.dirty = true
}

// sweep looks at the rows that are due, in the order of their times, or, if crowded, at rows
// from a key on until there is place for one more. It returns the time of the next look, 0
// if nothing is left.
func (r *Room) sweep(s *shelf, now uint64, crowded bool, from string) uint64 {
	o := rooms.ListOptions{Prefix: s.index, Limit: sweepRows}
	if from != "" {
		o.Prefix, o.Start, o.End = "", from, numberKey(s.index, protocol.MaxInteger)
	}
	entries, more := r.system().List(o)
	if len(entries) == 0 && from == "" {
		*s.count = 0
	}
	var moved uint64
	for i := range entries {
		at, id, ok := keyNumber(entries[i].Key)
		evict := crowded && *s.count >= s.max
		if !ok || at > now && !evict {
			return earlier(at, moved)
		}
		until, early := r.look(s, id, now)
		if until <= now || early && evict {
			r.unshelve(s, id, at)
			continue
		}
		next := max(s.at(until), now+1)
		if next != at {
			r.system().Delete(entries[i].Key)
			r.system().Put(s.entry(next, id), nil)
			r.moved(s, id, next)
		}
		moved = earlier(next, moved)
	}
	if more {
		return now
	}
	return moved
}

// makeRoom makes place for one more row, the ones that are looked at first going first. It
// returns false if every row that it looked at is needed.
func (r *Room) makeRoom(s *shelf) bool {
	if *s.count < s.max {
		return true
	}
	r.sweep(s, r.now(), true, "")
	if *s.count >= s.max {
		// The first rows are all connected, and all due at the same time. At least half of all
		// rows are not: look somewhere else.
		at := s.at(r.now() + s.keep)
		r.sweep(s, r.now(), true, s.entry(at, r.mint()))
	}
	r.state.sweepDue = earlier(r.state.sweepDue, r.now()+s.step)
	r.dirty = true
	return *s.count < s.max
}

// earlier is the smaller of two times that are set.
func earlier(a, b uint64) uint64 {
	if b == 0 || a != 0 && a < b {
		return a
	}
	return b
}
