package redis

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Place {
		server := shared
		if o.Crashes {
			server = redistest.Start(t, redistest.Durable...)
		}
		return &place{server: server, o: Options{
			Prefix: unique("p"), Alive: alone, ClaimTime: 50 * time.Millisecond,
			CacheBytes: o.CacheBytes, PendingBytes: o.PendingBytes, RoomPendingBytes: o.RoomPendingBytes, Fault: o.Fault,
		}}
	})
}

// A place is a prefix of a server, and a crash is one of the server and of the node.
type place struct {
	o      Options
	server *redistest.Server
	s      *Store
	fence  bool // at the crash the node finds out first
}

// Store implements [storetest.Place].
func (p *place) Store(t *testing.T) store.Store {
	t.Helper()
	p.o.Node = unique("node")
	p.s = openStore(t, p.server.Client(t), p.o)
	return p.s
}

// Crash implements [storetest.Place].
func (p *place) Crash(_ *testing.T, rng *rand.Rand) {
	p.fence = rng.IntN(2) == 0
	p.server.Kill()
}

// Recover implements [storetest.Place].
func (p *place) Recover(t *testing.T) store.Store {
	if p.fence {
		p.s.Fence()
	}
	p.server.Restart(t)
	if err := p.s.Close(); err != nil {
		t.Fatal(err)
	}
	return p.Store(t)
}
