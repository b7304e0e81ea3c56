package redis

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

// A room is an open room.
type room struct {
	s     *Store
	id    store.RoomID
	keys  [4]string   // meta, rows, row keys, outbox
	owner store.Owner // the token; set by the claim
	lane  *lane
	cache *rows.RoomCache

	queue queue // guarded by lane.mu

	mu      sync.Mutex // guards all below
	closed  bool
	state   store.State // as loaded
	next    meta        // once all that was submitted is applied
	sent    uint64      // the last number that this owner submitted
	durable uint64      // the last number that was answered with nil, or loaded
	overlay rows.Overlay
	indexed indexed
	waiting int    // commits without an answer
	bytes   int    // of them
	void    error  // why commits are not tried; nil after a reset
	retired uint64 // how often the overlay gave rows to Redis
}

var _ store.SharedRoom = (*room)(nil)

func newRoom(s *Store, id store.RoomID) *room {
	return &room{s: s, id: id, keys: roomKeys(s.opts.Prefix, id), lane: s.laneOf(id), cache: s.cache.Room(id)}
}

// begin takes what the claim answered.
func (r *room) begin(c *claimed, term string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owner = store.Owner{Node: r.s.opts.Node, Epoch: c.epoch, Term: term}
	r.load(&c.meta)
	r.state.Left = c.left
	if c.whole {
		r.cache.Fill(c.rows)
	}
}

// load notes where the room stands. The caller holds mu.
func (r *room) load(m *meta) {
	r.next, r.durable = *m, m.number
	if r.sent != m.number {
		r.sent = 0
	}
	r.indexed = indexed{} // whatever was thought of it, another owner or a void commit may have changed it
	r.state = store.State{
		Number: m.number, Time: m.time, Term: r.owner.Term, Alarm: m.alarm,
		Host: bytes.Clone(m.host), HasOutbox: m.boxed > 0, Epoch: r.owner.Epoch, Left: r.state.Left,
	}
	r.s.keeper.mark(r)
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
	if r.s.answers.bytes.Load() > int64(r.s.opts.PendingBytes/2) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes > r.s.opts.RoomPendingBytes/2
}

