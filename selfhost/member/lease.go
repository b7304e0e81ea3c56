package member

import (
	"sync/atomic"
	"time"
)

// State is how sure a node is of its lease.
type State uint8

const (
	// Held: the lease was renewed lately.
	Held State = iota
	// Doubtful: renewals have failed for a while. The lease still cannot have ended.
	Doubtful
	// Over: the lease may have ended, or has. It stays so.
	Over
)

func (s State) String() string { return [...]string{"held", "doubtful", "over"}[s] }

// Parts of a lease, in twentieths, counted from the moment before it was asked for.
const (
	renewPart = 5
	retryPart = 1
	softPart  = 12
	hardPart  = 16
)

// part returns n twentieths of a lease.
func part(lease time.Duration, n time.Duration) time.Duration { return lease * n / 20 }

// A lease is what a node knows of its own lease. Its methods may be called concurrently.
type lease struct {
	now    func() time.Duration
	length time.Duration
	hard   atomic.Int64 // time on the clock at which it is over, nanoseconds; 0: it is over
}

// state returns the lease's state now and, unless it is over, how long it will stay if not extended. Once it
// has said Over it says nothing else.
func (l *lease) state() (State, time.Duration) {
	for {
		hard := l.hard.Load()
		if hard == 0 {
			return Over, 0
		}
		left := time.Duration(hard) - l.now()
		switch soft := left - part(l.length, hardPart-softPart); {
		case soft > 0:
			return Held, soft
		case left > 0:
			return Doubtful, left
		case l.hard.CompareAndSwap(hard, 0):
			return Over, 0
		}
	}
}

// extend counts the lease from sent, the time on the clock before a renewal was sent that Redis has
// granted. It is false if that came too late.
func (l *lease) extend(sent time.Duration) bool {
	for {
		if s, _ := l.state(); s == Over {
			return false
		}
		hard := l.hard.Load()
		next := max(hard, int64(sent+part(l.length, hardPart)))
		if hard != 0 && int64(l.now()) < hard && l.hard.CompareAndSwap(hard, next) {
			return true
		}
	}
}

// end makes the lease over.
func (l *lease) end() { l.hard.Store(0) }

// monotonic returns the time since the call on Go's monotonic clock.
func monotonic() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) + 1 }
}
