package scheduler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
)

// An away is this node's attachment to a room that another node runs.
type away struct {
	node   string
	stream Stream
	// admitted is closed when the turn goroutine has taken the attachment up: no turn is let out before.
	admitted chan struct{}

	// Guarded by the room's mu.
	over   bool   // nothing comes any more
	sealed bool   // the owner asked for the last event
	moved  bool   // the owner gave the room back in order; to is where it goes
	to     string //
	told   map[toldKey]toldWait

	saidSealed bool // of the turn goroutine
}

// An elsewhereError is another node's answer that it does not have the room.
type elsewhereError struct {
	node  string
	epoch uint64
}

func (e *elsewhereError) Error() string {
	return fmt.Sprintf("scheduler: the room is elsewhere: %q, epoch %d", e.node, e.epoch)
}

// openAway attaches this node's connections to a room that another node runs.
func (r *room) openAway(node string, recorded bool) error {
	ctx, cancel := context.WithTimeout(r.s.ctx, attachTimeout)
	defer cancel()
	stream, err := r.s.o.Cluster.Open(ctx, node)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	r.setAsking(true)
	attach := attachFrame{id: r.id, recorded: recorded, connections: r.table.Connections()}
	epoch, err := ask(stream, attach.append(nil))
	r.setAsking(false)
	if err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = stream.Close()
		return err
	}
	a := &away{node: node, stream: stream, admitted: make(chan struct{}), told: make(map[toldKey]toldWait)}
	r.mu.Lock()
	if epoch < r.epoch {
		r.mu.Unlock()
		_ = stream.Close()
		return fmt.Errorf("scheduler: %s has an old epoch %d of the room, after %d", node, epoch, r.epoch)
	}
	r.away, r.epoch, r.done = a, epoch, nil // the owner's outbox is the owner's
	if r.called == node {
		r.called = "" // or the next owner would be looked for there
	}
	r.mu.Unlock()
	r.s.stats.attached.Add(1)
	r.resync()
	r.s.links.Add(1)
	go r.listen(a)
	close(a.admitted)
	return nil
}

// setAsking notes that the turn goroutine waits for another node, and cannot answer who knocks.
func (r *room) setAsking(v bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asking = v
	r.answerQueue()
}

// ask sends the first frame of a stream and reads the answer to it.
func ask(stream Stream, frame []byte) (epoch uint64, err error) {
	if err := stream.Send(frame); err != nil {
		return 0, err
	}
	b, err := stream.Recv(MaxFrame)
	if err != nil {
		return 0, err
	}
	if len(b) == 0 {
		return 0, malformed("frame", "empty")
	}
	d := abi.NewDecoder(b[1:])
	switch b[0] {
	case frameAttached:
		epoch = d.Uvarint("attached.epoch", 1<<63)
		return epoch, d.End("attached")
	case frameElsewhere:
		e := &elsewhereError{node: d.String("elsewhere.node", maxNode), epoch: d.Uvarint("elsewhere.epoch", 1<<63)}
		if err := d.End("elsewhere"); err != nil {
			return 0, err
		}
		return 0, e
	case frameRefused:
		code := abi.Code(d.Uvarint("refused.code", abi.MaxCode))
		retry := time.Duration(d.Uvarint("refused.retry", maxRetry)) * time.Millisecond
		if err := d.End("refused"); err != nil {
			return 0, err
		}
		return 0, &gateway.Refusal{Code: code, Retry: retry}
	}
	return 0, malformed("frame", "not an answer")
}

// listen takes what the owner sends, until the stream ends.
func (r *room) listen(a *away) {
	defer r.s.links.Done()
	err := r.hear(a)
	_ = a.stream.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.over = true; r.away != a || r.dead {
		return
	}
	if !a.moved && !errors.Is(err, errLeft) {
		r.s.o.Log.Info("a room's owner is gone or out of reach", "room", r.id.String(), "node", a.node, "err", err)
	}
	r.stir()
	r.signal()
}

var errLeft = errors.New("scheduler: the room was left") // by this node

func (r *room) hear(a *away) error {
	<-a.admitted
	for {
		b, err := a.stream.Recv(MaxFrame)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return malformed("frame", "empty")
		}
		switch b[0] {
		case frameTurn:
			t, err := decodeTurn(b[1:])
			if err != nil {
				return err
			}
			if err := r.heard(a, t); err != nil {
				return err
			}
		case frameTold:
			k, err := decodeTold(b[1:])
			if err != nil {
				return err
			}
			r.mu.Lock()
			w := a.told[k]
			delete(a.told, k)
			r.mu.Unlock()
			if w.ack != nil {
				w.ack()
			}
		case frameSeal:
			r.mu.Lock()
			a.sealed = true
			r.stir()
			r.mu.Unlock()
		case frameMoved:
			d := abi.NewDecoder(b[1:])
			to := d.String("moved.node", maxNode)
			if err := d.End("moved"); err != nil {
				return err
			}
			r.mu.Lock()
			a.moved, a.to = true, to
			r.mu.Unlock()
			return nil
		default:
			return malformed("frame", "not of an owner")
		}
	}
}

