package abi

import "unicode/utf8"

// A Batch is the input of one turn.
type Batch struct {
	// Handle names the room's memory inside the guest: fresh at each start, never
	// zero, never reused within the life of an instance.
	Handle uint64
	// Time is the turn's clock, milliseconds since 1970. It never goes back within
	// a room, whichever host runs it.
	Time uint64
	// Seed is the turn's only source of randomness. Hosts fill it from a
	// cryptographic source; recordings replay it.
	Seed [SeedSize]byte
	// StoreAway says that the store cannot be written at the moment: an effect that
	// needs it would fail the turn.
	StoreAway bool
	Events    []Event
}

// AppendBatch appends the encoding of t. It does not check limits: a host checks
// events as they arrive, and [DecodeBatch] checks them again.
func AppendBatch(b []byte, t *Batch) []byte {
	b = AppendUvarint(b, t.Handle)
	b = AppendUvarint(b, t.Time)
	b = append(b, t.Seed[:]...)
	b = AppendBool(b, t.StoreAway)
	b = AppendUvarint(b, uint64(len(t.Events)))
	for _, e := range t.Events {
		b = AppendEvent(b, e)
	}
	return b
}

// DecodeBatch decodes a batch of at most [MaxBatch] bytes. Byte slices of the
// events alias b.
func DecodeBatch(b []byte) (*Batch, error) {
	var r BatchReader
	if err := r.Reset(b); err != nil {
		return nil, err
	}
	t := r.Head
	t.Events = make([]Event, 0, r.left)
	for range r.left {
		e, err := decodeEvent(&r.d, nil)
		if err != nil {
			return nil, err
		}
		t.Events = append(t.Events, e)
	}
	return &t, r.d.End("batch")
}

// A BatchReader decodes a batch event by event, by the rules of [DecodeBatch]. It is for
// guests, whose turns are many and small: a batch of messages costs no allocation. The zero
// value is an empty batch.
type BatchReader struct {
	// Head is the batch without its events.
	Head   Batch
	size   int
	left   int // events that are not read yet
	d      Decoder
	reused reused
}

// reused are the events that a [BatchReader] decodes into the same memory again and again: the
// frequent ones, and those of a young room, which shares its memory's pages with others. A nil
// pointer makes new ones.
type reused struct {
	start   StartEvent
	connect ConnectEvent
	message MessageEvent
	close   CloseEvent
}

func (r *reused) newStart() *StartEvent {
	if r == nil {
		return new(StartEvent)
	}
	return &r.start
}

func (r *reused) newConnect() *ConnectEvent {
	if r == nil {
		return new(ConnectEvent)
	}
	return &r.connect
}

func (r *reused) newMessage() *MessageEvent {
	if r == nil {
		return new(MessageEvent)
	}
	return &r.message
}

func (r *reused) newClose() *CloseEvent {
	if r == nil {
		return new(CloseEvent)
	}
	return &r.close
}

// Reset begins with another batch, of which byte slices alias b.
func (r *BatchReader) Reset(b []byte) error {
	r.left = 0
	if len(b) > MaxBatch {
		return &FieldError{Field: "batch", Reason: "too large", Err: ErrLimit}
	}
	r.d, r.size = Decoder{b: b}, len(b)
	d, t := &r.d, &r.Head
	if t.Handle = d.Uvarint("batch.handle", 1<<64-1); t.Handle == 0 {
		d.Malformed("batch.handle", "zero")
	}
	t.Time = d.Uvarint("batch.time", MaxTime)
	copy(t.Seed[:], d.Fixed("batch.seed", SeedSize))
	t.StoreAway = d.Bool("batch.store")
	r.left = d.Count("batch.events", MaxBatchEvents)
	return d.Err()
}

// Size is the length of the encoded batch.
func (r *BatchReader) Size() int { return r.size }

// Restored is the number of connections that the next event lists if it is a start, else 0.
func (r *BatchReader) Restored() int {
	d := r.d
	return d.restored()
}

