package scheduler

import (
	"slices"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A mover hands over the rooms that the ring gives to other nodes, a few at a time. A room stands still
// from its seal until its next owner has opened it; if all did so together, each would wait for all. So one that has been
// given back is still on its way until its next owner asks for its connections ([Scheduler.rolled]).
type mover struct {
	s *Scheduler
	// changed gets a token when a room has left, or there may be others to move.
	changed chan struct{}

	mu      sync.Mutex // guards the fields below; no room's is taken while it is held
	waiting []*room
	limit   int // of those that move
	running bool
	// sent are rooms with connections that were given back; patience bounds how long they are waited for.
	sent     map[store.RoomID]bool
	patience time.Duration
}

const (
	// leastMoving rooms may be on their way at the same time, and of many a movingShare'th, so that the
	// time that all take together has a bound.
	leastMoving = 8
	movingShare = 64
	// moverPatience is when a mover looks again by itself.
	moverPatience = time.Second
	// arrivalPatience is how long a room that was given back counts if its next owner is not heard of.
	arrivalPatience = 250 * time.Millisecond
)

func newMover(s *Scheduler) *mover {
	return &mover{s: s, changed: make(chan struct{}, 1), sent: make(map[store.RoomID]bool), patience: arrivalPatience}
}

// set replaces the rooms that wait.
func (m *mover) set(rooms []*room) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting, m.limit = rooms, max(leastMoving, len(rooms)/movingShare)
	m.tick()
	if len(rooms) == 0 || m.running {
		return
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.closed { // its rooms are given back
		return
	}
	m.running = true
	m.s.links.Add(1)
	go m.run()
}

func (m *mover) tick() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// gives notes that a room with connections is about to be given back. A room's mu may be held.
func (m *mover) gives(id store.RoomID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent[id] = true
	time.AfterFunc(m.patience, func() { m.arrived(id) })
}

// arrived notes that the next owner has a room, or that it is not waited for any more.
func (m *mover) arrived(id store.RoomID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sent[id] {
		delete(m.sent, id)
		m.tick()
	}
}

func (m *mover) underway(id store.RoomID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent[id]
}

func (m *mover) run() {
	defer m.s.links.Done()
	var moving []*room
	for {
		moving = slices.DeleteFunc(moving, func(r *room) bool { return !r.moving() && !m.underway(r.id) })
		next, done := m.take(len(moving))
		if done {
			return
		}
		for _, r := range next {
			if r.move() {
				moving = append(moving, r)
			}
		}
		if len(next) > 0 { // not all of them may have had to move
			continue
		}
		select {
		case <-m.changed:
		case <-time.After(moverPatience):
		case <-m.s.ctx.Done():
			return
		}
	}
}

// take returns who goes next while others are moving. done: nobody waits or moves, and the mover ends.
func (m *mover) take(moving int) (next []*room, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if moving == 0 && len(m.waiting) == 0 {
		m.running = false
		return nil, true
	}
	n := min(max(m.limit-moving, 0), len(m.waiting))
	next, m.waiting = m.waiting[:n:n], m.waiting[n:]
	return next, false
}

// move has the room handed over if it still belongs to another node.
func (r *room) move() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	to := r.s.o.Cluster.Owner(r.id)
	if !r.owns || r.dead || to == "" || to == r.s.o.Cluster.Self() {
		return false
	}
	r.moveTo = to
	r.stir()
	r.nudge()
	return true
}

// moving reports whether the room is on its way to another node.
func (r *room) moving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owns && !r.dead && r.moveTo != ""
}
