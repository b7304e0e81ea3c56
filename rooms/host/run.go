package host

import (
	"context"
	"errors"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// run is the state of one call of Run or Start.
type run struct {
	*Room
	ctx       context.Context
	storeAway bool
	result    Result
	own       bool // the batch at work is the room's own close events
	// written is what the first folded turns of the result wrote, which the caller has not
	// committed yet.
	written *pending
	folded  int
}

// storage is what the next turn reads: the room's rows as all its earlier turns left them.
func (x *run) storage() Storage {
	for ; x.folded < len(x.result.Turns); x.folded++ {
		if w := x.result.Turns[x.folded].Writes; len(w) > 0 {
			if x.written == nil {
				x.written = &pending{under: x.c.Storage}
			}
			x.written.write(w)
		}
	}
	if x.written != nil {
		return x.written
	}
	return x.c.Storage
}

func (x *run) all(events []abi.Event) {
	for {
		x.own = len(events) == 0
		if x.own {
			events, x.closed = x.closed, nil
		}
		if len(events) == 0 && x.owed.len() == 0 {
			return
		}
		batch, rest := cut(events, x.most)
		if batch = x.admit(batch); len(batch) > 0 || x.owed.len() > 0 {
			left, err := x.turns(batch)
			if err != nil {
				x.result.Err = err
				left = append(left[:len(left):len(left)], rest...)
				if x.own {
					x.closed = append(left, x.closed...)
				} else {
					x.result.Unrun = left
				}
				return
			}
		}
		if x.own {
			x.closed, events = append(rest[:len(rest):len(rest)], x.closed...), nil
		} else {
			events = rest
		}
	}
}

// turns runs one batch, in one turn if it does not trap. It returns the events that did not
// happen when an error ends the run.
func (x *run) turns(batch []abi.Event) ([]abi.Event, error) {
	if !x.started && x.table.Len() > largeTable {
		if err := x.begin(); err != nil {
			return batch, err
		}
	}
	owed := x.owed.take()
	events := batch
	if len(owed) > 0 {
		events = append(owed[:len(owed):len(owed)], batch...)
	}
	err := x.turn(events)
	if err == nil {
		if x.good++; x.good == patience && x.most < maxTurnEvents {
			x.most, x.good = min(2*x.most, maxTurnEvents), 0
		}
		return nil, nil
	}
	x.owed.restore(owed)
	if !traps(err) {
		return batch, err
	}
	// The start and what is owed go first and alone, so that an event is not blamed for them.
	if err := x.begin(); err != nil {
		return batch, err
	}
	if n := len(batch) / 2; n > 0 && asTrap(err).Cause == CauseFuel {
		// Nobody is to blame for the sum of many.
		x.most, x.good = min(x.most, n), 0
		for half, rest := batch[:n], batch[n:]; half != nil; half, rest = rest, nil {
			if half = x.admit(half); len(half) == 0 {
				continue // what came before has made it void
			}
			if left, err := x.turns(half); err != nil {
				return append(left[:len(left):len(left)], rest...), err
			}
		}
		return nil, nil
	}
	for i, e := range batch {
		one := x.admit([]abi.Event{e})
		if len(one) == 0 {
			continue // what came before has made it void
		}
		if err := x.single(one[0]); err != nil {
			return batch[i:], err
		}
	}
	return nil, nil
}

// patience is after how many turns a room is trusted with larger ones again.
const patience = 256

// largeTable is the number of connections beyond which a start has a turn of its own.
const largeTable = 256

// single runs one event alone. An error means that it did not happen and that no other can.
func (x *run) single(e abi.Event) error {
	if err := x.begin(); err != nil {
		return err
	}
	err := x.turn([]abi.Event{e})
	if !traps(err) {
		return err
	}
	x.reject(e, asTrap(err), false)
	return nil
}

// begin starts the room if it is not in memory and tells it what it is owed. A room that fails on
// being told of a failure is not told again.
func (x *run) begin() error {
	for !x.started {
		owed := x.owed.take()
		err := x.turn(owed)
		switch {
		case err == nil:
		case !traps(err):
			x.owed.restore(owed)
			return err
		case len(owed) == 0:
			return &StartError{Kind: x.c.Kind.Name, Room: x.c.Name, Trap: asTrap(err)}
		}
	}
	return nil
}

// turn runs one batch, behind a start event if the room is not in memory.
func (x *run) turn(events []abi.Event) error {
	b := abi.Batch{Handle: x.handle, StoreAway: x.storeAway, Events: events}
	b.Time = max(x.time, uint64(max(x.c.Now().UnixMilli(), 0)))
	x.c.Seed(&b.Seed)
	starts := !x.started
	if starts {
		b.Handle = x.c.Handle()
		start := &abi.StartEvent{Kind: x.c.Kind.Name, Room: x.c.Name, Reason: x.reason, Term: x.c.Term, Alarm: x.alarm, Connections: x.table.Connections()}
		b.Events = append([]abi.Event{start}, events...)
	}
	x.batch = abi.AppendBatch(x.batch[:0], &b)
	if cap(x.batch) > 1<<20 { // one large turn must not cost the room its size for ever
		defer func() { x.batch = nil }()
	}
	out, err := x.c.Guest.Turn(x.ctx, x.batch, x.storage())
	if err != nil {
		if asTrap(err) != nil {
			x.trapped()
		}
		return err
	}
	x.handle, x.started = b.Handle, true
	if starts {
		x.watching = nil // a start begins with nobody watched
	}
	effects, err := x.validate(b.Events, out)
	if err != nil {
		x.c.Guest.Sleep()
		x.trapped()
		return &Trap{Cause: CauseGarbage, Message: err.Error(), Err: err}
	}
	x.time = b.Time
	x.apply(b.Time, b.Events, effects)
	return nil
}

func (x *run) trapped() { x.started, x.reason = false, abi.StartTrap }

// apply brings the model up to date and adds the turn to the result.
func (x *run) apply(now uint64, events []abi.Event, effects []abi.Effect) {
	t := &Turn{Time: now, Events: events, own: x.own}
	for _, e := range events {
		if e, ok := e.(*abi.AlarmEvent); ok && x.alarm == e.Scheduled {
			x.alarm, t.Alarm, t.AlarmSet = 0, 0, true
		}
	}
	t.split(effects)
	x.watch(t.Effects)
	if t.AlarmSet {
		x.alarm = t.Alarm
	}
	x.take(t)
}

// take applies a turn to the table and adds it to the result.
func (x *run) take(t *Turn) {
	x.table.Deliver(t, func(e abi.Effect) {
		if e, ok := e.(*abi.CloseEffect); ok && x.table.Has(e.Connection) {
			x.closed = append(x.closed, closeEvent(e))
		}
	})
	x.result.Turns = append(x.result.Turns, t)
}

// decide adds a turn that the host took in the room's place.
func (x *run) decide(events []abi.Event, effects ...abi.Effect) {
	x.take(&Turn{Time: x.time, Decision: true, Events: events, Effects: effects})
}

func closeEvent(e *abi.CloseEffect) *abi.CloseEvent {
	return &abi.CloseEvent{Connection: e.Connection, Code: e.Code, Reason: e.Reason, Clean: true}
}

// traps reports whether an error is the room's own fault: then another turn may go better.
func traps(err error) bool {
	t := asTrap(err)
	return t != nil && t.Cause != CauseStorage
}

func asTrap(err error) *Trap {
	var t *Trap
	if errors.As(err, &t) {
		return t
	}
	return nil
}
