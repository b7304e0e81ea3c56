package scheduler

import (
	"errors"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// reset brings the room back to its last durable turn after a commit that failed: memory,
// table and number. Everything since then did not happen, and its senders are told so.
func (r *room) reset() {
	lost, ok := r.awaitAnswers()
	if !ok {
		return
	}
	defer r.s.work.Add(-len(lost))
	r.backOff()
	cause := lost[0].err
	r.s.stats.voidTurns.Add(uint64(len(lost)))
	r.s.o.Log.Error("turns are void: their commit failed", "room", r.id.String(), "turns", len(lost), "err", cause)
	if r.s.o.Cluster != nil && errors.Is(cause, store.ErrFenced) {
		r.lose(lost)
		return
	}
	if r.model == nil { // there is no guest, and nothing but removals of outbox rows was lost
		r.forgetVoid(lost)
		return
	}
	if r.model.Started() {
		r.s.stats.awake.Add(-1)
	}
	state, err := r.rows.Reset(r.s.ctx)
	if r.s.o.Cluster != nil && errors.Is(err, store.ErrFenced) {
		r.lose(lost)
		return
	}
	if err != nil { // the store has stopped: nothing can be durable any more
		r.model.Sleep()
		r.abandon(lost)
		return
	}
	beside := decodeKept(state.Host)
	r.number, r.attempt = state.Number, state.Alarm.Attempt
	r.watchful, r.revives = beside.watchful, true
	r.closed, r.untold = beside.closed, false
	var events []abi.Event
	for _, p := range lost {
		if p.turn.Decision {
			r.deliverTurn(p)
			continue
		}
		events = append(events, p.turn.Lost()...)
		r.mu.Lock()
		r.done = append(r.done, p.extra.outboxDone...)
		r.mu.Unlock()
	}
	const wait = time.Second
	r.model.Void(&r.table, state.Alarm.Scheduled, events, abi.CodeStorageUnavailable)
	r.undo(events, abi.CodeStorageUnavailable, wait)
	for _, c := range r.sockets { // back in the table, though their sockets have ended since
		if e := seatOf(c).closed.Load(); e != nil {
			r.closes = append(r.closes, e)
		}
	}
	r.s.alarms.set(r.id, state.Alarm.Due)
	r.mu.Lock()
	r.void = false
	r.retell = r.watched.now.Load() != nil
	r.mu.Unlock()
	r.tellLost()
}

// tellLost tells the room, after a reset, what it has to hear of it.
func (r *room) tellLost() {
	closes := r.closes
	r.closes = nil
	if !r.model.Pending() && len(closes) == 0 {
		return
	}
	result := r.model.Run(r.s.ctx, r.s.o.Store.Away(), closes)
	if r.model.Started() {
		r.s.stats.awake.Add(1)
	}
	r.took(result)
}

// backOff waits before a reset if commits go on failing: what a room does about a turn that
// failed may fail too.
func (r *room) backOff() {
	r.mu.Lock()
	n := r.voids
	r.voids++
	r.mu.Unlock()
	if n > 0 {
		r.pause(10 * time.Millisecond << min(n-1, 9))
	}
}

// forgetVoid resets a room that has rows and no guest.
func (r *room) forgetVoid(lost []*pendingTurn) {
	for _, p := range lost {
		if p.turn.Decision {
			r.deliverTurn(p)
		}
	}
	if state, err := r.rows.Reset(r.s.ctx); err == nil {
		r.number = state.Number
	}
	r.mu.Lock()
	r.void = false
	r.mu.Unlock()
}

// awaitAnswers waits until the store has answered everything of this room, and takes what
// is lost. ok is false if the scheduler gives up first.
func (r *room) awaitAnswers() (lost []*pendingTurn, ok bool) {
	for {
		r.mu.Lock()
		waiting := false
		for _, p := range r.pending {
			waiting = waiting || !p.done
		}
		if !waiting {
			lost, r.pending = r.pending, nil
			r.mu.Unlock()
			return lost, true
		}
		r.mu.Unlock()
		select {
		case <-r.answered:
		case <-r.s.ctx.Done():
			r.mu.Lock()
			r.s.work.Add(-len(r.pending))
			r.pending, r.void, r.mailbox = nil, false, nil
			r.mu.Unlock()
			return nil, false
		}
	}
}

// undo answers the senders of lost events, other than messages, of which the room itself hears.
func (r *room) undo(events []abi.Event, code abi.Code, wait time.Duration) {
	for _, e := range events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			if c := r.takeJoining(e.Connection.ID); c != nil {
				refuse(c, code, wait)
			}
			r.mu.Lock()
			if f := r.homes[e.Connection.ID]; f != nil {
				f.refuse(e.Connection.ID, code, wait)
				delete(r.homes, e.Connection.ID)
			}
			r.mu.Unlock()
		case *abi.RequestEvent:
			r.answerRequest(e.ID, nil)
		case *abi.ToldEvent:
			r.forgetAck(e)
			r.s.retryTold(r.id, e)
		}
	}
}

// abandon is what is left to do when the store has stopped: every client of the room is
// sent away and comes back to a process that has recovered.
func (r *room) abandon(lost []*pendingTurn) {
	for _, p := range lost {
		if p.turn.Decision {
			r.deliverTurn(p)
			continue
		}
		r.undo(p.turn.Events, abi.CodeStorageUnavailable, time.Second)
	}
	r.evict(abi.CodeStorageUnavailable, time.Second)
	r.mu.Lock()
	r.endRequests() // those of earlier turns: the memory that knew of them is gone
	r.void = false
	r.retryAt = r.s.o.Now().Add(time.Minute)
	r.mu.Unlock()
}
