package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

// A room is an open room.
type room struct {
	s    *Store
	id   store.RoomID
	rows []byte // the prefix of its rows' keys
	meta []byte // the key of its meta row

	cache *rows.RoomCache

	mu      sync.Mutex // guards all below
	closed  bool
	state   store.State // as loaded
	next    meta        // once all that was submitted is durable
	sent    uint64      // the last number that this owner submitted
	durable uint64      // the last number that was answered with nil, or loaded
	overlay rows.Overlay
	waiting int    // commits without an answer
	slow    int    // those of them that are not quick
	bytes   int    // of them
	void    bool   // a commit was refused or failed: all later ones are void
	faulted bool   // a commit failed when its turn to be written came
	retired uint64 // how often the overlay gave rows to the engine
}

var _ store.Room = (*room)(nil)

func newRoom(s *Store, id store.RoomID) *room {
	return &room{
		s: s, id: id,
		rows:  roomKey(spaceRow, id),
		meta:  roomKey(spaceMeta, id),
		cache: s.cache.Room(id),
	}
}

// load reads where the room stands. Nothing waits for an answer.
func (r *room) load(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	end, err := r.s.use()
	if err != nil {
		return err
	}
	defer end()
	var m meta
	v, closer, err := r.s.db.Get(r.meta)
	switch {
	case err == nil:
		m, err = decodeMeta(v)
		if err = errors.Join(err, closer.Close()); err != nil {
			return err
		}
	case !errors.Is(err, engine.ErrNotFound):
		return err
	}
	_, more, err := r.readOutbox(0, 0, store.MaxNumber)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.durable = m, m.number
	if r.sent != m.number {
		r.sent = 0
	}
	r.state = store.State{
		Number: m.number, Time: m.time, Term: r.s.term, Alarm: m.alarm,
		Host: bytes.Clone(m.host), HasOutbox: more,
	}
	return nil
}

// ID implements [store.Room].
func (r *room) ID() store.RoomID { return r.id }

// State implements [store.Room].
func (r *room) State() store.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state
	st.Host = bytes.Clone(st.Host)
	return st
}

// Busy implements [store.Room].
func (r *room) Busy() bool {
	if r.s.committer.waiting.Load() > int64(r.s.opts.PendingBytes/2) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes > r.s.opts.RoomPendingBytes/2
}

// Commit implements [store.Room].
func (r *room) Commit(c store.Commit, done func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &pending{room: r, done: done, size: rows.Overhead, err: r.accept(&c)}
	switch {
	case p.err != nil:
		r.void = true
	case c.Empty() || c.Number == r.sent:
		// Nothing to write, or written before: it waits for its place.
	default:
		p.number = c.Number
		p.size += c.Size()
		p.batch, p.after = r.encode(&c)
		r.next, r.sent = p.after, c.Number
		r.overlay.Add(c.Number, rows.NewChange(c.Writes))
	}
	p.quick = r.slow == 0 && (p.batch == nil || c.Durability == store.Relaxed)
	r.waiting++
	r.bytes += p.size
	if !p.quick {
		r.slow++
	}
	r.s.pendingCommits.Add(1)
	r.s.submit(p)
}

// accept says why a commit cannot be taken. The caller holds mu.
func (r *room) accept(c *store.Commit) error {
	if err := r.s.Err(); err != nil {
		return err
	}
	switch {
	case r.closed:
		return store.ErrClosed
	case r.void:
		return store.ErrVoid
	case c.Empty():
		return nil
	case c.Number == 0 || c.Number > store.MaxNumber || c.Number != r.sent && c.Number != r.next.number+1:
		return fmt.Errorf("%w: %d after %d", store.ErrNumber, c.Number, r.next.number)
	}
	if err := c.Check(); err != nil {
		return err
	}
	size := c.Size() + rows.Overhead
	if r.bytes > 0 && r.bytes+size > r.s.opts.RoomPendingBytes {
		return fmt.Errorf("%w: %d bytes of the room", store.ErrBusy, r.bytes)
	}
	if n := r.s.committer.waiting.Load(); n > 0 && n+int64(size) > int64(r.s.opts.PendingBytes) {
		return fmt.Errorf("%w: %d bytes", store.ErrBusy, n)
	}
	return nil
}

