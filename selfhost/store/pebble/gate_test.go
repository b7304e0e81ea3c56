package pebble

import (
	"sync"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A gate holds the committer while it is closed, so that commits stay pending, and
// fails those that it was told to.
type gate struct {
	mu   sync.Mutex // guards all below
	shut chan struct{}
	bad  map[commitID]error
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

func (g *gate) fail(id store.RoomID, number uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bad == nil {
		g.bad = map[commitID]error{}
	}
	g.bad[commitID{id, number}] = err
}

func (g *gate) fault(id store.RoomID, number uint64) error {
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
