package presence

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// MaxWatched bounds the users of one [Watch].
const MaxWatched = 10_000

// A Status says of a watched user what has become of it.
type Status struct {
	User   string
	Online bool
}

// A Watch is a changing list of users, and what became of them since somebody last looked. It holds nothing
// but the newest state of each, so one that is looked at seldom costs no more. Its methods may be called
// concurrently.
type Watch struct {
	hub         *Watchers
	changed     func()
	ask, forget func(user string)

	// Guarded by hub.mu.
	told    map[string]told // every watched user
	pending map[string]struct{}
}

// told is what a watch was last told of a user.
type told uint8

const (
	toldNothing told = iota
	toldOnline
	toldOffline
)

// Add begins to watch users. Their state now is the first that [Watch.Take] says of them. If there would be more than
// [MaxWatched], none is added and the error is [ErrLimit].
func (w *Watch) Add(users ...string) error {
	h := w.hub
	h.mu.Lock()
	fresh := make(map[string]struct{}, len(users))
	for _, user := range users {
		if _, ok := w.told[user]; !ok && user != "" {
			fresh[user] = struct{}{}
		}
	}
	if len(w.told)+len(fresh) > MaxWatched {
		h.mu.Unlock()
		return ErrLimit
	}
	var unknown []string
	call := nothing
	for user := range fresh {
		s := h.users[user]
		if s == nil {
			s = &watched{by: make(map[*Watch]struct{}, 1)}
			if h.users == nil {
				h.users = make(map[string]*watched)
			}
			h.users[user] = s
		}
		s.by[w] = struct{}{}
		w.told[user] = toldNothing
		if s.known != toldNothing {
			call = w.expect(user, call)
		} else {
			unknown = append(unknown, user)
		}
	}
	h.mu.Unlock()
	call()
	for _, user := range unknown {
		w.ask(user)
	}
	return nil
}

// Remove ends watching users.
func (w *Watch) Remove(users ...string) {
	h := w.hub
	h.mu.Lock()
	var nobody []string
	for _, user := range users {
		if _, ok := w.told[user]; !ok {
			continue
		}
		delete(w.told, user)
		delete(w.pending, user)
		s := h.users[user]
		if delete(s.by, w); len(s.by) == 0 {
			delete(h.users, user)
			nobody = append(nobody, user)
		}
	}
	h.mu.Unlock()
	for _, user := range nobody {
		w.forget(user)
	}
}

// Close ends watching all.
func (w *Watch) Close() { w.Remove(w.Users()...) }

// Users returns who is watched, in the order of their names.
func (w *Watch) Users() []string {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return slices.Sorted(maps.Keys(w.told))
}

// Take returns the users whose state is another than it last said, in the order of their names. Who came and went
// in between is not among them.
func (w *Watch) Take() []Status {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	var changes []Status
	for user := range w.pending {
		if known := h.users[user].known; known != w.told[user] {
			w.told[user] = known
			changes = append(changes, Status{User: user, Online: known == toldOnline})
		}
	}
	clear(w.pending)
	slices.SortFunc(changes, func(a, b Status) int { return strings.Compare(a.User, b.User) })
	return changes
}

// expect notes that there is something to take, and adds to call what has to be called then. hub.mu is held.
func (w *Watch) expect(user string, call func()) func() {
	w.pending[user] = struct{}{}
	if len(w.pending) > 1 {
		return call
	}
	return func() { call(); w.changed() }
}

// Watchers are the watches of one registry. It is for those who write registries. The zero value is ready.
type Watchers struct {
	mu    sync.Mutex // guards what follows, and the maps of all watches
	users map[string]*watched
}

// watched is a user with watchers.
type watched struct {
	known told
	by    map[*Watch]struct{}
}

// Watch makes a watch. For a user of whom nothing is known, ask is called: somebody has to call Set. When
// nobody watches a user any more, forget is called; a new watcher may have come when it is. Both may be called
// concurrently, with nothing held.
func (h *Watchers) Watch(changed func(), ask, forget func(user string)) *Watch {
	return &Watch{hub: h, changed: changed, ask: ask, forget: forget, told: map[string]told{}, pending: map[string]struct{}{}}
}

// Watched reports whether somebody watches a user.
func (h *Watchers) Watched(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.users[user] != nil
}

// Users returns all who are watched, in no order.
func (h *Watchers) Users() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.users))
}

// Set says whether a user is online. One whom nobody watches is ignored.
func (h *Watchers) Set(user string, online bool) { h.set(user, online)() }

// set is Set, but for the calls that it makes: they are left to the caller.
func (h *Watchers) set(user string, online bool) (call func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	call = nothing
	s := h.users[user]
	if s == nil {
		return call
	}
	state := toldOffline
	if online {
		state = toldOnline
	}
	if s.known == state {
		return call
	}
	s.known = state
	for w := range s.by {
		call = w.expect(user, call)
	}
	return call
}

func nothing() {}
