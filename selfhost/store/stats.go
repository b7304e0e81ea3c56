package store

import "time"

// Stats are counters since the store was opened, and a few levels of now. Counters
// only rise.
type Stats struct {
	// Commits counts those that were answered with nil and changed something, Failed
	// those that were answered with an error.
	Commits, Failed uint64
	// Groups counts the batches written with one fsync each, RelaxedGroups those that did
	// not wait for one. Commits / (Groups + RelaxedGroups) is the mean size of a group.
	Groups, RelaxedGroups uint64
	// GroupMax is the greatest number of commits in one group.
	GroupMax uint64
	// Bytes counts the bytes of commits, as [Commit.Size] weighs them.
	Bytes uint64
	// Sync is the time from handing a group to the engine until it was durable.
	Sync Histogram
	// CacheHits counts rows that Get and GetCached found in memory, or knew to be absent,
	// CacheMisses those that Get took from the engine.
	CacheHits, CacheMisses uint64
	// Stalls counts the times that the engine held writes back, waiting for its own
	// background work.
	Stalls uint64

	// PendingCommits and PendingBytes wait for their answer now.
	PendingCommits, PendingBytes int
	// OpenRooms are open now.
	OpenRooms int
	// CacheBytes are the bytes of rows kept in memory now.
	CacheBytes int64
	// DiskBytes is the space that the engine's files take.
	DiskBytes uint64
	// DiskFree is the space that is left beside them; 0 where it is not known. A store whose
	// disk fills up stops.
	DiskFree uint64
}

// SyncBounds are the upper bounds of [Histogram]'s buckets; one more bucket takes what is
// above the last.
var SyncBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, time.Second,
}

// A Histogram counts durations in the buckets of [SyncBounds].
type Histogram struct {
	Count   uint64
	Sum     time.Duration
	Buckets [len(SyncBounds) + 1]uint64
}

// Observe counts one duration. It does not lock.
func (h *Histogram) Observe(d time.Duration) {
	h.Count++
	h.Sum += d
	for i, b := range SyncBounds {
		if d <= b {
			h.Buckets[i]++
			return
		}
	}
	h.Buckets[len(SyncBounds)]++
}
