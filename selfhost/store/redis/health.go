package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// health is whether Redis answers.
type health struct {
	away atomic.Bool
	lost chan struct{} // away has become true
}

// heard notes whether a command was answered.
func (s *Store) heard(ok bool) {
	if s.away.Swap(!ok) == !ok || s.ctx.Err() != nil {
		return
	}
	if ok {
		s.opts.Log.Info("Redis answers again")
		return
	}
	s.opts.Log.Warn("Redis does not answer: what has to be kept waits")
	select {
	case s.lost <- struct{}{}:
	default:
	}
}

// probe asks a Redis that is away, until somebody finds it back.
func (s *Store) probe() {
	key := redis.Key(s.opts.Prefix, "meta", "")
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.lost:
		}
		for wait := backOff(0); s.away.Load() && s.pause(wait); wait = backOff(wait) {
			cmd := redis.NewCommand(s.ctx, "hdel", key, "") // a write that changes nothing
			_ = s.client.Process(s.ctx, cmd)
			if o := judge(cmd.Err()); o != later && o != unsure {
				s.heard(true)
			}
		}
	}
}

// pause waits, and reports false when the store ends.
func (s *Store) pause(d time.Duration) bool {
	if d <= 0 {
		return s.ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// ask does what may be repeated, until Redis answers, ctx ends or Options.ReadTime has passed.
func (s *Store) ask(ctx context.Context, f func(ctx context.Context) error) error {
	deadline := time.Now().Add(s.opts.ReadTime)
	for wait := time.Duration(0); ; wait = backOff(wait) {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := f(ctx)
		o := judge(err)
		if o != later && o != unsure {
			s.heard(true)
			return readable(err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.heard(false)
		if time.Now().Add(wait).After(deadline) || !s.pause(wait) {
			if gone := s.halted(); gone != nil && !errors.Is(gone, store.ErrClosed) {
				return gone
			}
			return fmt.Errorf("redis does not answer: %w", err)
		}
	}
}
