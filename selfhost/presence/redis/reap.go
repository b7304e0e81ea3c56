package redis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

const (
	// reapEvery is how often a node looks for dead ones without a reason.
	reapEvery = time.Minute
	// reapTime is how long one node has for one batch of cleaning before another may begin too.
	reapTime = 30 * time.Second
)

// reap cleans up after dead nodes. Nobody waits for it: readers do not count the dead.
func (r *Registry) reap() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var view *member.View
	for {
		var changed <-chan struct{}
		if view != nil {
			changed = view.Superseded()
		}
		select {
		case <-changed:
		case <-r.wakeReaper:
		case <-timer.C:
		case <-r.stopped.Done():
			return
		}
		timer.Reset(reapEvery)
		d := r.desk()
		if d == nil {
			view = nil
			continue
		}
		view = d.m.View()
		// Not all nodes at once: the first leaves the others nothing to do.
		if !r.sleep(rand.N(time.Duration(len(view.Members)) * 50 * time.Millisecond)) {
			return
		}
		if err := r.bury(d); err != nil && r.stopped.Err() == nil {
			r.o.Log.Warn("cleaning up after dead nodes fails", "err", err)
		}
	}
}

// bury cleans up after all dead nodes that have written anything.
func (r *Registry) bury(d *desk) error {
	ctx, cancel := context.WithTimeout(r.stopped, patience)
	nodes, err := r.o.Redis.SMembers(ctx, r.keys.nodes()).Result()
	cancel()
	if err != nil {
		return err
	}
	for _, node := range nodes {
		ctx, cancel := context.WithTimeout(r.stopped, patience)
		alive, err := r.alive(ctx, d, node)
		cancel()
		if err == nil && !alive {
			err = r.clean(node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clean removes what a dead node has written. Two who do it at the same time do no harm.
func (r *Registry) clean(node string) error {
	if mine, err := r.claim(node); !mine || err != nil {
		return err
	}
	err := r.scan(node, func(names []string) error {
		p := r.o.Redis.Pipeline()
		for _, name := range names {
			user, place, ok := parseName(name)
			switch {
			case !ok:
			case user != "":
				p.HDel(r.stopped, r.keys.user(user), node)
			default:
				p.Del(r.stopped, r.keys.seats(place, node))
				p.SRem(r.stopped, r.keys.room(place), node)
			}
		}
		p.Expire(r.stopped, r.keys.reaping(node), reapTime)
		return r.exec(p)
	})
	if err != nil {
		return err
	}
	p := r.o.Redis.Pipeline()
	p.Del(r.stopped, r.keys.index(node))
	if err := r.exec(p); err != nil {
		return err
	}
	p.SRem(r.stopped, r.keys.nodes(), node)
	p.Del(r.stopped, r.keys.reaping(node))
	return r.exec(p)
}

// claim reports whether nobody else cleans up after a node now.
func (r *Registry) claim(node string) (bool, error) {
	ctx, cancel := context.WithTimeout(r.stopped, patience)
	defer cancel()
	return r.o.Redis.SetNX(ctx, r.keys.reaping(node), "1", reapTime).Result()
}
