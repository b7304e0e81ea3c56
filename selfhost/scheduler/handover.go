package scheduler

import (
	"context"
	"slices"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// seal asks the gateways of a room that is about to move for their last events.
func (r *room) seal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealing = true
	r.sealBy = r.s.o.Now().Add(sealTimeout)
	for _, f := range r.fronts {
		f.send([]byte{frameSeal})
	}
	if len(r.fronts) > 0 {
		time.AfterFunc(sealTimeout+time.Millisecond, r.wake)
	}
}

// allSealed reports whether no gateway has events on their way any more, or has taken too long. mu
// is held.
func (r *room) allSealed() bool {
	if r.s.o.Now().After(r.sealBy) {
		return true
	}
	for _, f := range r.fronts {
		if !f.sealed {
			return false
		}
	}
	return true
}

// handOver gives the room back in order, for another node: what has arrived is run, committed and
// let out first. What arrives meanwhile waits in the mailbox here, and at the gateways, and goes
// to the next owner.
func (r *room) handOver() {
	r.mu.Lock()
	n := len(r.mailbox)
	for _, f := range r.fronts {
		if !f.sealed {
			f.gone = true
			delete(r.fronts, f.node)
			go f.cut()
		}
	}
	r.mu.Unlock()
	for n > 0 {
		r.mu.Lock()
		if r.void || r.abandoned || len(r.mailbox) == 0 {
			r.mu.Unlock()
			break
		}
		events := r.takeAtMost(n)
		r.mu.Unlock()
		n -= len(events)
		r.turns(events)
	}
	r.awaitDelivery()
	r.mu.Lock()
	if r.void || r.abandoned || !r.owns { // the loop deals with that first
		r.mu.Unlock()
		return
	}
	to, connected := r.moveTo, r.table.Len() > 0
	undecided := len(r.pending) > 0 // the scheduler gives up
	r.mu.Unlock()
	if undecided {
		r.rows = nil
		for _, f := range r.disown("") {
			f.cut()
		}
		return
	}
	rows := r.rows
	r.dropGuest()
	r.rows = nil
	if connected { // else nobody waits for it
		r.s.mover.gives(r.id)
	}
	ctx, cancel := context.WithTimeout(r.s.ctx, releaseTimeout)
	err := release(ctx, rows, connected)
	cancel()
	if err != nil {
		r.s.o.Log.Warn("a room was not given back; its next owner asks here first", "room", r.id.String(), "err", err)
	}
	fronts := r.disown(to)
	for _, f := range fronts {
		f.send(abi.AppendString([]byte{frameMoved}, to))
		f.end()
	}
	r.answer(appendElsewhere(to, 0)) // those who came during the move
	r.s.stats.moved.Add(1)
}

func release(ctx context.Context, rows store.Room, connected bool) error {
	if s, ok := rows.(store.SharedRoom); ok {
		return s.Release(ctx, connected)
	}
	return rows.Close()
}

// lose gives the room up at once, because it is another node's now, or may be: nothing of it is
// let out any more. lost are the turns that are not durable.
func (r *room) lose(lost []*pendingTurn) {
	if lost == nil {
		r.awaitDelivery() // what is durable may leave; the store has refused the rest
		r.mu.Lock()
		void := r.void
		r.mu.Unlock()
		if void {
			var ok bool
			if lost, ok = r.awaitAnswers(); !ok {
				return
			}
			defer r.s.work.Add(-len(lost))
		}
	}
	for _, p := range lost {
		if p.turn.Decision {
			r.deliverTurn(p)
			continue
		}
		r.forsake(p.turn.Lost())
	}
	r.dropGuest()
	rows := r.rows
	r.rows = nil
	if rows != nil {
		ctx, cancel := context.WithTimeout(r.s.ctx, releaseTimeout)
		defer cancel()
		if err := release(ctx, rows, r.table.Len() > 0); err != nil {
			r.s.o.Log.Debug("a lost room is not closed", "room", r.id.String(), "err", err)
		}
	}
	for _, f := range r.disown("") {
		f.cut()
	}
	r.mu.Lock()
	r.gap = true
	r.void, r.abandoned = false, false
	r.mu.Unlock()
	r.s.stats.lost.Add(1)
	r.s.o.Log.Warn("a room was lost to another owner", "room", r.id.String())
}

