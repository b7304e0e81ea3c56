package runtime

import "time"

// A bucket holds the fuel that a room may burn: it fills with the room's share per
// second and holds at most one second's worth. A turn may take it below zero; the next
// turn then waits. Not safe for concurrent use.
type bucket struct {
	level int64 // units
	stamp int64 // nanoseconds since 1970 of the last filling, 0 before the first
}

// wait fills the bucket up to now and returns how long it takes until it is above zero.
func (b *bucket) wait(now time.Time, perSecond int64) time.Duration {
	t := now.UnixNano()
	switch {
	case b.stamp == 0:
		b.level += perSecond
	case t > b.stamp:
		elapsed := t - b.stamp
		if elapsed >= int64(time.Second) {
			b.level += min(elapsed/int64(time.Second), 1<<10) * perSecond
			elapsed %= int64(time.Second)
		}
		b.level += int64(float64(elapsed) / 1e9 * float64(perSecond))
	}
	b.level = min(b.level, perSecond)
	b.stamp = max(b.stamp, t)
	if b.level > 0 {
		return 0
	}
	return time.Duration(float64(1-b.level)/float64(perSecond)*1e9) + 1
}

func (b *bucket) burn(units int64) { b.level -= units }