// Restored returns the number of connections that the start event of an encoded batch lists, 0 if it
// does not begin with one.
func Restored(batch []byte) int {
	var r BatchReader
	if r.Reset(batch) != nil {
		return 0
	}
	return r.Restored()
}

func (d *Decoder) restored() int {
	d.Uvarint("event", MaxBatch)
	if EventType(d.Byte("event.type")) != EventStart {
		return 0
	}
	d.Bytes("start.kind", MaxName)
	d.Bytes("start.room", MaxName)
	d.Byte("start.reason")
	d.Bytes("start.term", MaxTerm)
	d.Uvarint("start.alarm", MaxTime)
	return d.countOf("start.connections", MaxConnections, minConnection)
}

// Next returns the next event, or nil after the last one. It is valid until the
// next call. A fault may come after events that were good.
func (r *BatchReader) Next() (Event, error) {
	if r.left == 0 {
		return nil, r.d.End("batch")
	}
	r.left--
	if m := r.usual(); m != nil {
		return m, nil
	}
	return decodeEvent(&r.d, &r.reused)
}

// usual decodes a message below 16 KiB of a connection whose ID is too. It leaves everything else, and all that is wrong, to decodeEvent.
func (r *BatchReader) usual() *MessageEvent {
	b := r.d.b
	size, b, ok := short(b)
	if !ok || size > len(b) || size < 2 || EventType(b[0]) != EventMessage {
		return nil
	}
	after := b[size:]
	id, b, ok := short(b[1:size])
	if !ok || id == 0 || len(b) == 0 {
		return nil
	}
	encoding := Encoding(b[0])
	n, data, ok := short(b[1:])
	if !ok || n != len(data) || encoding != Binary && (encoding != Text || !utf8.Valid(data)) {
		return nil
	}
	r.d.b = after
	m := &r.reused.message
	m.Connection, m.Encoding, m.Data = uint64(id), encoding, data[:n:n]
	return m
}

// short reads an integer of one or two bytes in its shortest form.
func short(b []byte) (v int, rest []byte, ok bool) {
	switch {
	case len(b) > 0 && b[0] < 0x80:
		return int(b[0]), b[1:], true
	case len(b) > 1 && b[1] < 0x80 && b[1] > 0:
		return int(b[0]&0x7f) | int(b[1])<<7, b[2:], true
	}
	return 0, nil, false
}

// AppendEffects appends the encoding of a batch of effects: their count and each
// with its size.
func AppendEffects(b []byte, effects []Effect) []byte {
	b = AppendUvarint(b, uint64(len(effects)))
	for _, e := range effects {
		b = AppendEffect(b, e)
	}
	return b
}

// DecodeEffects decodes a batch of effects of at most [MaxEffects] bytes and
// checks every limit that can be checked without knowing the room. Byte slices
// alias b.
func DecodeEffects(b []byte) ([]Effect, error) {
	if len(b) > MaxEffects {
		return nil, &FieldError{Field: "effects", Reason: "too large", Err: ErrLimit}
	}
	d := NewDecoder(b)
	n := d.Count("effects.count", MaxEffectCount)
	if d.Err() != nil {
		return nil, d.Err()
	}
	out := make([]Effect, 0, n)
	for range n {
		e, err := decodeEffect(d)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, d.End("effects")
}

// placeFor is how many bytes are left for the size of an item that holds data: what it takes at
// least, one or two.
func placeFor(data []byte) int {
	if len(data) < 0x80 {
		return 1
	}
	return 2
}

// sized puts the size of an item before it: the caller has left place bytes at b[at] for it, which
// is enough for most; others are moved up once.
func sized(b []byte, at, place int) []byte {
	n := len(b) - at - place
	switch {
	case place == 1 && n < 0x80:
		b[at] = byte(n)
	case place == 2 && n < 0x4000:
		b[at], b[at+1] = byte(n)|0x80, byte(n>>7)
	default:
		var pad [9]byte
		extra := UvarintLen(uint64(n)) - place
		b = append(b, pad[:extra]...)
		copy(b[at+place+extra:], b[at+place:at+place+n])
		PutUvarint(b[at:], uint64(n))
	}
	return b
}
