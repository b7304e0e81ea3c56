package scheduler

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// steer does what a room between nodes needs before its next turn. It is called with mu held; true
// means that it has done something, and released it.
func (r *room) steer() bool {
	a := r.away
	switch {
	case r.abandoned && r.owns:
		r.mu.Unlock()
		r.lose(nil)
	case a != nil && a.over:
		r.mu.Unlock()
		r.endAway(a)
	case len(r.knocking) > 0 && !r.sealing:
		r.mu.Unlock()
		r.knock()
	case a != nil && a.sealed:
		if a.saidSealed {
			return false // retire: the owner speaks next
		}
		a.saidSealed = true
		r.mu.Unlock()
		if a.stream.Send([]byte{frameSealed}) != nil {
			_ = a.stream.Close()
		}
	case a != nil && len(r.forgets) > 0:
		ids := r.forgets
		r.forgets = nil
		r.mu.Unlock()
		r.sendForgets(a, ids)
	case a != nil && len(r.mailbox) > 0:
		events := r.take()
		r.active = r.s.o.Now()
		r.mu.Unlock()
		r.forward(a, events)
	case a != nil:
		return false
	case r.sealing && r.allSealed():
		r.mu.Unlock()
		r.handOver()
	case r.owns && r.moveTo != "" && !r.sealing:
		r.mu.Unlock()
		r.seal()
	case !r.owns && r.wanted() && !(r.closing && len(r.mailbox) == 0):
		r.mu.Unlock()
		r.settle()
	default:
		return false
	}
	return true
}

// wanted reports whether somebody here needs the room. mu is held.
func (r *room) wanted() bool { return len(r.mailbox) > 0 || r.members > 0 || r.called != "" }

// settle finds out where the room runs, and has it run here or attaches to it there. It ends when
// that is so, or when nobody needs the room any more.
func (r *room) settle() {
	began := r.s.o.Now()
	for try := 0; ; try++ {
		r.mu.Lock()
		wanted := r.wanted()
		hint, recorded, called := r.hint, r.recorded, r.called
		knocked, closing := len(r.knocking) > 0, r.closing
		if !knocked {
			r.hint, r.called = "", ""
		}
		r.mu.Unlock()
		switch {
		case closing:
			r.discard()
			return
		case !wanted || knocked:
			return
		}
		if called != "" { // nobody knows better
			hint, recorded = called, true
		}
		err := r.settleAt(hint, recorded)
		if err == nil {
			return
		}
		var elsewhere *elsewhereError
		var owned *store.OwnedError
		switch {
		case errors.As(err, &owned):
			r.setHint(owned.Owner.Node, true)
		case errors.As(err, &elsewhere):
			r.setHint(elsewhere.node, elsewhere.epoch > 0)
		case try == 0 || try%10 == 0:
			r.s.o.Log.Info("a room's owner is looked for", "room", r.id.String(), "tries", try+1, "err", err)
		}
		if r.s.o.Now().Sub(began) > settlePatience {
			r.turnAway()
			r.forgetEpoch()
		}
		if try < 2 && r.hasHint() {
			continue
		}
		r.pauseOrNudge(settleFirst << min(try, 7))
	}
}

// settleAt tries one node: the one that is said to have the room, or the ring's.
func (r *room) settleAt(hint string, recorded bool) error {
	c := r.s.o.Cluster
	node := hint
	if node == "" {
		node = c.Owner(r.id)
	}
	switch node {
	case "":
		return errNoOwner
	case c.Self():
		return r.openHere()
	}
	return r.openAway(node, hint != "" && recorded)
}

// openHere takes the ownership of the room. A room that the ring gives to another node is taken only if
// its record names this node: nobody else can take that one, while one that was given back is the other's.
// Otherwise who asks a moment after a move would bring the room back, only to be moved again.
func (r *room) openHere() error {
	c := r.s.o.Cluster
	if !c.Certain() {
		return errUncertain
	}
	if ring := c.Owner(r.id); ring != c.Self() {
		if err := r.recordedHere(ring); err != nil {
			return err
		}
	}
	rows, err := r.s.o.Store.Open(r.s.ctx, r.id)
	if err != nil {
		return err
	}
	state := rows.State()
	r.mu.Lock()
	r.rows, r.number = rows, state.Number
	r.owns, r.abandoned, r.epoch = true, false, max(r.epoch, state.Epoch)
	r.outbox = false
	r.moveTo, r.called = "", ""
	r.mu.Unlock()
	r.closed, r.untold = decodeKept(state.Host).closed, false
	r.dropClosed()
	r.s.stats.owned.Add(1)
	r.s.stats.taken.Add(1)
	if !r.s.o.Cluster.Certain() { // nobody else gives up what was taken this late
		r.mu.Lock()
		r.abandoned = true
		r.mu.Unlock()
		return nil
	}
	if state.Left != store.LeftEmpty {
		r.gather(state.Epoch, state.Left == store.LeftDead)
	}
	if state.Left == store.LeftDead {
		r.s.stats.takenOver.Add(1)
	}
	r.resync()
	// The ring may have changed since it was asked.
	if to := r.s.o.Cluster.Owner(r.id); to != "" && to != r.s.o.Cluster.Self() {
		r.mu.Lock()
		r.moveTo = to
		r.mu.Unlock()
	}
	return nil
}

