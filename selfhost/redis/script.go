package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	goredis "github.com/redis/go-redis/v9"
)

// A Script is a Lua script that Redis runs atomically, named to it by its hash. It touches the
// keys that it is given and no others, all of one hash tag.
type Script struct{ source, hash string }

// NewScript returns a script.
func NewScript(source string) *Script {
	h := sha1.Sum([]byte(source)) // what EVALSHA wants; nothing rests on its strength
	return &Script{source: source, hash: hex.EncodeToString(h[:])}
}

// A Command is a command that the client library never repeats on its own.
type Command struct{ *goredis.Cmd }

// NoRetry implements [goredis.Cmder].
func (Command) NoRetry() bool { return true }

// NewCommand returns a command that is sent at most once, also in a Redis Cluster.
func NewCommand(ctx context.Context, args ...any) Command {
	return Command{goredis.NewCmd(ctx, args...)}
}

// Command returns the command that runs the script, for a pipeline. If Redis may not know the
// script it has to be sent with its source: see [NoScript].
func (s *Script) Command(ctx context.Context, source bool, keys []string, args ...any) Command {
	all := make([]any, 0, 3+len(keys)+len(args))
	if source {
		all = append(all, "eval", s.source, len(keys))
	} else {
		all = append(all, "evalsha", s.hash, len(keys))
	}
	for _, k := range keys {
		all = append(all, k)
	}
	return NewCommand(ctx, append(all, args...)...)
}

// Run runs the script once. An error of the network leaves open whether it has run.
func (s *Script) Run(ctx context.Context, c goredis.UniversalClient, keys []string, args ...any) (any, error) {
	cmd := s.Command(ctx, false, keys, args...)
	_ = c.Process(ctx, cmd)
	if NoScript(cmd.Err()) {
		cmd = s.Command(ctx, true, keys, args...)
		_ = c.Process(ctx, cmd)
	}
	return cmd.Result()
}

// NoScript reports whether err is the answer of a Redis that does not know the script; nothing has
// run then.
func NoScript(err error) bool { return err != nil && goredis.HasErrorPrefix(err, "NOSCRIPT") }
