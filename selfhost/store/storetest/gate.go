package storetest

import (
	"errors"
	"sync"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// ErrFault is what a test makes a commit fail with.
var ErrFault = errors.New("the test's fault")

// A Gate holds the engine while it is closed, so that commits stay pending, and
// fails those that it was told to.
type Gate struct {
	mu   sync.Mutex // guards all below
	shut chan struct{}
	bad  map[commitID]error
}

// Close holds the commits that come from now on.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

// Open lets them go.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// Fail makes one commit fail with err, once.
func (g *Gate) Fail(id store.RoomID, number uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bad == nil {
		g.bad = map[commitID]error{}
	}
	g.bad[commitID{id, number}] = err
}

// forget takes back what Fail was told of commits that were never written.
func (g *Gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.bad)
}

// Fault is for the engine's options.
func (g *Gate) Fault(id store.RoomID, number uint64) error {
	g.mu.Lock()
	shut, err := g.shut, g.bad[commitID{id, number}]
	delete(g.bad, commitID{id, number})
	g.mu.Unlock()
	if shut != nil {
		<-shut
	}
	return err
}

type commitID struct {
	id     store.RoomID
	number uint64
}
