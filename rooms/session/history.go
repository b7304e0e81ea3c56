package session

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

const (
	// pageRows is how many rows one read of history asks for.
	pageRows = 32
	// maxPartBytes bounds a part of a replay and a page of history, about.
	maxPartBytes = 256 << 10
	// maxPartEvents bounds the events of one part of a replay.
	maxPartEvents = 500
	// agedEvents bounds the events that one turn removes because of their age.
	agedEvents = 256
	// frameSlack is what an event's frame has beside its payload: names, numbers, and a
	// user of 128 bytes that are all escaped.
	frameSlack = 2048
)

func (r *Room) system() *rooms.Storage { return &r.store }

// Head is the offset of the newest event, 0 if there was none yet.
func (r *Room) Head() uint64 { return r.head }

// First is the offset of the oldest event in history; Head()+1 if history is empty.
func (r *Room) First() uint64 {
	first := r.state.first
	if r.head >= r.limits.history {
		first = max(first, r.head-r.limits.history+1)
	}
	return first
}

// appendEvent makes e the room's next event: the row, the broadcast, and now and then the removal of
// what is too old.
func (r *Room) appendEvent(e *Event) {
	r.head++
	e.Offset, e.Time = r.head, r.now()
	name := ""
	if !r.begun {
		r.begun, name = true, r.term
		r.incarnations = append(r.incarnations, incarnation{name, e.Offset}).trim(r.First())
		r.system().Put(keyIncarnations, r.incarnations.append(nil))
	}
	*r.buf = appendRow((*r.buf)[:0], e)
	r.system().Put(numberKey(prefixEvent, e.Offset), *r.buf)
	r.broadcastEvent(e, name)

	if r.limits.age > 0 && r.state.ageDue == 0 {
		r.state.ageDue = e.Time + r.limits.age + r.limits.ageStep
		r.dirty = true
	}
	// Rows are removed by the chunk: one range in place of one row each time.
	if slack := max(r.limits.history/16, 1); r.First() >= r.state.first+slack {
		r.removeBefore(r.First())
	}
}

// removeBefore removes the events before first.
func (r *Room) removeBefore(first uint64) {
	if first <= r.state.first {
		return
	}
	r.system().DeleteRange(numberKey(prefixEvent, r.state.first), numberKey(prefixEvent, first))
	r.state.first, r.state.head = first, r.head
	r.dirty = true
	if l := r.incarnations.trim(first); len(l) != len(r.incarnations) {
		r.incarnations = l
		r.system().Put(keyIncarnations, l.append(nil))
	}
}

// removeAged removes events older than the kind keeps them, and finds out when to look again.
func (r *Room) removeAged(now uint64) {
	r.state.ageDue = 0
	r.dirty = true
	keep, found := r.state.first, false
	for e := range r.read(r.state.first, r.head, false) {
		if e.Time+r.limits.age > now {
			found = true
			r.state.ageDue = e.Time + r.limits.age + r.limits.ageStep
			break
		}
		if keep = e.Offset + 1; keep-r.state.first >= agedEvents {
			found = true
			r.state.ageDue = now // the rest in another turn
			break
		}
	}
	if !found {
		keep = r.head + 1
	}
	r.removeBefore(keep)
}

// read yields the events from first to last, both included, in rising order, or falling if
// reverse. It stops where history does.
func (r *Room) read(first, last uint64, reverse bool) func(yield func(*Event) bool) {
	return func(yield func(*Event) bool) {
		for first <= last {
			rows, _ := r.system().List(rooms.ListOptions{
				Start: numberKey(prefixEvent, first), End: numberKey(prefixEvent, last+1), Limit: pageRows, Reverse: reverse})
			for i := range rows {
				e := readRow(&rows[i])
				if !yield(e) {
					return
				}
				if reverse {
					last = e.Offset - 1
				} else {
					first = e.Offset + 1
				}
			}
			if len(rows) == 0 {
				return
			}
		}
	}
}

