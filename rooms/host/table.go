package host

import (
	"errors"
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Table is a room's connections: what the next start event says. A host keeps two: one
// inside [Room], as the turns left it, and one of its own at the place where effects are
// delivered, as the durable turns left it ([Table.Deliver] of each); after a failed commit the
// second is the truth.
//
// The zero value is empty. A Table is not safe for concurrent use.
type Table struct {
	byID map[uint64]*entry
	list []*entry // in the order of joining; entries that left are nil until compacted
	gone int
	size int // bytes that the connections take in a start event, about
}

type entry struct {
	abi.Connection
	at int
	// closing is the close effect of a connection whose close event has not come yet.
	closing *abi.CloseEffect
	// waiting: the turn in delivery has not come to the connection's join effect.
	waiting bool
}

func (e *entry) open() bool { return e != nil && e.closing == nil }

// Len is the number of connections.
func (t *Table) Len() int { return len(t.byID) }

// Has reports whether the table has a connection that the room has not closed.
func (t *Table) Has(id uint64) bool {
	return t.byID[id].open()
}

// Connections returns the connections in the order of joining. Those that the room has
// closed are left out. The result shares no memory that later calls change.
func (t *Table) Connections() []abi.Connection {
	out := make([]abi.Connection, 0, len(t.byID))
	for _, e := range t.list {
		if e.open() {
			out = append(out, e.Connection)
		}
	}
	return out
}

// Get returns one connection.
func (t *Table) Get(id uint64) (abi.Connection, bool) {
	e := t.byID[id]
	if e == nil {
		return abi.Connection{}, false
	}
	return e.Connection, true
}

// Add puts a connection in. Byte slices are cloned.
func (t *Table) Add(c abi.Connection) {
	if t.byID == nil {
		t.byID = make(map[uint64]*entry)
	}
	if t.byID[c.ID] != nil {
		return
	}
	c.Claims, c.Attachment, c.Tags = slices.Clone(c.Claims), slices.Clone(c.Attachment), slices.Clone(c.Tags)
	e := &entry{Connection: c, at: len(t.list)}
	t.byID[c.ID] = e
	t.list = append(t.list, e)
	t.size += entrySize(&c)
}

// Remove takes a connection out.
func (t *Table) Remove(id uint64) {
	e := t.byID[id]
	if e == nil {
		return
	}
	delete(t.byID, id)
	t.list[e.at] = nil
	t.gone++
	t.size -= entrySize(&e.Connection)
	if t.gone > 16 && t.gone > len(t.list)/2 {
		t.compact()
	}
}

func (t *Table) compact() {
	t.list = slices.DeleteFunc(t.list, func(e *entry) bool { return e == nil })
	for i, e := range t.list {
		e.at = i
	}
	t.gone = 0
}

// Apply applies an effect on a connection: attach, tags, mute, join; close marks it. Other
// effects, and effects on connections that are not there, do nothing.
func (t *Table) Apply(effect abi.Effect) {
	switch v := effect.(type) {
	case *abi.AttachEffect:
		if e := t.byID[v.Connection]; e != nil {
			t.size += len(v.Data) - len(e.Attachment)
			e.Attachment = slices.Clone(v.Data)
		}
	case *abi.TagsEffect:
		if e := t.byID[v.Connection]; e != nil {
			t.size -= entrySize(&e.Connection)
			e.Tags = slices.Clone(v.Tags)
			t.size += entrySize(&e.Connection)
		}
	case *abi.MuteEffect:
		if e := t.byID[v.Connection]; e != nil {
			e.Muted = v.Muted
		}
	case *abi.CloseEffect:
		if e := t.byID[v.Connection]; e != nil {
			v := *v
			e.closing = &v
		}
	case *abi.JoinEffect:
		if e := t.byID[v.Connection]; e != nil {
			e.waiting = false
		}
	}
}

// Deliver takes a turn into the table as every deliverer must: the connections of its
// connect events come in, those of its close events go, then each effect is handed to do and
// applied, in order. So do finds the table as it is at the effect's place: [Table.Recipients] of
// a broadcast leaves out a connection that the room took up only afterwards.
func (t *Table) Deliver(turn *Turn, do func(abi.Effect)) {
	connecting := false
	for _, e := range turn.Events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			t.Add(e.Connection)
			connecting = true
		case *abi.CloseEvent:
			t.Remove(e.Connection)
		}
	}
	if connecting {
		for _, e := range turn.Effects {
			if j, ok := e.(*abi.JoinEffect); ok && t.byID[j.Connection] != nil {
				t.byID[j.Connection].waiting = true
			}
		}
	}
	for _, e := range turn.Effects {
		do(e)
		t.Apply(e)
	}
}

// closing appends the close events of all connections that the room has closed and that events
// does not have yet.
func (t *Table) closing(events []abi.Event) []abi.Event {
	known := make(map[uint64]bool, len(events))
	for _, e := range events {
		known[e.(*abi.CloseEvent).Connection] = true
	}
	for _, e := range t.list {
		if e != nil && e.closing != nil && !known[e.ID] {
			events = append(events, closeEvent(e.closing))
		}
	}
	return events
}

// Recipients calls yield with each connection that a broadcast goes to, in the order of
// joining.
func (t *Table) Recipients(b *abi.BroadcastEffect, yield func(id uint64)) {
	var except map[uint64]bool
	if len(b.Except) > 8 {
		except = make(map[uint64]bool, len(b.Except))
		for _, id := range b.Except {
			except[id] = true
		}
	}
	for _, e := range t.list {
		switch {
		case e == nil, !e.passes(b):
		case except != nil && except[e.ID]:
		case except == nil && slices.Contains(b.Except, e.ID):
		default:
			yield(e.ID)
		}
	}
}

// Each calls yield with every connection, in the order of joining.
func (t *Table) Each(yield func(id uint64)) {
	for _, e := range t.list {
		if e != nil {
			yield(e.ID)
		}
	}
}

// Receives reports whether a broadcast goes to a connection.
func (t *Table) Receives(id uint64, b *abi.BroadcastEffect) bool {
	e := t.byID[id]
	return e != nil && e.passes(b) && !slices.Contains(b.Except, id)
}

// passes applies everything of a broadcast but Except.
func (e *entry) passes(b *abi.BroadcastEffect) bool {
	return e.open() && !e.waiting && !e.Muted &&
		(b.Protocol == "" || e.Protocol == b.Protocol) &&
		(b.Tag == "" || slices.Contains(e.Tags, b.Tag))
}

// Clone returns a deep copy.
func (t *Table) Clone() *Table {
	c := &Table{}
	for _, e := range t.list {
		if e != nil {
			c.Add(e.Connection)
			c.byID[e.ID].closing = e.closing
		}
	}
	return c
}

// errTableFull is what Fits returns; the caller says it in its own words.
var errTableFull = errors.New("host: the connections do not fit into one start event")

// maxTable keeps a start event within a batch, with room for the events behind it.
const maxTable = abi.MaxBatch / 2

// fits reports whether the table can still be told in one start event.
func (t *Table) fits(more int) error {
	if t.size+more > maxTable {
		return errTableFull
	}
	return nil
}

func entrySize(c *abi.Connection) int {
	n := 48 + len(c.User) + len(c.Claims) + len(c.Protocol) + len(c.Attachment)
	for _, tag := range c.Tags {
		n += 2 + len(tag)
	}
	return n
}
