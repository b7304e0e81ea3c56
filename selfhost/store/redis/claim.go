package redis

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Claim implements [store.Shared]. It asks all shards of the time index how much is due, and takes
// no more than it returns.
func (s *Store) Claim(ctx context.Context, limit int) ([]store.RoomID, error) {
	ids, err := s.claim(ctx, limit)
	if err != nil {
		return nil, &store.Error{Op: "claim", Err: err}
	}
	return ids, nil
}

func (s *Store) claim(ctx context.Context, limit int) (ids []store.RoomID, err error) {
	if limit < 1 || limit > store.MaxClaim {
		return nil, fmt.Errorf("%w: %d rooms", store.ErrInvalid, limit)
	}
	if err := s.halted(); err != nil {
		return nil, err
	}
	due := make([]int64, shards)
	err = s.eachShard(ctx, dueScript, func(int) []any { return []any{} }, func(shard int, reply any) error {
		n, ok := reply.(int64)
		if !ok {
			return corrupt("count")
		}
		due[shard] = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	quota := share(due, limit)
	// What is taken is put off, also if the answer is lost: it comes again after the claim time.
	err = s.eachShard(ctx, takeScript, func(shard int) []any {
		if quota[shard] == 0 {
			return nil
		}
		return []any{quota[shard], millis(s.opts.ClaimTime)}
	}, func(_ int, reply any) error {
		found, err := parseRooms(reply)
		ids = append(ids, found...)
		return err
	})
	if len(ids) > 0 {
		return ids, nil // an error of other shards comes up again next time
	}
	return nil, err
}

// share splits limit over the shards, from any of them on, so that none waits for ever for others.
func share(due []int64, limit int) []int {
	quota := make([]int, len(due))
	first := rand.IntN(len(due))
	for given := true; given && limit > 0; {
		given = false
		for i := range due {
			i = (i + first) % len(due)
			if int64(quota[i]) < due[i] && limit > 0 {
				quota[i]++
				limit--
				given = true
			}
		}
	}
	return quota
}

// eachShard runs a script on the shards for which args is not nil, in one pipeline. A shard that
// has answered is not asked again.
func (s *Store) eachShard(ctx context.Context, script *redis.Script, args func(shard int) []any, take func(shard int, reply any) error) error {
	var answered [shards]bool
	source := false
	return s.ask(ctx, func(ctx context.Context) error {
		for {
			pipe := s.client.Pipeline()
			var cmds [shards]*redis.Command
			for i := range cmds {
				if a := args(i); a != nil && !answered[i] {
					cmd := script.Command(ctx, source, wakeKeys(s.opts.Prefix, i)[:1], a...)
					cmds[i] = &cmd
					_ = pipe.Process(ctx, cmd)
				}
			}
			if pipe.Len() == 0 {
				return nil
			}
			_, _ = pipe.Exec(ctx)
			var first error
			again := false
			for i, cmd := range cmds {
				if cmd == nil {
					continue
				}
				reply, err := cmd.Result()
				if err == nil {
					answered[i] = true
					err = take(i, reply)
				}
				if again = again || redis.NoScript(err); first == nil {
					first = err
				}
			}
			if !again || source {
				return first
			}
			source = true
		}
	})
}