// dropClosed ends this node's connections that the room has closed under its owner before, which could not say so any more.
// Why they were closed is not known: they come back, and the room decides.
func (r *room) dropClosed() {
	for _, id := range r.closed {
		r.table.Remove(id)
		if c := r.sockets[id]; c != nil {
			delete(r.sockets, id)
			r.left([]*gateway.Connection{c})
			refuse(c, abi.CodeRestarting, 0)
		}
	}
}

// recordedHere reports, with nil, that the record of the room names this node.
func (r *room) recordedHere(ring string) error {
	s, ok := r.s.o.Store.(store.Shared)
	if !ok {
		return nil
	}
	owner, err := s.Owner(r.s.ctx, r.id)
	switch {
	case err != nil:
		return err
	case owner.Node == r.s.o.Cluster.Self():
		return nil
	case owner.Node != "":
		return &elsewhereError{node: owner.Node, epoch: owner.Epoch}
	case ring == "":
		return errNoOwner
	}
	return &elsewhereError{node: ring}
}

// gather asks every node for its connections of the room, which may have outlived the owner before,
// and waits for those that have some: who is not there when the room starts is gone.
func (r *room) gather(epoch uint64, dead bool) {
	ctx, cancel := context.WithTimeout(r.s.ctx, gatherTimeout)
	defer cancel()
	peers := r.s.o.Cluster.Peers()
	type reply struct {
		node   string
		coming bool
	}
	replies := make(chan reply, len(peers))
	for _, node := range peers {
		r.s.work.Add(1)
		go func() {
			defer r.s.work.Done()
			replies <- reply{node, r.s.roll(ctx, node, r.id, epoch, dead)}
		}()
	}
	var coming []string
	for asked := len(peers); ; {
		missing := asked
		r.mu.Lock()
		for _, node := range coming {
			if !slices.ContainsFunc(r.knocking, func(f *front) bool { return f.node == node }) {
				missing++
			}
		}
		r.mu.Unlock()
		if missing == 0 {
			return
		}
		select {
		case x := <-replies:
			asked--
			if x.coming {
				coming = append(coming, x.node)
			}
		case <-r.nudged:
		case <-ctx.Done():
			r.s.o.Log.Warn("a room starts without the connections of some nodes", "room", r.id.String(), "nodes", missing)
			return
		}
	}
}

// roll asks one node whether it has connections of a room that this node has taken.
func (s *Scheduler) roll(ctx context.Context, node string, id store.RoomID, epoch uint64, dead bool) (coming bool) {
	stream, err := s.o.Cluster.Open(ctx, node)
	if err != nil {
		return false // it does not answer: its clients come back by themselves
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer stop()
	defer stream.Close()
	if stream.Send(appendRoll(id, epoch, dead)) != nil {
		return false
	}
	b, err := stream.Recv(16)
	return err == nil && len(b) == 2 && b[0] == frameRolled && b[1] == 1
}

// rolled answers a new owner, and sends this node's connections of the room there.
func (s *Scheduler) rolled(owner string, id store.RoomID, epoch uint64, dead bool) (coming bool) {
	s.mover.arrived(id)
	s.mu.Lock()
	r := s.rooms[id]
	s.mu.Unlock()
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || r.closing || r.members == 0 || epoch < r.epoch {
		return false
	}
	if dead && r.away != nil && r.away.node != owner {
		go r.away.stream.Close() // otherwise its owner is about to say that the room moves
	}
	if r.owns && epoch > r.epoch {
		r.abandoned = true
	}
	r.called = owner
	r.stir()
	r.nudge()
	return true
}

// discard drops what waits in the mailbox of a room that has no owner, at the end of this node.
func (r *room) discard() {
	r.mu.Lock()
	events := r.mailbox
	r.mailbox, r.bytes = nil, 0
	r.mu.Unlock()
	r.forsake(events)
}

// turnAway refuses connects and requests that have waited too long for an owner. Messages of those who are
// connected go on waiting.
func (r *room) turnAway() {
	r.mu.Lock()
	var events, kept []abi.Event
	for _, e := range r.mailbox {
		switch e.(type) {
		case *abi.ConnectEvent, *abi.RequestEvent:
			events = append(events, e)
		default:
			kept = append(kept, e)
		}
	}
	r.mailbox = kept
	r.bytes = 0
	for _, e := range kept {
		r.bytes += eventBytes(e)
	}
	if r.full != nil {
		close(r.full)
		r.full = nil
	}
	r.mu.Unlock()
	for _, e := range events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			if c := r.takeJoining(e.Connection.ID); c != nil {
				refuse(c, abi.CodeRoomUnavailable, time.Second)
			}
		case *abi.RequestEvent:
			r.answerRequest(e.ID, nil)
		}
	}
}

// forgetEpoch believes whoever owns the room now, whatever was heard before: a Redis that lost its newest
// writes counts from an earlier epoch on.
func (r *room) forgetEpoch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch, r.gap = 0, true
}

func (r *room) setHint(node string, recorded bool) {
	r.mu.Lock()
	r.hint, r.recorded = node, recorded
	r.mu.Unlock()
}

func (r *room) hasHint() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hint != ""
}

// nudge ends a pause of settle or gather: something may be different now.
func (r *room) nudge() {
	select {
	case r.nudged <- struct{}{}:
	default:
	}
}

// pauseOrNudge waits, with full jitter above half of d.
func (r *room) pauseOrNudge(d time.Duration) {
	d = min(d, settleMost)
	t := time.NewTimer(d/2 + rand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.nudged:
	case <-r.s.ctx.Done():
	}
}
