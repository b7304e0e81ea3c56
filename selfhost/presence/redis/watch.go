package redis

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// A follower is what keeps watched users new: which of them to read again, and why.
type follower struct {
	wake   chan struct{} // room for one
	broken atomic.Bool   // the connection of the pushes was made anew: writes may be lost as well

	mu    sync.Mutex          // guards what follows
	again map[string]struct{} // to be read
	all   bool                // all are to be read
	moved map[string]struct{} // of whom the first watcher came, or the last went
}

func (f *follower) init() {
	f.wake = make(chan struct{}, 1)
	f.again, f.moved = make(map[string]struct{}), make(map[string]struct{})
}

// recheck has a user read again.
func (f *follower) recheck(user string) {
	f.mu.Lock()
	f.again[user] = struct{}{}
	f.mu.Unlock()
	wake(f.wake)
}

func (f *follower) recheckAll() {
	f.mu.Lock()
	f.all = true
	f.mu.Unlock()
	wake(f.wake)
}

// move notes that watching a user has begun or ended.
func (f *follower) move(user string) {
	f.mu.Lock()
	f.moved[user] = struct{}{}
	f.mu.Unlock()
	wake(f.wake)
}

// Watch implements [presence.Registry]. While Redis is away the states stay as they were.
func (r *Registry) Watch(changed func()) *presence.Watch {
	ask := func(user string) {
		r.follow.move(user)
		r.follow.recheck(user)
	}
	return r.watchers.Watch(changed, ask, r.follow.move)
}

// watch is the one goroutine that reads watched users.
func (r *Registry) watch() {
	sub := r.o.Redis.Subscribe(r.stopped, r.keys.beat()) // so that a new connection is noticed with nobody watched
	pushes := sub.ChannelWithSubscriptions()
	defer func() {
		_ = sub.Close()
		for range pushes { // lets its sender go
		}
	}()
	ticker := time.NewTicker(r.o.poll)
	defer ticker.Stop()
	followed := make(map[string]string) // users by channel
	because := make(map[string]string)  // by online user: the node that said so
	connected := false
	var view *member.View
	for {
		var changed <-chan struct{}
		if view != nil {
			changed = view.Superseded()
		}
		select {
		case <-changed:
			view = r.look(view, because)
		case push := <-pushes:
			switch m := push.(type) {
			case *goredis.Message:
				if user, ok := followed[m.Channel]; ok {
					r.follow.recheck(user)
				}
			case *goredis.Subscription:
				if m.Channel == r.keys.beat() && connected {
					r.follow.broken.Store(true)
					wake(r.wakeWriter)
					r.follow.recheckAll()
				}
				connected = true
				if user, ok := followed[m.Channel]; ok { // what changed before it began was not pushed
					r.follow.recheck(user)
				}
			}
		case <-ticker.C:
			r.follow.recheckAll()
		case <-r.follow.wake:
			r.subscribe(sub, followed, because)
			view = r.look(view, because) // before users are read with this view or a newer one
			if d := r.desk(); d != nil && r.readWatched(d, because) {
				continue
			}
			if !r.sleep(retry) {
				return
			}
			wake(r.follow.wake)
		case <-r.stopped.Done():
			return
		}
	}
}

// look returns the newest view. If it is another than old, those are read again who were online because of a node
// that is not in it.
func (r *Registry) look(old *member.View, because map[string]string) *member.View {
	d := r.desk()
	if d == nil {
		return nil
	}
	view := d.m.View()
	if view != old {
		for user, node := range because {
			if _, ok := view.Member(node); !ok {
				r.follow.recheck(user)
			}
		}
	}
	return view
}

// subscribe follows those who are watched, and those only.
func (r *Registry) subscribe(sub *goredis.PubSub, followed, because map[string]string) {
	r.follow.mu.Lock()
	moved := slices.Collect(maps.Keys(r.follow.moved))
	clear(r.follow.moved)
	r.follow.mu.Unlock()
	var come, gone []string
	for _, user := range moved {
		channel := r.keys.channel(user)
		_, is := followed[channel]
		switch want := r.watchers.Watched(user); {
		case want && !is:
			followed[channel] = user
			come = append(come, channel)
		case !want && is:
			delete(followed, channel)
			delete(because, user)
			gone = append(gone, channel)
		}
	}
	// An error breaks the connection; the next one begins with all channels.
	for c := range slices.Chunk(come, batch) {
		_ = sub.Subscribe(r.stopped, c...)
	}
	for c := range slices.Chunk(gone, batch) {
		_ = sub.Unsubscribe(r.stopped, c...)
	}
}

// readWatched reads those who are to be read again. It is false if that has to be done once more.
func (r *Registry) readWatched(d *desk, because map[string]string) bool {
	r.follow.mu.Lock()
	users := slices.Collect(maps.Keys(r.follow.again))
	clear(r.follow.again)
	all := r.follow.all
	r.follow.all = false
	r.follow.mu.Unlock()
	if all {
		users = r.watchers.Users()
	}
	for c := range slices.Chunk(users, batch) {
		if err := r.readStatus(d, c, because); err != nil {
			r.follow.mu.Lock()
			for _, user := range users {
				r.follow.again[user] = struct{}{}
			}
			r.follow.mu.Unlock()
			return false
		}
	}
	return true
}

// readStatus reads whether users are online and tells those who watch them.
func (r *Registry) readStatus(d *desk, users []string, because map[string]string) error {
	p := r.o.Redis.Pipeline()
	cmds := make([]*goredis.StringSliceCmd, len(users))
	for i, user := range users {
		cmds[i] = p.HKeys(r.stopped, r.keys.user(user))
	}
	if err := r.exec(p); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.stopped, patience)
	defer cancel()
	for i, user := range users {
		delete(because, user)
		if !r.watchers.Watched(user) { // not any more
			continue
		}
		online := r.local.Online(user)
		for _, node := range cmds[i].Val() {
			if online {
				break
			}
			if node == d.id {
				continue
			}
			alive, err := r.alive(ctx, d, node)
			if err != nil {
				return err
			}
			if online = alive; online {
				because[user] = node
			}
		}
		r.watchers.Set(user, online)
	}
	return nil
}
