package runtime

import (
	goruntime "runtime"
	"slices"
	"time"
)

const (
	// paceTime is what workload takes on the machine on which a nanosecond was found to be worth
	// fuelPerNanosecond units.
	paceTime = 8 * time.Microsecond
	// maxPace bounds how much slower a core may be before a turn ends because of it.
	maxPace = 20
)

// pace returns how many times slower than that machine this core is, at this moment, by a clock of the
// thread's computing time: 1 if it is as fast or faster. Slow processors, those whose frequency is low, and
// those that share a core with somebody's thread do less in the same computing time.
func pace(clock func() time.Duration) float64 {
	var took [3]time.Duration
	for i := range took {
		began := clock()
		goruntime.KeepAlive(workload(uint64(began)))
		took[i] = clock() - began
	}
	slices.Sort(took[:])
	return min(max(1, float64(took[1])/float64(paceTime)), maxPace)
}

// workload computes what keeps a core as busy as compiled code does: several instructions at a time, without
// memory, which the guest may have driven out of the caches.
//
//go:noinline
func workload(x uint64) uint64 {
	a, b, c, d := x, x+1, x+2, x+3
	for range 5000 {
		a ^= a << 13
		b ^= b << 13
		c += c>>7 ^ b
		d += d>>7 ^ a
		a ^= a >> 17
		b ^= b >> 17
		c ^= c << 5
		d ^= d << 5
	}
	return a + b + c + d
}
