package gateway

import "time"

// bucket is a token bucket. The zero value is full. It is not safe for concurrent use.
type bucket struct {
	spent float64       // tokens that are missing
	last  time.Duration // when spent was true
}

// take takes one token at the time now. If there is none it says how long it takes
// until there is one. rate is in tokens per second; burst is the size of the bucket.
func (b *bucket) take(now time.Duration, rate, burst float64) (wait time.Duration, ok bool) {
	b.settle(now, rate)
	if b.spent+1 > burst {
		return time.Duration((b.spent + 1 - burst) / rate * float64(time.Second)), false
	}
	b.spent++
	return 0, true
}

// settle refills the bucket. Time that goes back refills nothing.
func (b *bucket) settle(now time.Duration, rate float64) {
	if now > b.last {
		b.spent = max(0, b.spent-rate*(now-b.last).Seconds())
		b.last = now
	}
}