// Event returns an event of history.
func (r *Room) Event(offset uint64) (Event, bool) {
	if offset < r.First() || offset > r.head {
		return Event{}, false
	}
	key := numberKey(prefixEvent, offset)
	v, ok := r.system().Get(key)
	if !ok {
		return Event{}, false
	}
	return *readRow(&rooms.Entry{Key: key, Value: v}), true
}

// Replace puts another payload in the place of that of an event of history: members
// who come later, or page back, get the new one. Offset, name, time and publisher stay. Nobody is
// told; emit an event for that. It returns [ErrNoEvent], [ErrStoreAway] or [ErrTooLarge].
func (r *Room) Replace(offset uint64, p Payload) error {
	e, ok := r.Event(offset)
	if !ok {
		return ErrNoEvent
	}
	e.Payload = p
	if err := r.checkEvent(&e, &Publish{}); err != nil {
		return err
	}
	*r.buf = appendRow((*r.buf)[:0], &e)
	r.system().Put(numberKey(prefixEvent, offset), *r.buf)
	return nil
}

// checkEvent checks what a kind wants to say. known was checked on its way in. A bad name or a
// payload that is not JSON is a mistake in the kind and panics.
func (r *Room) checkEvent(e *Event, known *Publish) error {
	if e.Name != known.Event && !protocol.ValidEventName(e.Name) {
		panic("session: an event's name is not 1 to 64 printable characters: " + cut(e.Name, 80))
	}
	checkPayload(e.Payload, known.Payload.Data)
	n := len(e.Payload.Data)
	if e.Payload.Format == protocol.FormatBytes {
		n += n/3 + 4 // base64
	}
	switch {
	case n > abi.MaxMessage-frameSlack:
		return ErrTooLarge
	case !e.Ephemeral && r.inner.StoreAway():
		return ErrStoreAway
	}
	return nil
}

func checkPayload(p Payload, known []byte) {
	if p.Format == protocol.FormatJSON && len(known) > 0 && len(known) == len(p.Data) && &known[0] == &p.Data[0] {
		return
	}
	if err := p.Valid(); err != nil {
		panic("session: " + err.Error())
	}
}

const rowFrom = 1

// appendRow appends the stored form of an event; its offset is in the key.
func appendRow(b []byte, e *Event) []byte {
	var flags byte
	if e.From != "" {
		flags = rowFrom
	}
	b = abi.AppendUvarint(append(b, flags), e.Time)
	if e.From != "" {
		b = abi.AppendString(b, e.From)
	}
	b = abi.AppendString(b, e.Name)
	return append(append(b, byte(e.Payload.Format)), e.Payload.Data...)
}

// readRow reads a stored event. A row that is none cannot come from this package; the turn
// ends rather than lie to a client.
func readRow(row *rooms.Entry) *Event {
	e, err := decodeRow(row.Key, row.Value)
	if err != nil {
		panic("session: a row of history is damaged: " + err.Error())
	}
	return e
}

func decodeRow(key string, value []byte) (*Event, error) {
	d := abi.NewDecoder(value)
	e := &Event{}
	flags := d.Byte("flags")
	e.Time = d.Uvarint("time", protocol.MaxInteger)
	if flags&rowFrom != 0 {
		if e.From = d.String("from", abi.MaxUser); e.From == "" {
			d.Malformed("from", "empty")
		}
	}
	e.Name = d.String("name", protocol.MaxEventName)
	if e.Payload.Format = protocol.Format(d.Byte("format")); e.Payload.Format > protocol.FormatBytes || flags > rowFrom {
		d.Malformed("format", "unknown")
	}
	if n := d.Len(); n > 0 {
		e.Payload.Data = d.Fixed("payload", n)
	}
	offset, rest, ok := keyNumber(key)
	if !ok || rest != "" {
		d.Malformed("offset", "not a number")
	}
	e.Offset = offset
	return e, d.End("event")
}

// message is e as it travels.
func (e *Event) message(incarnation string) protocol.Event {
	return protocol.Event{Name: e.Name, Offset: e.Offset, Incarnation: incarnation, From: e.From, Time: e.Time, Payload: e.Payload}
}
