package redis

import (
	"context"
	"strconv"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// audit compares what Redis has of this node with what is true, and marks what differs.
func (r *Registry) audit(d *desk) error {
	users, rooms := r.local.Everybody()
	names := make(map[string]struct{}, len(users)+len(rooms))
	for _, user := range users {
		names[userName(user)] = struct{}{}
	}
	for _, p := range rooms {
		names[placeName(p)] = struct{}{}
	}
	// What is in the index here and not at Redis was lost there; what is there and not here was
	// brought back by a fail-over.
	for name := range d.indexed {
		names[name] = struct{}{}
	}
	d.indexed = make(map[string]struct{}, len(names))
	err := r.scan(d.id, func(part []string) error {
		for _, name := range part {
			d.indexed[name], names[name] = struct{}{}, struct{}{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(names) > 0 {
		p := r.o.Redis.Pipeline()
		p.SAdd(r.stopped, r.keys.nodes(), d.id)
		if err := r.exec(p); err != nil {
			return err
		}
	}
	part := make([]string, 0, batch)
	for name := range names {
		if part = append(part, name); len(part) == batch {
			if err := r.compare(d, part); err != nil {
				return err
			}
			part = part[:0]
		}
	}
	return r.compare(d, part)
}

// compare is audit for some names.
func (r *Registry) compare(d *desk, names []string) error {
	type userCheck struct {
		user  string
		entry *goredis.StringCmd
	}
	type roomCheck struct {
		place presence.Place
		seats *goredis.MapStringStringCmd
		named *goredis.BoolCmd
	}
	var users []userCheck
	var rooms []roomCheck
	var known []string
	p := r.o.Redis.Pipeline()
	for _, name := range names {
		user, place, ok := parseName(name)
		switch {
		case !ok:
			continue
		case user != "":
			users = append(users, userCheck{user, p.HGet(r.stopped, r.keys.user(user), d.id)})
		default:
			rooms = append(rooms, roomCheck{place, p.HGetAll(r.stopped, r.keys.seats(place, d.id)), p.SIsMember(r.stopped, r.keys.room(place), d.id)})
		}
		known = append(known, name)
	}
	if err := r.exec(p); err != nil {
		return err
	}

	r.mu.Lock()
	for _, c := range users {
		online, all := r.local.Connections(c.user)
		is, want := c.entry.Val(), ""
		if online {
			want = encode(all)
		}
		if _, indexed := d.indexed[userName(c.user)]; is == want && (indexed || !online) {
			continue
		}
		d.users.written[c.user], d.users.dirty[c.user] = struct{}{}, struct{}{}
		if online { // the others have to hear of it
			delete(d.shown, c.user)
		} else {
			d.shown[c.user] = struct{}{}
		}
	}
	for _, c := range rooms {
		want := r.local.Occupants(c.place)
		for user, n := range c.seats.Val() {
			if n != strconv.Itoa(want[user]) {
				s := seat{c.place, user}
				d.seats.written[s], d.seats.dirty[s] = struct{}{}, struct{}{}
			}
		}
		_, indexed := d.indexed[placeName(c.place)]
		for user := range want {
			if _, ok := c.seats.Val()[user]; !ok || !c.named.Val() || !indexed {
				s := seat{c.place, user}
				d.seats.written[s], d.seats.dirty[s] = struct{}{}, struct{}{}
			}
		}
	}
	r.mu.Unlock()
	now := time.Now()
	for _, name := range known {
		if _, ok := d.indexed[name]; ok && !r.needed(d, name) {
			d.retired = append(d.retired, retired{name, now.Add(r.o.retire)})
		}
	}
	return nil
}

// scan calls f with the names in a node's index, some more than once.
func (r *Registry) scan(node string, f func([]string) error) error {
	var cursor uint64
	for {
		ctx, cancel := context.WithTimeout(r.stopped, patience)
		names, next, err := r.o.Redis.SScan(ctx, r.keys.index(node), cursor, "", batch).Result()
		cancel()
		if err != nil {
			return err
		}
		if err := f(names); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
