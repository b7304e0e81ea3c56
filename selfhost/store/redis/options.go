package redis

import (
	"context"
	"log/slog"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Options tune a store. Node and Alive are required.
type Options struct {
	// Node is the identity of this node: 1 to 300 bytes of printable ASCII without spaces. It must
	// never be used again by another process, nor after [Store.Fence].
	Node string
	// Alive reports whether the lease of another node may still be valid. Once it has said no of a
	// node it must always do so: a room is then taken from it.
	Alive func(ctx context.Context, node string) (bool, error)
	// Prefix of all keys. Default [redis.DefaultPrefix].
	Prefix string
	// Cluster, if not empty, is the id that the record of the prefix must have.
	Cluster string
	// ClaimTime is how long a room that was claimed is kept from other nodes, and how long the
	// rows of an outbox wait before another node asks for them. Default 30 s, at least 1 ms.
	ClaimTime time.Duration
	// CacheBytes bounds the rows that all rooms together keep in memory. Default 64 MiB; negative
	// keeps none.
	CacheBytes int64
	// GroupBytes bounds the commits that are sent in one go; a single commit may be larger.
	// Default 2 MiB.
	GroupBytes int
	// PendingBytes bounds the commits of all rooms that wait for their answer; beyond it
	// a commit fails with [store.ErrBusy]. [store.Room.Busy] reports half of it. Default
	// 64 MiB.
	PendingBytes int
	// RoomPendingBytes is the same for each room. Default 32 MiB.
	RoomPendingBytes int
	// ReadTime is how long a read goes on asking while Redis does not answer. Default 3 s.
	ReadTime time.Duration
	// CloseTime bounds how long Close waits for Redis, after which what waits is answered with
	// [store.ErrStopped]. Default 5 s.
	CloseTime time.Duration
	// Log gets a line when Redis goes away and comes back. Default: none.
	Log *slog.Logger
	// Fault, if not nil, is asked before each commit is sent for the first time; the error that it
	// returns fails the commit for certain, and voids the room. For tests of what stands above the
	// store. It is called on a goroutine that sends the commits of many rooms.
	Fault func(id store.RoomID, number uint64) error
}

func (o Options) withDefaults() Options {
	size := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Prefix == "" {
		o.Prefix = redis.DefaultPrefix
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	size(&o.GroupBytes, 2<<20)
	size(&o.PendingBytes, 64<<20)
	size(&o.RoomPendingBytes, 32<<20)
	span(&o.ClaimTime, 30*time.Second)
	o.ClaimTime = max(o.ClaimTime, time.Millisecond)
	span(&o.ReadTime, 3*time.Second)
	span(&o.CloseTime, 5*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}
