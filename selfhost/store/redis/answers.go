package redis

import (
	"sync"
	"sync/atomic"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// answers calls the done functions of decided commits, one after the other, on a goroutine that
// is there while there are any.
type answers struct {
	s     *Store
	bytes atomic.Int64 // of commits without an answer

	mu      sync.Mutex // guards all below
	idle    sync.Cond  // open became 0
	open    int        // commits without an answer
	decided []decision
	running bool
}

type decision struct {
	p   *pending
	err error
}

func (a *answers) init(s *Store) {
	a.s = s
	a.idle.L = &a.mu
}

// begin notes that a commit was submitted.
func (a *answers) begin(p *pending) {
	a.bytes.Add(int64(p.size))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
}

// add has a commit answered.
func (a *answers) add(p *pending, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decided = append(a.decided, decision{p, err})
	if !a.running {
		a.running = true
		go a.run()
	}
}

func (a *answers) run() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.decided) > 0 {
		decided := a.decided
		a.decided = nil
		a.mu.Unlock()
		for _, d := range decided {
			a.answer(d)
		}
		a.mu.Lock()
		if a.open -= len(decided); a.open == 0 {
			a.idle.Broadcast()
		}
	}
	a.running = false
}

func (a *answers) answer(d decision) {
	p, err := d.p, d.err
	p.room.settle(p, err)
	if err != nil {
		err = &store.Error{Op: "commit", Room: p.room.id, Err: err}
	}
	a.s.answered(p, err)
	a.bytes.Add(-int64(p.size))
	p.done(err)
}

// wait waits until everything that was submitted is answered.
func (a *answers) wait() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.open > 0 {
		a.idle.Wait()
	}
}

// count returns the commits without an answer.
func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}
