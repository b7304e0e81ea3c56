package pebble

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

type counters struct {
	cacheHits, cacheMisses, stalls atomic.Uint64
	pendingCommits                 atomic.Int64

	statsMu sync.Mutex // guards stats, of which only the counters of commits are used
	stats   store.Stats
}

// count notes a group that was written.
func (c *counters) count(g *group, synced bool) {
	if g.written == 0 {
		return
	}
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	c.stats.GroupMax = max(c.stats.GroupMax, uint64(g.written))
	if !synced {
		c.stats.RelaxedGroups++
		return
	}
	c.stats.Groups++
	c.stats.Sync.Observe(time.Since(g.began))
}

// answered notes the outcome of a commit.
func (c *counters) answered(p *pending, err error) {
	c.pendingCommits.Add(-1)
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	switch {
	case err != nil:
		c.stats.Failed++
	case p.number > 0:
		c.stats.Commits++
		c.stats.Bytes += uint64(p.size - rows.Overhead)
	}
}

// Stats implements [store.Store].
func (s *Store) Stats() store.Stats {
	s.statsMu.Lock()
	st := s.stats
	s.statsMu.Unlock()
	st.CacheHits, st.CacheMisses = s.cacheHits.Load(), s.cacheMisses.Load()
	st.Stalls = s.stalls.Load()
	st.CacheBytes = s.cache.Bytes()
	st.PendingBytes = int(s.committer.waiting.Load())
	st.PendingCommits = int(s.pendingCommits.Load())
	s.roomsMu.Lock()
	st.OpenRooms = len(s.rooms)
	s.roomsMu.Unlock()
	st.DiskBytes = s.diskBytes()
	if u, err := s.opts.FS.GetDiskUsage(s.dir); err == nil {
		st.DiskFree = u.AvailBytes
	}
	return st
}

// diskBytes asks the engine, which may be parked at a fault with its locks held.
func (s *Store) diskBytes() uint64 {
	got := make(chan uint64, 1)
	go func() {
		end, err := s.use()
		if err != nil {
			got <- 0
			return
		}
		defer end()
		got <- s.db.Metrics().DiskSpaceUsage()
	}()
	select {
	case n := <-got:
		return n
	case <-s.stopped:
		return 0
	}
}
