package client

import (
	"math/rand/v2"
	"time"
)

const (
	// stableAfter is how long a connection must have been open for the next failure to count
	// as the first again.
	stableAfter = 10 * time.Second
	// maxHint bounds every delay that a server asks for.
	maxHint = time.Hour
)

// backoff draws the wait before attempt n (from 0) after a failure. A server's hint is obeyed,
// with a little jitter on top because many clients got the same one.
func (o *Options) backoff(n int, hint time.Duration) time.Duration {
	limit := o.BackoffMax
	if n < 30 && o.BackoffBase<<n < limit && o.BackoffBase<<n > 0 {
		limit = o.BackoffBase << n
	}
	wait := rand.N(limit + 1)
	if hint > 0 {
		return hint + min(wait, hint/4+50*time.Millisecond)
	}
	return wait
}

// milliseconds is a duration as a message says it, in bounds.
func milliseconds[T int64 | uint64](n T, limit time.Duration) time.Duration {
	if n < 0 {
		return 0
	}
	return time.Duration(min(uint64(n), uint64(limit/time.Millisecond))) * time.Millisecond
}