// dropGuest puts the room's memory away.
func (r *room) dropGuest() {
	r.unwatch()
	if r.model != nil {
		if r.model.Started() {
			r.s.stats.awake.Add(-1)
		}
		r.model.Sleep()
		r.model = nil
	}
	if r.guest != nil {
		r.guest.Close()
		r.guest = nil
	}
}

// disown turns the owner's view of the room into a gateway's: only this node's connections are left.
// It returns the gateways that were attached.
func (r *room) disown(hint string) (fronts []*front) {
	var ended []*gateway.Connection
	defer func() { r.left(ended) }()
	r.mu.Lock()
	defer r.mu.Unlock()
	var own host.Table
	for _, c := range r.table.Connections() {
		if r.sockets[c.ID] != nil {
			own.Add(c)
		}
	}
	r.table = own
	ended = r.dropEnded()
	for id, c := range r.sockets {
		if !own.Has(id) { // the room has closed it, and no other owner is to hear of its end
			delete(r.sockets, id)
			ended = append(ended, c)
		}
	}
	for _, f := range r.fronts {
		f.gone = true
		fronts = append(fronts, f)
	}
	r.fronts, r.homes, r.asked = nil, nil, nil
	r.sealing, r.moveTo, r.hint, r.recorded = false, "", hint, false
	r.closes, r.done, r.outbox = nil, nil, true
	r.stopTicker()
	r.presenceWaits, r.retell = false, false
	lost := r.notHandedOver()
	for id, answer := range lost.answers {
		close(answer)
		delete(r.answers, id)
	}
	r.mailbox = slices.DeleteFunc(r.mailbox, func(e abi.Event) bool { return !r.local(e) })
	r.bytes = 0
	for _, e := range r.mailbox {
		r.bytes += eventBytes(e)
	}
	if r.full != nil { // gateways that wait for space find out
		close(r.full)
		r.full = nil
	}
	r.gaveBack()
	return fronts
}

// local reports whether an event of the mailbox is of this node's gateway, or was told here. mu is held.
func (r *room) local(e abi.Event) bool {
	switch e := e.(type) {
	case *abi.ConnectEvent:
		return r.joining[e.Connection.ID] != nil
	case *abi.MessageEvent:
		return r.sockets[e.Connection] != nil || r.joining[e.Connection] != nil
	case *abi.CloseEvent:
		return r.sockets[e.Connection] != nil || r.joining[e.Connection] != nil
	case *abi.RequestEvent:
		return r.answers[e.ID] != nil
	case *abi.ToldEvent:
		return r.acks[e] != nil
	case *abi.NotifiedEvent:
		return r.sockets[e.Connection] != nil || r.joining[e.Connection] != nil
	}
	return false
}

// gaveBack notes that the room does not run here any more. mu is held.
func (r *room) gaveBack() {
	if r.s.o.Cluster == nil || r.rows != nil || !r.owns {
		return
	}
	r.owns = false
	r.s.alarms.set(r.id, 0)
	r.s.stats.owned.Add(-1)
	r.s.mover.tick()
	select {
	case r.s.vacated <- struct{}{}:
	default:
	}
}

// detach ends the attachment of a room that is about to be put away, and lets out what came over it.
func (r *room) detach() {
	r.mu.Lock()
	a := r.away
	if a != nil {
		r.away = nil
		a.over = true
		go a.stream.Close()
	}
	r.mu.Unlock()
	if a != nil {
		r.awaitDelivery()
	}
}

// disconnect ends the streams of a room that is put away. mu is held.
func (r *room) disconnect() {
	if a := r.away; a != nil {
		r.away = nil
		a.over = true
		go a.stream.Close()
	}
	for _, f := range r.fronts {
		f.gone = true
		go f.cut()
	}
	for _, f := range r.knocking {
		f.gone = true
		go f.cut()
	}
	r.fronts, r.knocking, r.homes, r.asked = nil, nil, nil, nil
}

// awaited reports whether another node waits for an answer of the room, or this node for one of the
// owner. mu is held.
func (r *room) awaited() bool { return len(r.asked) > 0 || r.away != nil && len(r.away.told) > 0 }

// putBack returns events to the mailbox because the ownership is not certain any more.
func (r *room) putBack(events []abi.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mailbox = append(events[:len(events):len(events)], r.mailbox...)
	for _, e := range events {
		r.bytes += eventBytes(e)
	}
	r.abandoned = true
}
