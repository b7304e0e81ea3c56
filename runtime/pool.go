package runtime

import (
	"context"
	"sync"
)

// pool keeps the instances of one module. At most max exist: as many as can compute at
// once and those that wait for storage.
type pool struct {
	max  int // instances that may exist
	keep int // idle instances that are kept

	mu     sync.Mutex // guards the rest
	idle   []*instance
	live   int
	closed bool
	// freed is closed, and made anew, when an instance comes back while someone waits.
	freed   chan struct{}
	waiting bool
}

func newPool(maximum, keep int) *pool {
	return &pool{max: maximum, keep: keep, freed: make(chan struct{})}
}

// get returns an idle instance; or create, the right to make one; or a channel to wait
// on before asking again.
func (p *pool) get() (in *instance, create bool, freed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		in = p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		return in, false, nil
	}
	if p.live < p.max {
		p.live++
		return nil, true, nil
	}
	p.waiting = true
	return nil, false, p.freed
}

// put takes an instance back.
func (p *pool) put(in *instance) {
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.keep {
		p.live--
		p.wake()
		p.mu.Unlock()
		in.close()
		return
	}
	p.idle = append(p.idle, in)
	p.wake()
	p.mu.Unlock()
}

// drop counts an instance out that is closed, or was never made.
func (p *pool) drop() {
	p.mu.Lock()
	p.live--
	p.wake()
	p.mu.Unlock()
}

// wake is called with mu held.
func (p *pool) wake() {
	if p.waiting {
		p.waiting = false
		close(p.freed)
		p.freed = make(chan struct{})
	}
}

// close closes the idle instances; those in use are closed when they come back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.live -= len(idle)
	p.mu.Unlock()
	for _, in := range idle {
		in.close()
	}
}

// acquire takes a token and an instance. It never waits for an instance with a token
// in hand: those who have the instances may be waiting for a token. heavy is for a room whose
// turns have been long lately.
func (m *Module) acquire(ctx context.Context, heavy bool) (*instance, error) {
	for {
		if err := m.runtime.tokens.take(ctx, heavy); err != nil {
			return nil, err
		}
		in, create, freed := m.pool.get()
		if in != nil {
			return in, nil
		}
		if create {
			in, err := m.newInstance(ctx)
			if err != nil {
				m.pool.drop()
				m.runtime.tokens.give()
			}
			return in, err
		}
		m.runtime.tokens.give()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// release gives back what acquire took. A discarded instance is closed.
func (m *Module) release(in *instance, discard bool) {
	if discard {
		m.pool.drop()
		in.close()
	} else {
		m.pool.put(in)
	}
	m.runtime.tokens.give()
}
