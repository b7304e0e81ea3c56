package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

var errDetached = errors.New("this node is not a member of the fleet now")

// away wraps a cause in [presence.ErrAway].
func away(cause error) error { return fmt.Errorf("%w: %w", presence.ErrAway, cause) }

// Of implements [presence.Registry].
func (r *Registry) Of(ctx context.Context, user string) (presence.User, error) {
	online, visits := r.local.Visits(user)
	hidden := 0
	err := r.others(ctx, user, func(_ string, e entry) {
		online = true
		visits = append(visits, e.visits()...)
		hidden += e.Hidden
	})
	if err != nil {
		return presence.User{}, &presence.Error{Op: "user", About: user, Err: err}
	}
	return presence.NewUser(user, online, visits, hidden), nil
}

// Devices implements [presence.Registry].
func (r *Registry) Devices(ctx context.Context, user string) (presence.Devices, error) {
	var all presence.Devices
	err := r.others(ctx, user, func(node string, e entry) {
		devices, more := e.devices(node, user)
		all.Devices = append(all.Devices, devices...)
		all.More = all.More || more
	})
	if err != nil {
		return presence.Devices{}, &presence.Error{Op: "devices", About: user, Err: err}
	}
	if d := r.desk(); d != nil {
		own, _ := r.local.Devices(ctx, user)
		for i := range own.Devices {
			own.Devices[i].Node = d.id
		}
		all.Devices, all.More = append(all.Devices, own.Devices...), all.More || own.More
	}
	slices.SortFunc(all.Devices, presence.Device.Compare)
	return all, nil
}

// others calls f with what each other living node says of a user.
func (r *Registry) others(ctx context.Context, user string, f func(node string, e entry)) error {
	d := r.desk()
	if d == nil {
		return away(errDetached)
	}
	fields, err := r.o.Redis.HGetAll(ctx, r.keys.user(user)).Result()
	if err != nil {
		return away(err)
	}
	for node, s := range fields {
		if node == d.id {
			continue
		}
		alive, err := r.alive(ctx, d, node)
		switch {
		case err != nil:
			return away(err)
		case !alive:
			_ = r.o.Redis.HDel(ctx, r.keys.user(user), node).Err() // also what nobody knows to clean up
			continue
		}
		e, err := decode(s)
		if err != nil {
			return fmt.Errorf("node %s: %w", node, err)
		}
		f(node, e)
	}
	return nil
}

// In implements [presence.Registry].
func (r *Registry) In(ctx context.Context, place presence.Place, limit int) (presence.Room, error) {
	users, err := r.occupants(ctx, place)
	if err != nil {
		return presence.Room{}, &presence.Error{Op: "room", About: placeName(place), Err: err}
	}
	return presence.NewRoom(place, users, limit), nil
}

func (r *Registry) occupants(ctx context.Context, place presence.Place) (map[string]int, error) {
	d := r.desk()
	if d == nil {
		return nil, away(errDetached)
	}
	nodes, err := r.o.Redis.SMembers(ctx, r.keys.room(place)).Result()
	if err != nil {
		return nil, away(err)
	}
	p := r.o.Redis.Pipeline()
	var seats []*goredis.MapStringStringCmd
	for _, node := range nodes {
		if node == d.id {
			continue
		}
		alive, err := r.alive(ctx, d, node)
		if err != nil {
			return nil, away(err)
		}
		if alive {
			seats = append(seats, p.HGetAll(ctx, r.keys.seats(place, node)))
		}
	}
	if len(seats) > 0 {
		if _, err := p.Exec(ctx); err != nil {
			return nil, away(err)
		}
	}
	users := r.local.Occupants(place)
	for _, cmd := range seats {
		for user, s := range cmd.Val() {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 || n > maxEntry {
				return nil, fmt.Errorf("%w: %.20q connections", presence.ErrFormat, s)
			}
			users[user] += n
		}
	}
	return users, nil
}
