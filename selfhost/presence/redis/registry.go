package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

var _ presence.Registry = (*Registry)(nil)

// A Registry is the presence of a fleet, seen from one node. Its methods may be called concurrently.
type Registry struct {
	o     Options
	keys  keys
	local presence.Local // what is true of this node

	mu   sync.Mutex          // guards what follows; local may be asked while it is held, never the other way round
	at   *desk               // nil before the first Attach
	dead map[string]struct{} // identities that were found dead, for ever

	watchers presence.Watchers
	follow   follower

	wakeWriter, wakeReaper chan struct{} // room for one
	stop                   context.CancelFunc
	stopped                context.Context
	work                   sync.WaitGroup
}

// New returns a registry that is not attached yet. It has to be closed.
func New(o Options) (*Registry, error) {
	if o.Redis == nil {
		return nil, errors.New("presence: Redis is required")
	}
	o = o.withDefaults()
	r := &Registry{
		o: o, keys: keys{o.Prefix}, dead: make(map[string]struct{}),
		wakeWriter: make(chan struct{}, 1), wakeReaper: make(chan struct{}, 1),
	}
	r.local.Grace, r.local.Changed = o.Grace, r.changed
	r.follow.init()
	r.stopped, r.stop = context.WithCancel(context.Background())
	r.work.Go(r.write)
	r.work.Go(r.reap)
	r.work.Go(r.watch)
	return r, nil
}

// Attach writes all that is known under the identity of m, and reads with its view of the fleet, until m is lost
// or another Attach. A membership that was lost before should have left (member.Membership.Leave), or what it wrote
// counts twice until its lease ends.
func (r *Registry) Attach(m *member.Membership) {
	d := newDesk(m)
	r.mu.Lock()
	users, rooms := r.local.Everybody()
	for _, user := range users {
		d.users.dirty[user] = struct{}{}
	}
	for _, p := range rooms {
		for user := range r.local.Occupants(p) {
			d.seats.dirty[seat{p, user}] = struct{}{}
		}
	}
	r.at = d
	r.mu.Unlock()
	wake(r.wakeWriter)
	wake(r.wakeReaper)
	r.follow.recheckAll()
}

// Close ends the work in the background; what was changed in the last milliseconds may not have been written.
func (r *Registry) Close() {
	r.stop()
	r.local.Close()
	r.work.Wait()
}

// Flush returns when everything that has changed before is written, or ctx ends.
func (r *Registry) Flush(ctx context.Context) error {
	for {
		d := r.desk()
		if d == nil {
			return away(errDetached)
		}
		r.mu.Lock()
		idle := d.idle
		clean := len(d.users.dirty) == 0 && len(d.seats.dirty) == 0 && !d.busy
		r.mu.Unlock()
		if clean {
			return nil
		}
		wake(r.wakeWriter)
		select {
		case <-idle:
		case <-d.m.Lost():
		case <-ctx.Done():
			return ctx.Err()
		case <-r.stopped.Done():
			return away(r.stopped.Err())
		}
	}
}

// Join implements [presence.Registry].
func (r *Registry) Join(c presence.Connection) { r.local.Join(c) }

// Leave implements [presence.Registry].
func (r *Registry) Leave(c presence.Connection) { r.local.Leave(c) }

// Local returns the connections of this node alone.
func (r *Registry) Local() *presence.Local { return &r.local }

// changed hears from local.
func (r *Registry) changed(user string, p presence.Place) {
	if r.watchers.Watched(user) {
		r.follow.recheck(user)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.at
	if d == nil {
		return
	}
	// What is true is asked with mu held: of two changes of one user, whoever comes last sees both.
	d.users.mark(user, r.local.Online(user))
	if p != (presence.Place{}) {
		n, _ := r.local.Count(p, user)
		d.seats.mark(seat{p, user}, n > 0)
	}
	wake(r.wakeWriter)
}

// desk returns where the node writes and reads, nil if it is not a member now.
func (r *Registry) desk() *desk {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil || r.at.m.Cause() != nil {
		return nil
	}
	return r.at
}

// alive reports whether a node lives. False is for ever.
func (r *Registry) alive(ctx context.Context, d *desk, node string) (bool, error) {
	if _, ok := d.m.View().Member(node); ok {
		return true, nil
	}
	r.mu.Lock()
	_, dead := r.dead[node]
	r.mu.Unlock()
	if dead {
		return false, nil
	}
	alive, err := d.m.Alive(ctx, node)
	if err == nil && !alive {
		r.mu.Lock()
		if len(r.dead) >= 10_000 {
			clear(r.dead) // it is a shortcut only
		}
		r.dead[node] = struct{}{}
		r.mu.Unlock()
	}
	return alive, err
}

// A seat is a user in a room.
type seat struct {
	place presence.Place
	user  string
}

// A book knows which entries have to be written, and which may be at Redis.
type book[K comparable] struct {
	dirty   map[K]struct{}
	written map[K]struct{}
}

// mark notes that an entry has changed. What is neither true nor was ever written is forgotten, so a book holds no more
// than there is, and was when Redis last answered.
func (b book[K]) mark(k K, present bool) {
	if _, written := b.written[k]; present || written {
		b.dirty[k] = struct{}{}
	} else {
		delete(b.dirty, k)
	}
}

// take moves at most n entries out of the dirty ones. Whatever happens now, they may be at Redis.
func (b book[K]) take(n int) []K {
	keys := make([]K, 0, min(n, len(b.dirty)))
	for k := range b.dirty {
		if len(keys) == n {
			break
		}
		keys = append(keys, k)
		b.written[k] = struct{}{}
		delete(b.dirty, k)
	}
	return keys
}

// A desk is what a node has written under one identity.
type desk struct {
	m  *member.Membership
	id string

	// Guarded by Registry.mu.
	users book[string]
	seats book[seat]
	busy  bool          // a batch is on its way
	idle  chan struct{} // closed and replaced when nothing is dirty and nothing is on its way

	// Used by the writer alone.
	indexed map[string]struct{} // names in the index
	retired []retired           // in the order of their times
	audit   time.Time           // when to compare all that is written
	again   bool                // and once more after that
	shown   map[string]struct{} // users of whom the others were told that they are here
}

type retired struct {
	name string
	at   time.Time
}

func newDesk(m *member.Membership) *desk {
	return &desk{
		m: m, id: m.Self().ID, idle: make(chan struct{}),
		users:   book[string]{make(map[string]struct{}), make(map[string]struct{})},
		seats:   book[seat]{make(map[seat]struct{}), make(map[seat]struct{})},
		indexed: make(map[string]struct{}), shown: make(map[string]struct{}),
	}
}

// exec runs a pipeline. An answer of nil is no error.
func (r *Registry) exec(p goredis.Pipeliner) error {
	if p.Len() == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.stopped, patience)
	defer cancel()
	cmds, err := p.Exec(ctx)
	if err == nil {
		return nil
	}
	for _, c := range cmds {
		if err := c.Err(); err != nil && !errors.Is(err, goredis.Nil) {
			return err
		}
	}
	if errors.Is(err, goredis.Nil) {
		return nil
	}
	return err
}

// wake lets a goroutine look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
