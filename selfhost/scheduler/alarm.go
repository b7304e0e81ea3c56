package scheduler

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// horizon is how far ahead alarms are kept in memory; the store's time index has the rest.
const horizon = 10 * time.Minute

// An alarmClock wakes rooms whose alarms are due, whether or not the room is here.
type alarmClock struct {
	s *Scheduler

	mu      sync.Mutex // guards the fields below
	due     alarmHeap
	byRoom  map[store.RoomID]*alarmEntry
	timer   *time.Timer
	refills *time.Timer
	stopped bool
}

type alarmEntry struct {
	id  store.RoomID
	due uint64 // milliseconds since 1970
	at  int
}

func newAlarmClock(s *Scheduler) *alarmClock {
	return &alarmClock{s: s, byRoom: make(map[store.RoomID]*alarmEntry)}
}

// refill reads what is due before the horizon, and comes back before it is reached.
func (a *alarmClock) refill(ctx context.Context) error {
	index, ok := a.s.o.Store.(store.Index)
	if !ok {
		return nil
	}
	defer a.refillLater() // also after an error
	until := uint64(a.s.o.Now().Add(horizon).UnixMilli())
	for d, err := range index.Alarms(ctx, until) {
		if err != nil {
			return err
		}
		a.mu.Lock()
		if a.byRoom[d.Room] == nil { // what is here is newer
			a.put(&alarmEntry{id: d.Room, due: d.Due})
		}
		a.mu.Unlock()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arm()
	return nil
}

func (a *alarmClock) refillLater() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return
	}
	a.refills = time.AfterFunc(horizon/2, func() {
		if err := a.refill(a.s.ctx); err != nil && a.s.ctx.Err() == nil {
			a.s.o.Log.Error("alarms not read", "err", err)
		}
	})
}

// set keeps a room's alarm; due 0 takes it out.
func (a *alarmClock) set(id store.RoomID, due uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byRoom[id]; e != nil {
		heap.Remove(&a.due, e.at)
		delete(a.byRoom, id)
	}
	if due != 0 && due <= uint64(a.s.o.Now().Add(horizon).UnixMilli()) {
		a.put(&alarmEntry{id: id, due: due})
	}
	a.arm()
}

func (a *alarmClock) put(e *alarmEntry) {
	a.byRoom[e.id] = e
	heap.Push(&a.due, e)
}

// arm sets the timer to the next alarm. mu is held.
func (a *alarmClock) arm() {
	if a.stopped || len(a.due) == 0 {
		return
	}
	d := time.UnixMilli(int64(a.due[0].due)).Sub(a.s.o.Now())
	d = max(d, 0)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

// ring wakes every room whose alarm is due.
func (a *alarmClock) ring() {
	a.mu.Lock()
	now := uint64(a.s.o.Now().UnixMilli())
	var due []*alarmEntry
	for !a.stopped && len(a.due) > 0 && a.due[0].due <= now {
		e := heap.Pop(&a.due).(*alarmEntry)
		delete(a.byRoom, e.id)
		due = append(due, e)
	}
	a.arm()
	a.mu.Unlock()
	for _, e := range due {
		a.wake(e.id)
	}
}

// wake has a room look at its alarm. Which time was asked for, only the room's own state says: the
// turn goroutine fills it in. An alarm that is not delivered stays in the store's index.
func (a *alarmClock) wake(id store.RoomID) {
	if err := a.s.post(id, posting{event: &abi.AlarmEvent{}, force: true}); err != nil {
		a.s.o.Log.Warn("alarm not delivered now", "room", id.String(), "err", err)
	}
}

func (a *alarmClock) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	for _, t := range []*time.Timer{a.timer, a.refills} {
		if t != nil {
			t.Stop()
		}
	}
}

// alarmHeap orders entries by their time.
type alarmHeap []*alarmEntry

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h alarmHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].at, h[j].at = i, j }

// Push implements heap.Interface.
func (h *alarmHeap) Push(x any) {
	e := x.(*alarmEntry)
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *alarmHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return e
}
