package runtime

import (
	"context"
	"slices"
	"sync"
)

// tokens bound the turns that compute at the same time: a turn holds one while it
// computes and none while it waits.
//
// Those who wait are served in their order, but rooms whose turns have been short lately go before
// those with long ones: however many rooms do their worst, the others wait for turns that
// have begun, and not for those that have not. Of each heavyShare turns that begin while a
// heavy room waits, one is a heavy room's.
type tokens struct {
	mu   sync.Mutex // guards the rest
	free int        // 0 while somebody waits
	// light and heavy are those who wait.
	light, heavy []*waiter
	passed       int // light turns since the last heavy one, while a heavy one waited
}

const (
	// heavyShare: see tokens.
	heavyShare = 4
	// heavyFuel is what a heavy room's turns burn on average, at least: about a millisecond.
	heavyFuel = 8_000_000
)

// A waiter waits for a token. granted is closed when it has one.
type waiter struct{ granted chan struct{} }

func newTokens(n int) *tokens { return &tokens{free: n} }

// take waits for a token.
func (t *tokens) take(ctx context.Context, heavy bool) error {
	w := t.queue(heavy)
	if w == nil {
		return nil
	}
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
		if !t.leave(w) {
			t.give() // it was granted meanwhile
		}
		return ctx.Err()
	}
}

// retake waits for a token however long it takes: for a turn that has begun and has to
// be ended. Every holder gives its token back after at most one turn's fuel.
func (t *tokens) retake(heavy bool) {
	if w := t.queue(heavy); w != nil {
		<-w.granted
	}
}

// queue takes a free token and returns nil, or returns a waiter.
func (t *tokens) queue(heavy bool) *waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		return nil
	}
	w := &waiter{granted: make(chan struct{})}
	if heavy {
		t.heavy = append(t.heavy, w)
	} else {
		t.light = append(t.light, w)
	}
	return w
}

// leave takes a waiter out of its queue, and reports whether it was in one.
func (t *tokens) leave(w *waiter) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, q := range []*[]*waiter{&t.light, &t.heavy} {
		if i := slices.Index(*q, w); i >= 0 {
			*q = slices.Delete(*q, i, i+1)
			return true
		}
	}
	return false
}

// give gives a token back, or to the next who waits.
func (t *tokens) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := &t.light
	switch {
	case len(t.heavy) == 0:
		t.passed = 0
	case len(t.light) == 0 || t.passed == heavyShare-1:
		q, t.passed = &t.heavy, 0
	default:
		t.passed++
	}
	if len(*q) == 0 {
		t.free++
		return
	}
	w := (*q)[0]
	*q = slices.Delete(*q, 0, 1)
	close(w.granted)
}
