package redis

import (
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// write is the one goroutine that writes this node's entries.
func (r *Registry) write() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failing bool
	var last *desk
	for {
		var lost <-chan struct{}
		wait := time.Duration(-1)
		if last != nil {
			lost = last.m.Lost()
			wait = r.rest(last)
		}
		if wait >= 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-r.wakeWriter:
			if !r.sleep(r.o.gather) {
				return
			}
		case <-timer.C:
		case <-lost:
		case <-r.stopped.Done():
			return
		}
		d := r.desk()
		if last != d {
			if last = d; d != nil {
				d.audit = time.Now().Add(r.o.audit)
			}
		}
		if d == nil {
			continue
		}
		if err := r.settle(d); err != nil && r.stopped.Err() == nil {
			if !failing {
				r.o.Log.Warn("writing presence fails", "err", err)
			}
			failing = true
			d.audit, d.again = time.Now(), true
			if !r.sleep(retry) {
				return
			}
			wake(r.wakeWriter)
			continue
		}
		failing = false
	}
}

// rest returns how long nothing has to be done unless something changes.
func (r *Registry) rest(d *desk) time.Duration {
	next := d.audit
	if len(d.retired) > 0 && d.retired[0].at.Before(next) {
		next = d.retired[0].at
	}
	return max(0, time.Until(next))
}

// sleep waits; it is false if the registry was closed.
func (r *Registry) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.stopped.Done():
		return false
	}
}

// settle does all that is to be done now.
func (r *Registry) settle(d *desk) error {
	if r.follow.broken.Swap(false) {
		d.audit, d.again = time.Now(), true
	}
	if err := r.flush(d); err != nil {
		return err
	}
	if !time.Now().Before(d.audit) {
		if err := r.audit(d); err != nil {
			return err
		}
		d.audit = time.Now().Add(r.o.audit)
		if d.again {
			d.audit, d.again = time.Now().Add(min(settle, r.o.audit)), false
		}
		if err := r.flush(d); err != nil {
			return err
		}
	}
	return r.retire(d)
}

// flush writes what is dirty.
func (r *Registry) flush(d *desk) error {
	for d.m.Certain() {
		r.mu.Lock()
		users, seats := d.users.take(batch), d.seats.take(batch)
		if d.busy = len(users)+len(seats) > 0; !d.busy {
			close(d.idle)
			d.idle = make(chan struct{})
			r.mu.Unlock()
			return nil
		}
		r.mu.Unlock()
		if err := r.put(d, users, seats); err != nil {
			r.mu.Lock()
			for _, user := range users {
				d.users.dirty[user] = struct{}{}
			}
			for _, s := range seats {
				d.seats.dirty[s] = struct{}{}
			}
			r.mu.Unlock()
			return err
		}
	}
	return nil
}

// put writes what is true of users and seats: first who has to be cleaned up after, then the entries.
func (r *Registry) put(d *desk, users []string, seats []seat) error {
	entries := make(map[string]string, len(users)) // of those who are here
	counts := make(map[seat]int, len(seats))
	var fresh []any
	note := func(name string) {
		if _, ok := d.indexed[name]; !ok {
			fresh = append(fresh, name)
			d.indexed[name] = struct{}{} // twice in the set, if this fails, does no harm
		}
	}
	for _, user := range users {
		if online, all := r.local.Connections(user); online {
			entries[user] = encode(all)
			note(userName(user))
		}
	}
	for _, s := range seats {
		if n, _ := r.local.Count(s.place, s.user); n > 0 {
			counts[s] = n
			note(placeName(s.place))
		}
	}
	if len(fresh) > 0 {
		p := r.o.Redis.Pipeline()
		p.SAdd(r.stopped, r.keys.nodes(), d.id)
		p.SAdd(r.stopped, r.keys.index(d.id), fresh...)
		if err := r.exec(p); err != nil {
			for _, name := range fresh {
				delete(d.indexed, name.(string))
			}
			return err
		}
	}

	p := r.o.Redis.Pipeline()
	for _, user := range users {
		e, online := entries[user]
		_, shown := d.shown[user]
		if online {
			p.HSet(r.stopped, r.keys.user(user), d.id, e)
		} else {
			p.HDel(r.stopped, r.keys.user(user), d.id)
		}
		if online != shown {
			// In a Cluster it goes where the entry is, behind it; the library would take any node.
			p.Publish(r.stopped, r.keys.channel(user), "").SetFirstKeyPos(1)
		}
	}
	r.putSeats(p, d, seats, counts)
	if err := r.exec(p); err != nil {
		return err
	}

	var left []string
	r.mu.Lock()
	for _, user := range users {
		if _, online := entries[user]; online {
			d.shown[user] = struct{}{}
			continue
		}
		delete(d.shown, user)
		delete(d.users.written, user)
		left = append(left, userName(user))
	}
	for _, s := range seats {
		if counts[s] == 0 {
			delete(d.seats.written, s)
			left = append(left, placeName(s.place))
		}
	}
	r.mu.Unlock()
	now := time.Now()
	for _, name := range left {
		d.retired = append(d.retired, retired{name, now.Add(r.o.retire)})
	}
	return nil
}

// putSeats adds the seats to a pipeline. A room is said to have connections here before it gets the first, and not to
// have any more after it lost the last.
func (r *Registry) putSeats(p goredis.Pipeliner, d *desk, seats []seat, counts map[seat]int) {
	rooms := make(map[presence.Place]bool, len(seats)) // whether it got somebody
	for _, s := range seats {
		rooms[s.place] = rooms[s.place] || counts[s] > 0
	}
	for place, got := range rooms {
		if got {
			p.SAdd(r.stopped, r.keys.room(place), d.id)
		}
	}
	for _, s := range seats {
		if n := counts[s]; n > 0 {
			p.HSet(r.stopped, r.keys.seats(s.place, d.id), s.user, n)
		} else {
			p.HDel(r.stopped, r.keys.seats(s.place, d.id), s.user)
		}
	}
	for place, got := range rooms {
		if _, occupied := r.local.Count(place, ""); !got && !occupied {
			p.SRem(r.stopped, r.keys.room(place), d.id)
		}
	}
}

// retire takes names out of the index whose entries have been gone for a while: had Redis lost the
// removal of an entry, audit would have found it by its name.
func (r *Registry) retire(d *desk) error {
	var names []any
	now := time.Now()
	n := 0
	for ; n < len(d.retired) && !now.Before(d.retired[n].at); n++ {
		name := d.retired[n].name
		if _, ok := d.indexed[name]; ok && !r.needed(d, name) {
			names = append(names, name)
			delete(d.indexed, name)
		}
	}
	for len(names) > 0 {
		part := names[:min(batch, len(names))]
		p := r.o.Redis.Pipeline()
		p.SRem(r.stopped, r.keys.index(d.id), part...)
		if err := r.exec(p); err != nil {
			for _, name := range names {
				d.indexed[name.(string)] = struct{}{} // still there, and still retired
			}
			return err
		}
		names = names[len(part):]
	}
	d.retired = d.retired[n:]
	if len(d.retired) == 0 {
		d.retired = nil
	}
	return nil
}

// needed reports whether a name in the index has, or may have, an entry.
func (r *Registry) needed(d *desk, name string) bool {
	user, place, ok := parseName(name)
	if !ok {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if user != "" {
		_, written := d.users.written[user]
		return written || r.local.Online(user)
	}
	_, occupied := r.local.Count(place, "")
	return occupied || len(d.seats.dirty) > 0 // the last to leave may not have been written yet
}
