package pebble

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Options tune a store. The zero value is ready for a server with a few hundred MiB
// of memory.
type Options struct {
	// CacheBytes bounds the rows that all rooms together keep in memory for GetCached.
	// Default 32 MiB; negative keeps none.
	CacheBytes int64
	// BlockCacheBytes bounds the engine's cache of file blocks. Default 16 MiB.
	BlockCacheBytes int64
	// MemTableBytes is the size of the engine's write buffer and about that of one
	// write-ahead log; up to four may wait to be flushed. Default 16 MiB, at least 1 MiB.
	MemTableBytes int
	// GroupBytes bounds the commits written with one fsync; a single commit may
	// be larger. Default 2 MiB.
	GroupBytes int
	// PendingBytes bounds the commits of all rooms that wait for their answer; beyond it
	// a commit fails with [store.ErrBusy]. [store.Room.Busy] reports half of it. Default
	// 64 MiB.
	PendingBytes int
	// RoomPendingBytes is the same for each room. Default 32 MiB.
	RoomPendingBytes int
	// RelaxedSync is how long a relaxed commit may stay off the disk: what a crash can take
	// is at most this and one fsync old. Default 250 ms.
	RelaxedSync time.Duration
	// MaxOpenFiles bounds the engine's open files. Default 256.
	MaxOpenFiles int
	// FS is the file system; nil is the operating system's. Tests inject faults with it.
	FS vfs.FS
	// Fault, if not nil, is asked before each commit is written; the error that it
	// returns fails the commit for certain, and voids the room. For tests of what stands
	// above the store. It is called on the committer's goroutine.
	Fault func(id store.RoomID, number uint64) error
}

func (o Options) withDefaults() Options {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	if o.BlockCacheBytes <= 0 {
		o.BlockCacheBytes = 16 << 20
	}
	def(&o.MemTableBytes, 16<<20)
	o.MemTableBytes = max(o.MemTableBytes, 1<<20)
	def(&o.GroupBytes, 2<<20)
	def(&o.PendingBytes, 64<<20)
	def(&o.RoomPendingBytes, 32<<20)
	def(&o.MaxOpenFiles, 256)
	if o.RelaxedSync <= 0 {
		o.RelaxedSync = 250 * time.Millisecond
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	return o
}
