package scheduler

import (
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// watching is what a room watches: the effects of its durable turns since its last start, carried out at
// the registry. The room's own list is its own affair; a start asks again.
type watching struct {
	// Of the delivery goroutine, and of the turn goroutine while nothing is delivered. The turn goroutine
	// takes from now at any time.
	now atomic.Pointer[presence.Watch]
	// old is what was watched before the start that is being delivered. It ends after its effects, so that
	// whoever is watched again has not been forgotten in between.
	old *presence.Watch
}

// watchAnew begins with nobody watched, as a start does. It is called before the effects of its turn.
func (r *room) watchAnew() { r.watched.old = r.watched.now.Swap(nil) }

// watchedAnew ends what was watched before the start.
func (r *room) watchedAnew() {
	if r.watched.old != nil {
		r.watched.old.Close()
		r.watched.old = nil
	}
}

// watch carries out one effect.
func (r *room) watch(e *abi.WatchEffect) {
	w := r.watched.now.Load()
	if !e.On {
		if w != nil {
			w.Remove(e.User)
		}
		return
	}
	if w == nil {
		w = r.s.o.Presence.Watch(r.presenceChanged)
		r.watched.now.Store(w)
	}
	if w.Add(e.User) != nil { // the host has bounded them
		r.s.o.Log.Error("a room watches more users than it may", "room", r.id.String())
	}
}

// tellAgain makes everybody who is watched somebody to be told of. It runs on the delivery goroutine.
func (r *room) tellAgain() {
	old := r.watched.now.Swap(nil)
	if old == nil {
		return
	}
	for _, user := range old.Users() {
		r.watch(&abi.WatchEffect{User: user, On: true})
	}
	old.Close()
}

// unwatch ends it all. Nothing of the room is delivered any more.
func (r *room) unwatch() {
	r.watchedAnew()
	if w := r.watched.now.Swap(nil); w != nil {
		w.Close()
	}
}

// presenceChanged puts one event into the mailbox, however many users have changed: who they are is looked up
// when the room takes it.
func (r *room) presenceChanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead || r.closing || r.presenceWaits || r.s.o.Cluster != nil && !r.owns {
		return
	}
	r.presenceWaits = true
	e := &abi.PresenceEvent{}
	r.mailbox = append(r.mailbox, e)
	r.bytes += eventBytes(e)
	r.start()
}

// dueChanges fills in what a presence event says, and leaves it out if there is nothing any more.
func (r *room) dueChanges(events []abi.Event) []abi.Event {
	out := events[:0:0]
	for _, e := range events {
		p, ok := e.(*abi.PresenceEvent)
		if !ok {
			out = append(out, e)
			continue
		}
		r.mu.Lock()
		r.presenceWaits = false
		r.mu.Unlock()
		if w := r.watched.now.Load(); w != nil {
			for _, s := range w.Take() {
				p.Users = append(p.Users, abi.UserPresence{User: s.User, Online: s.Online})
			}
		}
		if len(p.Users) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// presenceLost comes after a presence event that did not happen: the room is told anew after a while, longer each time
// if it goes on failing, because a room that fails on it is asked for it by its start again.
func (r *room) presenceLost(wait time.Duration) {
	r.presenceFails++
	wait = max(wait, min(time.Second<<min(r.presenceFails-1, 6), time.Minute))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.presenceWaits = true // nothing else asks for it meanwhile
	time.AfterFunc(wait, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.presenceWaits, r.retell = false, true
		r.stir()
	})
}

// revive starts a room that watches somebody and has connections, if nothing is watched for it: an earlier owner had it, or
// the commit of its start has failed. Only a room that has started says whom it watches. It runs on the turn goroutine.
func (r *room) revive() {
	r.revives = false
	if !r.watchful || r.model == nil || r.model.Started() || r.table.Len() == 0 || r.watched.now.Load() != nil {
		return
	}
	if r.s.o.Cluster != nil && !r.s.o.Cluster.Certain() {
		r.putBack(nil)
		return
	}
	result := r.model.Start(r.s.ctx, r.s.o.Store.Away())
	if r.model.Started() {
		r.s.stats.awake.Add(1)
	}
	r.mu.Lock()
	r.active = r.s.o.Now()
	r.mu.Unlock()
	r.took(result)
}

// keepWatchful makes a turn's commit say whether the room watches anybody, if that has changed.
func (r *room) keepWatchful(x *extra) {
	if watchful := r.model.Watches() > 0; watchful != r.watchful && r.model.Started() && !r.s.o.Store.Away() {
		r.watchful = watchful
		x.kept = r.beside()
	}
}
