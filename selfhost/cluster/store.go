package cluster

import (
	"context"
	"fmt"
	"sync"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// tenured is the store of a node, through all its tenures: each has a store of its own, which writes under
// the tenure's identity and is fenced when it ends.
type tenured struct {
	stopped chan struct{} // closed when a tenure's store has stopped for good

	mu    sync.Mutex // guards the fields below
	now   store.Shared
	cause error         // why stopped is closed
	ended chan struct{} // closed when now is no more
}

var _ store.Shared = (*tenured)(nil)

func newTenured() *tenured { return &tenured{stopped: make(chan struct{})} }

// begin puts the store of a new tenure in the place of the one before, whose rooms are all given up.
func (t *tenured) begin(s store.Shared) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended != nil {
		close(t.ended)
	}
	ended := make(chan struct{})
	t.now, t.ended = s, ended
	go func() {
		select {
		case <-s.Stopped():
		case <-ended:
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.now == s && t.cause == nil {
			t.cause = s.Err()
			close(t.stopped)
		}
	}()
}

// stop ends the store for good, between two tenures.
func (t *tenured) stop(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cause == nil {
		t.cause = fmt.Errorf("%w: %w", store.ErrStopped, cause)
		close(t.stopped)
	}
}

func (t *tenured) current() store.Shared {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

func (t *tenured) Open(ctx context.Context, id store.RoomID) (store.Room, error) {
	return t.current().Open(ctx, id)
}

func (t *tenured) Claim(ctx context.Context, limit int) ([]store.RoomID, error) {
	return t.current().Claim(ctx, limit)
}

func (t *tenured) Owner(ctx context.Context, id store.RoomID) (store.Owner, error) {
	return t.current().Owner(ctx, id)
}

func (t *tenured) Away() bool               { return t.current().Away() }
func (t *tenured) Stopped() <-chan struct{} { return t.stopped }
func (t *tenured) Stats() store.Stats       { return t.current().Stats() }

func (t *tenured) Close() error {
	t.mu.Lock()
	if t.ended != nil {
		close(t.ended)
		t.ended = nil
	}
	s := t.now
	t.mu.Unlock()
	return s.Close()
}

func (t *tenured) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cause
}
