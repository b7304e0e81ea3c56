package scheduler

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// retire ends the turn goroutine: it puts an idle room to sleep, or away, when its time has
// come. It is called with mu held and releases it; false means that there is work again.
func (r *room) retire() bool {
	idle := r.s.o.Now().Sub(r.active)
	keep := r.kind.SleepAfter()
	busy := len(r.pending) > 0 || r.delivering || r.ticker != nil || len(r.answers) > 0 || r.awaited()
	if busy || r.closing || idle < keep && r.model != nil && r.model.Started() {
		r.running = false
		if !busy && !r.closing {
			r.sleepIn(keep - idle)
		}
		r.mu.Unlock()
		return true
	}
	if r.model != nil && r.model.Started() {
		r.shed()
		r.mu.Unlock()
		r.model.Sleep()
		r.s.stats.awake.Add(-1)
		r.s.stats.sleeps.Add(1)
		return false
	}
	if a := r.away; a != nil && idle < keep { // who asks again soon finds it attached
		r.running = false
		r.sleepIn(keep - idle)
		r.mu.Unlock()
		return true
	}
	if r.members > 0 || len(r.joining) > 0 || len(r.fronts) > 0 || r.ghosts > 0 {
		r.running = false
		r.mu.Unlock()
		return true
	}
	if wait := r.forgetAt.Sub(r.s.o.Now()); wait > 0 {
		r.running = false
		r.sleepIn(wait)
		r.mu.Unlock()
		return true
	}
	r.mu.Unlock()
	return r.leave()
}

// shed gives up what an idle room needs again only when it works: there may be very many that sleep. mu is held.
func (r *room) shed() {
	if len(r.mailbox) == 0 {
		r.mailbox = nil
	}
	if len(r.joining) == 0 {
		r.joining = nil
	}
	if len(r.answers) == 0 {
		r.answers = nil
	}
	if len(r.acks) == 0 {
		r.acks = nil
	}
	if len(r.notices) == 0 {
		r.notices = nil
	}
	r.pending = nil // busy otherwise
}

// leave takes a room without connections and work out of the scheduler. Only the turn goroutine
// calls it, so nothing else of the room runs; an event that arrives meanwhile wins.
func (r *room) leave() bool {
	r.detach()
	r.release()
	r.mu.Lock()
	r.gaveBack()
	r.mu.Unlock()
	// Everybody has left, but the close events of some may have waited for the room to run.
	for _, c := range r.sockets {
		r.s.o.Presence.Leave(r.present(c, time.Time{}))
	}
	r.table, r.sockets, r.closes = host.Table{}, nil, nil
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.mailbox) > 0 || len(r.done) > 0 || r.members > 0 || len(r.pending) > 0 || len(r.knocking) > 0 {
		return false
	}
	r.disconnect()
	r.running = false
	r.dead = true
	if r.sleeper != nil {
		r.sleeper.Stop()
	}
	if r.s.rooms[r.id] == r {
		delete(r.s.rooms, r.id)
	}
	r.s.stats.rooms.Add(-1)
	return true
}

// rest looks at the room again when it may sleep. mu is held.
func (r *room) rest() {
	if !r.closing && !r.dead && r.ticker == nil {
		r.sleepIn(r.kind.SleepAfter() - r.s.o.Now().Sub(r.active))
	}
}

// sleepIn wakes the turn goroutine once, so that it may put the room to sleep. mu is held.
func (r *room) sleepIn(d time.Duration) {
	d = max(d, time.Millisecond)
	if r.sleeper == nil {
		r.sleeper = time.AfterFunc(d, r.wake)
		return
	}
	r.sleeper.Reset(d)
}

// A ticker posts tick events at an interval; beats that find one waiting are merged into it.
type ticker struct {
	timer    *time.Timer
	interval time.Duration
	waiting  *abi.TickEvent // in the mailbox, not taken yet
}

// setTicker starts, changes or (0) stops the ticks.
func (r *room) setTicker(interval time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopTicker()
	if interval <= 0 || r.closing || r.dead {
		return
	}
	t := &ticker{interval: interval}
	t.timer = time.AfterFunc(interval, func() { r.beat(t) })
	r.ticker = t
}

// stopTicker ends the ticks. mu is held.
func (r *room) stopTicker() {
	if r.ticker != nil {
		r.ticker.timer.Stop()
		r.ticker = nil
	}
}

func (r *room) beat(t *ticker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ticker != t || r.dead || r.closing {
		return
	}
	t.timer.Reset(t.interval)
	for _, e := range r.mailbox {
		if e == abi.Event(t.waiting) {
			t.waiting.Missed++
			return
		}
	}
	t.waiting = &abi.TickEvent{}
	r.mailbox = append(r.mailbox, t.waiting)
	r.bytes += eventBytes(t.waiting)
	r.start()
}
