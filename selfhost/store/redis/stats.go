package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

type counters struct {
	cacheHits, cacheMisses atomic.Uint64

	statsMu sync.Mutex // guards stats, of which only the counters of commits are used
	stats   store.Stats
}

// count notes a pipeline that was sent.
func (c *counters) count(commits int, took time.Duration) {
	if commits == 0 {
		return
	}
	c.statsMu.Lock()
	defer c.statsMu.Unlock()
	c.stats.Groups++
	c.stats.GroupMax = max(c.stats.GroupMax, uint64(commits))
	c.stats.Sync.Observe(took)
}

// answered notes the outcome of a commit.
func (c *counters) answered(p *pending, err error) {
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

// Stats implements [store.Store]. A group is a pipeline; Sync is the time until it was answered, or
// given up.
func (s *Store) Stats() store.Stats {
	s.statsMu.Lock()
	st := s.stats
	s.statsMu.Unlock()
	st.CacheHits, st.CacheMisses = s.cacheHits.Load(), s.cacheMisses.Load()
	st.CacheBytes = s.cache.Bytes()
	st.PendingBytes = int(s.answers.bytes.Load())
	st.PendingCommits = s.answers.count()
	s.roomsMu.Lock()
	st.OpenRooms = len(s.rooms)
	s.roomsMu.Unlock()
	return st
}
