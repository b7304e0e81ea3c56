package admission

import (
	"math"
	"sync"
	"time"
)

// A Rate is a token bucket: so many a second in the long run, so many at once. A Rate
// with PerSecond 0 or less limits nothing; Burst is at least 1.
type Rate struct {
	PerSecond float64
	Burst     int
}

// refill is how long an empty bucket takes to be full.
func (r Rate) refill() time.Duration {
	return time.Duration(min(float64(max(r.Burst, 1))/r.PerSecond, math.MaxInt32) * float64(time.Second))
}

// A Bucket counts against a [Rate]. The zero value is full. It is not safe for
// concurrent use.
type Bucket struct {
	spent float64   // what is missing from a full bucket
	at    time.Time // of spent
}

// Take takes one from the bucket, or says when to try again. A clock that goes back
// counts as standing still.
func (b *Bucket) Take(r Rate, now time.Time) (retry time.Duration, ok bool) {
	if r.PerSecond <= 0 {
		return 0, true
	}
	if d := now.Sub(b.at); d > 0 {
		b.spent = max(0, b.spent-d.Seconds()*r.PerSecond)
		b.at = now
	}
	over := b.spent + 1 - float64(max(r.Burst, 1))
	if over > 1e-9 { // rounding must not cost anyone a token
		return time.Duration(math.Ceil(min(over/r.PerSecond, 3600) * float64(time.Second))), false
	}
	b.spent++
	return 0, true
}

// A Limiter holds one [Bucket] per key, such as a client's [Client.Key], in bounded
// memory. It is safe for concurrent use.
//
// It keeps two generations of keys and forgets the older one when the newer is half
// of the bound, or when so much time has passed that the older one's buckets are full
// anyway. So every call is quick, an attack from many addresses never makes it grow or
// scan, and what the attack gains is that some buckets are forgotten early.
type Limiter[K comparable] struct {
	rate Rate
	keys int

	mu       sync.Mutex // guards what follows
	newer    map[K]Bucket
	older    map[K]Bucket
	rotation time.Time // when newer was begun
}

// DefaultLimiterKeys is the bound of a [Limiter]'s keys if none is given; with
// addresses as keys it is about 10 MB.
const DefaultLimiterKeys = 1 << 16

// NewLimiter returns a limiter of at most keys keys, 0 meaning [DefaultLimiterKeys].
func NewLimiter[K comparable](rate Rate, keys int) *Limiter[K] {
	if keys <= 0 {
		keys = DefaultLimiterKeys
	}
	return &Limiter[K]{rate: rate, keys: max(keys, 2), newer: make(map[K]Bucket)}
}

// Take takes one from the key's bucket, or says when to try again.
func (l *Limiter[K]) Take(key K, now time.Time) (retry time.Duration, ok bool) {
	if l.rate.PerSecond <= 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, found := l.newer[key]
	if !found {
		b = l.older[key]
		if len(l.newer) >= l.keys/2 || now.Sub(l.rotation) > l.rate.refill() {
			l.older, l.newer, l.rotation = l.newer, make(map[K]Bucket), now
		}
	}
	retry, ok = b.Take(l.rate, now)
	l.newer[key] = b
	return retry, ok
}

// Len returns the number of buckets that are kept.
func (l *Limiter[K]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.newer) + len(l.older)
}

// A Tally counts what is open per key, such as the connections of an address, up to a
// limit. Its memory is bounded by what is open. It is safe for concurrent use.
type Tally[K comparable] struct {
	limit int

	mu   sync.Mutex // guards open
	open map[K]int
}

// NewTally returns a tally that allows limit per key; 0 or less allows any number.
func NewTally[K comparable](limit int) *Tally[K] {
	return &Tally[K]{limit: limit, open: make(map[K]int)}
}

// Open counts one more for key, unless its limit is reached. Each Open that returned
// true is followed by one Close.
func (t *Tally[K]) Open(key K) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limit > 0 && t.open[key] >= t.limit {
		return false
	}
	t.open[key]++
	return true
}

// Close counts one less for key.
func (t *Tally[K]) Close(key K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[key]--; t.open[key] <= 0 {
		delete(t.open, key)
	}
}

// Len returns the number of keys with something open.
func (t *Tally[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}
