package scheduler

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// loop is the turn goroutine: it runs while the mailbox has events, and ends.
func (r *room) loop() {
	defer r.s.work.Done()
	for {
		r.mu.Lock()
		switch {
		case r.void:
			r.mu.Unlock()
			r.reset()
			continue
		case r.s.o.Cluster != nil && r.steer():
			continue
		case r.s.o.Cluster != nil && !r.owns:
			if r.retire() {
				return
			}
			continue
		case r.renew && r.model != nil:
			r.renew = false
			r.mu.Unlock()
			r.swapModule()
			continue
		case len(r.mailbox) > 0:
			events := r.take()
			r.active = r.s.o.Now()
			r.mu.Unlock()
			r.turns(events)
			continue
		case len(r.done) > 0:
			r.mu.Unlock()
			r.removeRows()
			continue
		case !r.outbox:
			r.mu.Unlock()
			if r.open() != nil {
				r.mu.Lock()
				r.outbox = true // tried again when an event opens the room
				r.mu.Unlock()
			}
			continue
		case r.revives:
			r.mu.Unlock()
			r.revive()
			continue
		case r.retell:
			r.retell = false
			r.mu.Unlock()
			r.submit(&host.Turn{Decision: true}, extra{retell: true})
			continue
		}
		if r.retire() {
			return
		}
	}
}

// turns runs one batch.
func (r *room) turns(events []abi.Event) {
	if wait := r.backingOff(); wait > 0 {
		r.fail(events, abi.CodeRoomUnavailable, wait)
		return
	}
	if err := r.open(); err != nil {
		r.failed(events, err)
		return
	}
	r.pace()
	if r.s.o.Cluster != nil && !r.s.o.Cluster.Certain() {
		r.putBack(events)
		return
	}
	events = append(r.closes, r.dueChanges(r.dueAlarms(events))...)
	r.closes = nil
	slept := !r.model.Started()
	began := time.Now()
	result := r.model.Run(r.s.ctx, r.s.o.Store.Away(), events)
	r.s.stats.turn(time.Since(began), len(result.Turns))
	if awake := r.model.Started(); awake != !slept {
		r.s.stats.awake.Add(map[bool]int64{true: 1, false: -1}[awake])
	}
	r.took(result)
}

// took submits what a run brought.
func (r *room) took(result host.Result) {
	for _, x := range result.Rejections {
		r.rejected(x)
	}
	for i, t := range result.Turns {
		x := extra{}
		if t.Durable() {
			x.outboxDone = r.takeDone()
		}
		r.keepClosed(t, &x)
		if i == len(result.Turns)-1 && !t.Decision {
			r.keepWatchful(&x)
		}
		r.submit(t, x)
		for _, e := range t.Events {
			if e.Type() == abi.EventPresence {
				r.presenceFails = 0
			}
		}
	}
	if result.Err != nil {
		r.failed(result.Unrun, result.Err)
		return
	}
	r.failures = 0
}

// removeRows commits the removal of outbox rows for which no turn came along.
func (r *room) removeRows() {
	if err := r.open(); err != nil && r.rows == nil {
		r.s.o.Log.Error("the room does not open", "room", r.id.String(), "err", err)
		r.mu.Lock()
		r.done, r.outbox = nil, true // the rows are told again when it opens
		r.mu.Unlock()
		return
	}
	r.submit(&host.Turn{Time: uint64(r.s.o.Now().UnixMilli())}, extra{outboxDone: r.takeDone()})
}

// maxDone bounds the outbox rows that one commit removes: [store.MaxCommitBytes] counts them.
const maxDone = 4096

// takeDone returns outbox rows for the next commit to remove.
func (r *room) takeDone() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.done), maxDone)
	done := r.done[:n:n]
	if r.done = r.done[n:]; len(r.done) == 0 {
		r.done = nil
	}
	return done
}

// dueAlarms fills in which alarm is due, and leaves out one that the room has put off since the
// clock rang.
func (r *room) dueAlarms(events []abi.Event) []abi.Event {
	out := events[:0:0]
	for _, e := range events {
		if a, ok := e.(*abi.AlarmEvent); ok {
			at := r.model.Alarm()
			if at == 0 || at > uint64(r.s.o.Now().UnixMilli()) {
				continue
			}
			a.Scheduled, a.Attempt = at, r.attempt
		}
		out = append(out, e)
	}
	return out
}

// pace waits while the store or the delivery is behind, and while the room has used up its
// share of a core.
func (r *room) pace() {
	for r.behind() {
		select {
		case <-r.answered:
		case <-r.s.ctx.Done():
			return
		}
	}
	wait := r.guest.Throttle(r.s.o.Now())
	if wait <= 0 {
		return
	}
	r.s.stats.throttled.Add(1)
	r.pause(wait)
}

// pause waits, unless the scheduler gives up before.
func (r *room) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.s.ctx.Done():
	}
}

// maxPending bounds the turns of one room that wait for their delivery.
const maxPending = 256

func (r *room) behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.void && len(r.pending) > 0 && (len(r.pending) >= maxPending || r.rows.Busy())
}

// open takes the room out of the store, once in its life.
func (r *room) open() error {
	if r.model != nil {
		return nil
	}
	if r.rows == nil {
		rows, err := r.s.o.Store.Open(r.s.ctx, r.id)
		if err != nil {
			return err
		}
		r.rows, r.number = rows, rows.State().Number
	}
	r.mu.Lock()
	kind := r.kind
	r.renew = false
	r.mu.Unlock()
	if r.guest == nil {
		guest, err := r.s.o.Modules.Guest(r.id.Kind, r.id.Name)
		if err != nil {
			return err
		}
		r.guest = guest
	}
	state := r.rows.State()
	r.number, r.attempt, r.durability = state.Number, state.Alarm.Attempt, kind.Durability
	beside := decodeKept(state.Host)
	r.watchful, r.revives = beside.watchful, true
	r.model = host.New(host.Config{
		Kind: kind, Name: r.id.Name, Term: state.Term,
		Guest: r.guest, Storage: r.rows,
		Now: r.s.o.Now, Seed: seed, Handle: r.s.handle,
		Time: state.Time, Alarm: state.Alarm.Scheduled, Culprits: beside.culprits,
		Connections: &r.table, Reason: startReason(state),
	})
	if state.HasOutbox {
		r.s.readOutbox(r)
	}
	if r.s.o.Cluster != nil { // on one node the clock has read the store's index
		r.s.alarms.set(r.id, state.Alarm.Due)
	}
	r.mu.Lock()
	r.outbox = true
	r.mu.Unlock()
	return nil
}

func startReason(s store.State) abi.StartReason {
	if s.Left != store.LeftEmpty {
		return abi.StartMoved
	}
	return abi.StartCold
}

// swapModule puts the newest version of the module under the room.
func (r *room) swapModule() {
	guest, err := r.s.o.Modules.Guest(r.id.Kind, r.id.Name)
	if err != nil {
		r.s.o.Log.Error("the new version of a module gives no room; the old one stays", "room", r.id.String(), "err", err)
		return
	}
	if r.model.Started() {
		r.s.stats.awake.Add(-1)
	}
	r.mu.Lock()
	kind := r.kind
	r.retryAt = time.Time{}
	r.mu.Unlock()
	r.model.Replace(guest)
	r.model.SetKind(kind)
	r.guest.Close()
	r.guest, r.durability, r.failures = guest, kind.Durability, 0
}
