package scheduler

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A pendingTurn is one whose commit is submitted and whose effects have not left.
type pendingTurn struct {
	turn   *host.Turn
	extra  extra
	number uint64 // of its commit, 0 if it has none
	done   bool
	err    error
}

// extra is what the scheduler adds to a turn.
type extra struct {
	outboxDone []uint64     // rows that were delivered
	alarm      *store.Alarm // a failed alarm's next attempt
	kept       []byte       // see kept
	retell     bool         // tell the room of everybody whom it watches
	evict      abi.Code     // close every connection with this code
	retry      time.Duration
}

// submit hands a turn's changes to the store and its effects to the delivery, which lets them
// out when this and all earlier turns of the room are durable. It runs on the turn goroutine.
func (r *room) submit(t *host.Turn, x extra) {
	c := r.commit(t, x)
	p := &pendingTurn{turn: t, extra: x}
	if !c.Empty() {
		r.number++
		c.Number, p.number = r.number, r.number
	}
	if t.AlarmSet {
		r.attempt = 0
	}
	r.s.work.Add(1) // until it is delivered or lost
	r.mu.Lock()
	// Without rows (the store could not be opened) nothing that is pending waits for the store.
	direct := c.Empty() && (r.rows == nil || len(r.pending) == 0 && !r.void)
	r.pending = append(r.pending, p)
	if direct {
		p.done = true
		r.deliverSoon()
	}
	r.mu.Unlock()
	if direct {
		return
	}
	r.rows.Commit(c, func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		p.done, p.err = true, err
		r.deliverSoon()
		r.signal()
	})
}

// commit is what the store is told of a turn.
func (r *room) commit(t *host.Turn, x extra) store.Commit {
	c := store.Commit{Time: t.Time, OutboxDone: x.outboxDone, Alarm: x.alarm, Host: x.kept}
	for _, w := range t.Writes {
		switch w := w.(type) {
		case *abi.PutEffect:
			c.Writes = append(c.Writes, store.Write{Op: store.Put, Key: w.Key, Value: w.Value})
		case *abi.DeleteEffect:
			c.Writes = append(c.Writes, store.Write{Op: store.Delete, Key: w.Key})
		case *abi.DeleteRangeEffect:
			c.Writes = append(c.Writes, store.Write{Op: store.DeleteRange, Key: w.Start, End: w.End})
		}
	}
	if t.AlarmSet {
		c.Alarm = &store.Alarm{Scheduled: t.Alarm, Due: t.Alarm}
	}
	for _, tell := range t.Tells {
		c.Outbox = append(c.Outbox, abi.AppendEffect(nil, tell))
	}
	if r.durability == abi.Relaxed {
		c.Durability = store.Relaxed
	}
	return c
}

// signal wakes a turn goroutine that waits for an answer.
func (r *room) signal() {
	select {
	case r.answered <- struct{}{}:
	default:
	}
}

// deliverSoon starts the delivery goroutine if the oldest turn may leave. mu is held.
func (r *room) deliverSoon() {
	if !r.delivering && !r.void && len(r.pending) > 0 && r.pending[0].done {
		r.delivering = true
		r.s.work.Add(1)
		go r.deliver()
	}
}

// deliver is the delivery goroutine: it lets turns out in their order, and ends.
func (r *room) deliver() {
	defer r.s.work.Done()
	for {
		r.mu.Lock()
		if len(r.pending) == 0 || !r.pending[0].done {
			r.delivering = false
			r.signal()
			if len(r.pending) == 0 && !r.running && len(r.mailbox) == 0 {
				r.rest()
			}
			r.mu.Unlock()
			return
		}
		if r.pending[0].err != nil {
			r.void, r.delivering = true, false
			r.signal() // the turn goroutine may wait for this turn's delivery
			r.start()
			r.mu.Unlock()
			return
		}
		n := 1
		for n < len(r.pending) && r.pending[n].done && r.pending[n].err == nil {
			n++
		}
		ready := append([]*pendingTurn(nil), r.pending[:n]...)
		r.mu.Unlock()
		durable := false
		for _, p := range ready {
			r.deliverTurn(p)
			durable = durable || p.number != 0
			r.s.work.Done()
		}
		r.mu.Lock()
		if durable {
			r.voids = 0
		}
		if r.pending = r.pending[n:]; len(r.pending) == 0 {
			r.pending = nil
		}
		if r.drained != nil {
			close(r.drained)
			r.drained = nil
		}
		r.mu.Unlock()
	}
}