// judge asks for the fault of a commit whose turn to be written has come.
func (p *pending) judge(fault func(store.RoomID, uint64) error) error {
	var err error
	if p.number > 0 {
		err = fault(p.room.id, p.number)
	}
	r := p.room
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.faulted:
		return store.ErrVoid
	case err != nil:
		r.faulted, r.void = true, true
	}
	return err
}

// encode turns a commit into a batch of the engine, and says where the room stands
// after it. The caller holds mu.
func (r *room) encode(c *store.Commit) (*engine.Batch, meta) {
	m := r.next
	m.number = c.Number
	m.time = max(m.time, c.Time)
	b := r.s.db.NewBatchWithSize(c.Size() + (len(c.Writes)+4)*(len(r.rows)+16))
	var key []byte
	row := func(k []byte) []byte {
		key = append(append(key[:0], r.rows...), k...)
		return key
	}
	// The methods of a batch fail only on a batch that is in use already.
	for i := range c.Writes {
		w := &c.Writes[i]
		switch w.Op {
		case store.Put:
			_ = b.Set(row(w.Key), w.Value, nil)
		case store.Delete:
			_ = b.Delete(row(w.Key), nil)
		case store.DeleteRange:
			if end, ok := r.bound(w.Key, w.End); ok {
				_ = b.DeleteRange(row(w.Key), end, nil)
			}
		}
	}
	if a := c.Alarm; a != nil && *a != m.alarm {
		if m.alarm.Due != 0 {
			_ = b.Delete(alarmKey(m.alarm.Due, r.id), nil)
		}
		if a.Due != 0 {
			_ = b.Set(alarmKey(a.Due, r.id), nil, nil)
		}
		m.alarm = *a
	}
	if c.Host != nil {
		m.host = bytes.Clone(c.Host)
	}
	if len(c.Outbox)+len(c.OutboxDone) > 0 {
		key := roomKey(spaceOutbox, r.id)
		n := len(key)
		for i, data := range c.Outbox {
			key = binary.BigEndian.AppendUint64(key[:n], store.OutboxID(c.Number, i))
			_ = b.Set(key, data, nil)
		}
		for _, id := range c.OutboxDone {
			key = binary.BigEndian.AppendUint64(key[:n], id)
			_ = b.Delete(key, nil)
		}
	}
	_ = b.Set(r.meta, appendMeta(nil, &m), nil)
	return b, m
}

// bound returns the engine's key for the end of a range of rows; ok is false if the
// range is empty.
func (r *room) bound(start, end []byte) (key []byte, ok bool) {
	if len(end) == 0 {
		return after(r.rows), true
	}
	return append(bytes.Clone(r.rows), end...), bytes.Compare(start, end) < 0
}

// settle notes that a commit is about to be answered.
func (r *room) settle(p *pending, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
	r.bytes -= p.size
	if !p.quick {
		r.slow--
	}
	if err != nil {
		r.void = true
		return
	}
	if p.number > 0 {
		r.durable = p.number
		r.overlay.Retire(p.number, r.cache)
		r.retired++
	}
}

// Reset implements [store.Room].
func (r *room) Reset(ctx context.Context) (store.State, error) {
	fail := func(err error) (store.State, error) {
		return store.State{}, &store.Error{Op: "reset", Room: r.id, Err: err}
	}
	r.mu.Lock()
	switch {
	case r.closed:
		r.mu.Unlock()
		return fail(store.ErrClosed)
	case r.waiting > 0:
		r.mu.Unlock()
		return fail(store.ErrPending)
	}
	r.overlay = rows.Overlay{}
	r.mu.Unlock()
	if err := r.load(ctx); err != nil {
		return fail(err)
	}
	r.mu.Lock()
	r.void, r.faulted = false, false
	r.mu.Unlock()
	return r.State(), nil
}

// Close implements [store.Room].
func (r *room) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	if r.waiting > 0 {
		r.mu.Unlock()
		return &store.Error{Op: "close", Room: r.id, Err: store.ErrPending}
	}
	r.closed = true
	r.mu.Unlock()
	r.cache.Clear()
	r.s.forget(r.id)
	return nil
}