// heard puts a turn of the owner behind those that wait to be let out. It waits while too many
// do; the owner's frames then wait in the stream.
func (r *room) heard(a *away, t *host.Turn) error {
	for {
		r.mu.Lock()
		if a.over || r.away != a || r.dead || r.closing {
			r.mu.Unlock()
			return errLeft
		}
		if len(r.pending) < maxPending {
			r.s.work.Add(1)
			r.pending = append(r.pending, &pendingTurn{turn: t, done: true})
			r.deliverSoon()
			r.mu.Unlock()
			return nil
		}
		wait := r.drained
		if wait == nil {
			wait = make(chan struct{})
			r.drained = wait
		}
		r.mu.Unlock()
		select {
		case <-wait:
		case <-r.s.ctx.Done():
			return r.s.ctx.Err()
		}
	}
}

// forward hands events to the owner. It blocks while the owner is busy: the mailbox fills, and
// the clients are read no further.
func (r *room) forward(a *away, events []abi.Event) {
	r.mu.Lock()
	for _, e := range events {
		if t, ok := e.(*abi.ToldEvent); ok {
			if f := r.acks[t]; f != nil {
				a.told[keyOf(t)] = toldWait{t, f}
				delete(r.acks, t)
			}
		}
	}
	r.mu.Unlock()
	r.s.stats.forwarded.Add(uint64(len(events)))
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && (n == 0 || size < maxForward) {
			size += len(abi.AppendEvent(nil, events[n]))
			n++
		}
		if a.stream.Send(appendEvents(nil, events[:n])) != nil {
			_ = a.stream.Close() // whoever listens notices
			r.forsake(events)
			return
		}
		events = events[n:]
	}
}

// maxForward is the size above which events go in a further frame.
const maxForward = 1 << 20

// sendForgets tells the owner for which requests nobody waits any more.
func (r *room) sendForgets(a *away, ids []uint64) {
	for _, id := range ids {
		if a.stream.Send(abi.AppendUvarint([]byte{frameForget}, id)) != nil {
			_ = a.stream.Close()
			return
		}
	}
}

// dropEnded takes connections out whose sockets have ended and whose close event has left the
// mailbox: an owner that is gone took it along. It returns them for [room.left]. mu is held, and nothing is being
// delivered.
func (r *room) dropEnded() (ended []*gateway.Connection) {
	waiting := make(map[uint64]bool)
	for _, e := range r.mailbox {
		if e, ok := e.(*abi.CloseEvent); ok {
			waiting[e.Connection] = true
		}
	}
	for id, c := range r.sockets {
		if seatOf(c).closed.Load() != nil && !waiting[id] {
			r.table.Remove(id)
			delete(r.sockets, id)
			ended = append(ended, c)
		}
	}
	return ended
}

// left tells presence of connections that have ended. mu is not held: rooms that watch hear of it at once, this one
// perhaps among them.
func (r *room) left(ended []*gateway.Connection) {
	for _, c := range ended {
		r.s.o.Presence.Leave(r.present(c, time.Time{}))
	}
}

// forsake answers events that may not have reached an owner. A message's sender is told by a resync of
// its connection, and a close is known from the list of connections that the next owner gets.
func (r *room) forsake(events []abi.Event) {
	for _, e := range events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			if c := r.takeJoining(e.Connection.ID); c != nil {
				refuse(c, abi.CodeRestarting, 0)
			}
		case *abi.RequestEvent:
			r.answerRequest(e.ID, nil)
		case *abi.ToldEvent:
			r.forgetAck(e)
			r.s.retryTold(r.id, e)
		}
	}
}

// endAway takes an attachment down once everything that came over it has been let out.
func (r *room) endAway(a *away) {
	r.awaitDelivery()
	r.mu.Lock()
	r.away = nil
	told := a.told
	a.told = nil
	lost := r.notHandedOver()
	if a.moved { // everything that was handed over has been let out
		r.hint, r.recorded = a.to, false
		lost.joining = nil
	}
	r.gap = r.gap || !a.moved
	ended := r.dropEnded()
	for id := range lost.joining {
		delete(r.joining, id)
	}
	for id, answer := range lost.answers {
		close(answer)
		delete(r.answers, id)
	}
	r.mu.Unlock()
	r.left(ended)
	if !a.moved {
		r.s.stats.gaps.Add(1)
	}
	for _, c := range lost.joining {
		refuse(c, abi.CodeRestarting, 0)
	}
	for _, w := range told {
		r.s.retryTold(r.id, w.event)
	}
}

// A toldWait is a told event that was handed over, and what to do once it is durable.
type toldWait struct {
	event *abi.ToldEvent
	ack   func()
}

// inFlight are connects and requests that an owner had and did not answer.
type inFlight struct {
	joining map[uint64]*gateway.Connection
	answers map[uint64]chan<- *abi.RespondEffect
}

// notHandedOver returns what waits for an owner's answer and is not in the mailbox any more. mu is
// held.
func (r *room) notHandedOver() (f inFlight) {
	f.joining, f.answers = maps.Clone(r.joining), maps.Clone(r.answers)
	for _, e := range r.mailbox {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			delete(f.joining, e.Connection.ID)
		case *abi.RequestEvent:
			delete(f.answers, e.ID)
		}
	}
	return f
}

// resync tells this node's connections that something may not have reached them, or may have been
// lost on its way from them.
func (r *room) resync() {
	if !r.gap {
		return
	}
	r.gap = false
	for _, c := range r.sockets {
		c.Resync()
	}
}

// awaitDelivery waits until everything that is pending has been let out.
func (r *room) awaitDelivery() {
	for {
		r.mu.Lock()
		if r.void || len(r.pending) == 0 && !r.delivering {
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		select {
		case <-r.answered:
		case <-r.s.ctx.Done():
			return
		}
	}
}
