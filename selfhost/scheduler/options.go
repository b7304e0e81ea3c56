package scheduler

import (
	"errors"
	"log/slog"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Guest is the memory of one room, as the runtime gives it.
type Guest interface {
	host.Guest
	// Throttle says how long the room's next turn has to wait because its earlier ones took
	// more than their share of a core; 0 for not at all.
	Throttle(now time.Time) time.Duration
	// Close gives everything back. The guest is not used afterwards.
	Close()
}

// Modules knows the kinds and makes guests of them.
type Modules interface {
	// Kind returns the options of a kind, with defaults.
	Kind(name string) (abi.KindOptions, bool)
	// Guest returns a guest for one room of a kind, of the newest version of its module.
	Guest(kind, room string) (Guest, error)
}

// Options say what a scheduler stands on. Modules and Store are needed.
type Options struct {
	Modules Modules
	Store   store.Store
	// Presence, if not nil, is told of connections that came and went.
	Presence presence.Registry
	// Cluster, if not nil, are the other nodes that run rooms of the same store, which is then a
	// [store.Shared] one.
	Cluster Cluster
	// Log takes what went wrong in rooms. Default: slog.Default().
	Log *slog.Logger
	// MailboxEvents and MailboxBytes bound what waits for one room. Defaults 1,024 and 4 MiB.
	MailboxEvents, MailboxBytes int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Presence == nil {
		o.Presence = &presence.Local{}
	}
	if o.MailboxEvents == 0 {
		o.MailboxEvents = 1024
	}
	if o.MailboxBytes == 0 {
		o.MailboxBytes = 4 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

var (
	// ErrClosed means that the scheduler takes no more events.
	ErrClosed = errors.New("scheduler: closed")

	errDead = errors.New("scheduler: the room has been put away") // ask the scheduler for it again
)