// Commit implements [store.Room]. What Redis promises to keep does not depend on
// [store.Commit.Durability].
func (r *room) Commit(c store.Commit, done func(error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &pending{room: r, done: done, size: rows.Overhead, boxed: -1, err: r.accept(&c)}
	switch {
	case p.err != nil:
		if r.void == nil {
			r.void = store.ErrVoid
		}
	case c.Empty() || c.Number == r.sent:
		// Nothing to write, or written before: it waits for its place.
	default:
		p.number = c.Number
		p.size += c.Size()
		change := rows.NewChange(c.Writes)
		before := r.next.number
		r.next.number = c.Number
		r.next.time = max(r.next.time, c.Time)
		p.args = r.encode(&c, &change, before)
		if c.Alarm != nil {
			r.next.alarm = *c.Alarm
		}
		if c.Host != nil {
			r.next.host = bytes.Clone(c.Host)
		}
		p.wake = r.indexed.wants(&c, r.next.time, r.s.opts.ClaimTime)
		r.sent = c.Number
		r.overlay.Add(c.Number, change)
	}
	r.waiting++
	r.bytes += p.size
	r.s.answers.begin(p)
	r.lane.submit(p)
}

// accept says why a commit cannot be taken. The caller holds mu.
func (r *room) accept(c *store.Commit) error {
	switch err := r.s.halted(); {
	case err != nil:
		return err
	case r.closed:
		return store.ErrClosed
	case r.void != nil:
		return r.void
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
	if n := r.s.answers.bytes.Load(); n > 0 && n+int64(size) > int64(r.s.opts.PendingBytes) {
		return fmt.Errorf("%w: %d bytes", store.ErrBusy, n)
	}
	return nil
}

// encode returns the arguments of commit.lua. The caller holds mu.
func (r *room) encode(c *store.Commit, change *rows.Change, before uint64) []any {
	deletes := 0
	for i := range change.Rows {
		if change.Rows[i].Deleted {
			deletes++
		}
	}
	puts := len(change.Rows) - deletes
	alarm, hostOp := "=", "="
	var host []byte
	if c.Alarm != nil {
		alarm = alarmText(*c.Alarm)
	}
	if c.Host != nil {
		if hostOp = "-"; len(c.Host) > 0 {
			hostOp, host = "+", bytes.Clone(c.Host)
		}
	}
	args := make([]any, 0, 12+2*len(change.Spans)+deletes+2*puts+len(c.Outbox)+2*len(c.OutboxDone))
	args = append(args, token(r.owner), strconv.FormatUint(before, 10), strconv.FormatUint(c.Number, 10), strconv.FormatUint(r.next.time, 10),
		alarm, hostOp, host, len(change.Spans), deletes, puts, len(c.Outbox), len(c.OutboxDone))
	for _, s := range change.Spans {
		args = append(args, lexFrom(s.Start), lexTo(s.End))
	}
	for i := range change.Rows {
		if change.Rows[i].Deleted {
			args = append(args, change.Rows[i].Key)
		}
	}
	for i := range change.Rows {
		if row := &change.Rows[i]; !row.Deleted {
			args = append(args, row.Key, row.Value)
		}
	}
	for i, data := range c.Outbox {
		args = append(args, appendOutboxRow(make([]byte, 0, outboxID+len(data)), store.OutboxID(c.Number, i), data))
	}
	for _, id := range c.OutboxDone {
		from, to := outboxBounds(id, id)
		args = append(args, from, to)
	}
	return args
}

// settle notes that a commit is about to be answered.
func (r *room) settle(p *pending, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
	r.bytes -= p.size
	if err != nil {
		if r.void == nil || r.void == store.ErrVoid {
			if r.void = store.ErrVoid; isFenced(err) {
				r.void = err
			}
		}
		return
	}
	if p.number == 0 {
		return
	}
	r.durable = p.number
	if p.boxed >= 0 {
		r.next.boxed = p.boxed
	}
	r.overlay.Retire(p.number, r.cache)
	r.retired++
	if r.waiting == 0 && r.wrong() {
		r.s.keeper.mark(r)
	}
}

// need returns what the index should have of the room. The caller holds mu.
func (r *room) need() wake { return wake{due: r.next.alarm.Due, box: r.next.boxed > 0} }

// wrong reports whether the index should be corrected. The caller holds mu.
func (r *room) wrong() bool {
	switch w := r.need(); {
	case w.box: // its time must not come while the room is open
		return r.indexed.due <= r.next.time+uint64(r.s.opts.ClaimTime.Milliseconds())/2
	case w.due == 0:
		return !r.indexed.exact || r.indexed.due != 0
	default:
		return !r.indexed.exact || r.indexed.due != w.due
	}
}

// correct returns the correction that the index needs of a room, or nil. It reports false while
// commits wait.
func (r *room) correct(closing bool) (*correction, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed && !closing || r.void != nil {
		return nil, true // a reset or the next owner sees to it
	}
	if r.waiting > 0 {
		return nil, false
	}
	if !r.wrong() && !(closing && r.need().box) {
		return nil, true
	}
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	r.queue.seq++
	w := r.need()
	c := &correction{room: r, epoch: r.owner.Epoch, seq: r.queue.seq, wake: w, due: w.due}
	if !closing {
		c.putOff = r.s.opts.ClaimTime
	}
	if soon := r.next.time + uint64(r.s.opts.ClaimTime.Milliseconds()); w.box && (w.due == 0 || soon < w.due) {
		c.due = soon
	}
	r.indexed = indexed{} // until it is there
	return c, true
}

// corrected notes that a correction is in the index.
func (r *room) corrected(c *correction) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lane.mu.Lock()
	defer r.lane.mu.Unlock()
	if r.queue.seq == c.seq && r.indexed == (indexed{}) {
		r.indexed = indexed{due: c.due, exact: true}
	}
}

// Reset implements [store.Room]. A room whose token is spent stays as it is, and has to be opened
// again.
func (r *room) Reset(ctx context.Context) (store.State, error) {
	st, err := r.reset(ctx)
	if err != nil {
		return store.State{}, &store.Error{Op: "reset", Room: r.id, Err: err}
	}
	return st, nil
}

func (r *room) reset(ctx context.Context) (store.State, error) {
	if err := r.s.halted(); err != nil {
		return store.State{}, err
	}
	r.mu.Lock()
	closed, waiting := r.closed, r.waiting
	r.mu.Unlock()
	switch {
	case closed:
		return store.State{}, store.ErrClosed
	case waiting > 0:
		return store.State{}, store.ErrPending
	}
	if err := r.lane.lost(r); err != nil {
		return store.State{}, err
	}
	m, err := r.readMeta(ctx)
	if err != nil {
		return store.State{}, err
	}
	r.lane.clear(r)
	r.mu.Lock()
	r.overlay = rows.Overlay{}
	r.load(&m)
	r.void = nil
	r.mu.Unlock()
	return r.State(), nil
}

// Close implements [store.Room]. It is a [room.Release] without connections.
func (r *room) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), r.s.opts.ReadTime)
	defer cancel()
	return r.Release(ctx, false)
}

// neverCommitted is how long the record of a room that never committed is kept after its release:
// longer than a gateway remembers the epoch of a room that has no owner.
const neverCommitted = 24 * time.Hour

// Release implements [store.SharedRoom].
func (r *room) Release(ctx context.Context, connected bool) error {
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
	c, _ := r.correct(true)
	if r.s.halted() != nil {
		r.s.forget(r.id) // another process takes the room over from this dead node
		return nil
	}
	if c != nil {
		r.s.keeper.add(c)
	}
	left := ""
	if connected {
		left = "c"
	}
	err := r.s.ask(ctx, func(ctx context.Context) error {
		_, err := releaseScript.Run(ctx, r.s.client, r.keys[:1], token(r.owner), left, millis(neverCommitted))
		return err
	})
	r.s.forget(r.id)
	if err != nil {
		return &store.Error{Op: "close", Room: r.id, Err: err}
	}
	return nil
}
