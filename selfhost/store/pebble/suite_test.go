package pebble

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, o storetest.Options) storetest.Place {
		fs := vfs.NewCrashableMem()
		return &place{fs: fs, o: Options{
			FS: fs, CacheBytes: o.CacheBytes, PendingBytes: o.PendingBytes, RoomPendingBytes: o.RoomPendingBytes, Fault: o.Fault,
			MemTableBytes: 1 << 20, RelaxedSync: time.Millisecond,
		}}
	})
}

// A place is a file system in memory that can lose what was not synced.
type place struct {
	fs, crashed *vfs.MemFS
	o           Options
	s           *Store
}

// Store implements [storetest.Place].
func (p *place) Store(t *testing.T) store.Store {
	t.Helper()
	p.o.FS = p.fs
	s, err := Open("d", p.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	p.s = s
	return s
}

// Crash implements [storetest.Place].
func (p *place) Crash(_ *testing.T, rng *rand.Rand) {
	p.crashed = p.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
}

// Recover implements [storetest.Place].
func (p *place) Recover(t *testing.T) store.Store {
	t.Helper()
	if err := p.s.Close(); err != nil {
		t.Fatal(err)
	}
	p.fs = p.crashed
	return p.Store(t)
}
