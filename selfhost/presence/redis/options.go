package redis

import (
	"log/slog"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// DefaultGrace is how long a user stays online after the last connection has gone.
const DefaultGrace = presence.DefaultGrace

// Options configure a [Registry]. Redis is required.
type Options struct {
	// Redis must outlive the registry. It should obey contexts (ContextTimeoutEnabled).
	Redis goredis.UniversalClient
	// Prefix begins every key. Default [member.DefaultPrefix].
	Prefix string
	// Grace is how long a user stays online after the last connection has gone, so that one who
	// reconnects, here or at another node, is not seen to go and come. Counts are of
	// connections, without grace. Default [DefaultGrace]; negative: none.
	Grace time.Duration
	// Log gets what goes wrong in the background. Default: nothing is logged.
	Log *slog.Logger

	gather time.Duration // how long changes are put together before they are written
	poll   time.Duration // how often watched users are read without being told to
	audit  time.Duration // how often what was written is compared without a reason
	retire time.Duration // how long a name stays in the index after its entry is gone
}

func (o Options) withDefaults() Options {
	switch {
	case o.Grace == 0:
		o.Grace = DefaultGrace
	case o.Grace < 0:
		o.Grace = 0
	}
	if o.Prefix == "" {
		o.Prefix = member.DefaultPrefix
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	or(&o.gather, 20*time.Millisecond)
	or(&o.poll, 30*time.Second)
	or(&o.audit, 10*time.Minute)
	or(&o.retire, time.Minute)
	return o
}

func or(d *time.Duration, v time.Duration) {
	if *d == 0 {
		*d = v
	}
}

const (
	// batch bounds the names in one pipeline.
	batch = 500
	// patience bounds one pipeline.
	patience = 2 * time.Second
	// retry is how long to wait after Redis did not answer.
	retry = 200 * time.Millisecond
	// settle is when to compare once more after an error: a command of the broken connection
	// may still have waited somewhere.
	settle = 5 * time.Second
)
