package pebble

import (
	"hash/maphash"
	"sync"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// rowOverhead is what a cached row weighs beside its key and value: the entry, the
// map's slot and the headers.
const rowOverhead = 160

// A cache keeps the rows that the rooms read or wrote last, also those known to be
// absent, up to a number of bytes over all rooms. The least recently used go first.
type cache struct {
	seed   maphash.Seed
	shards [16]cacheShard
}

type cacheShard struct {
	mu    sync.Mutex // guards all below, and the maps of the shard's rooms
	max   int64
	bytes int64
	head  cacheEntry // of a ring: head.next is the newest, head.prev the oldest
}

type cacheEntry struct {
	next, prev *cacheEntry
	room       *roomCache
	key        string
	value      []byte // never changed in place
	absent     bool
}

func (e *cacheEntry) size() int64 { return int64(len(e.key) + len(e.value) + rowOverhead) }

// A roomCache is one room's part of a cache. Its methods may be called from any
// goroutine.
type roomCache struct {
	shard *cacheShard
	rows  map[string]*cacheEntry // guarded by shard.mu
}

func newCache(maxBytes int64) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.max = max(maxBytes, 0) / int64(len(c.shards))
		s.head.next, s.head.prev = &s.head, &s.head
	}
	return c
}

func (c *cache) room(id store.RoomID) *roomCache {
	h := maphash.Comparable(c.seed, id)
	return &roomCache{shard: &c.shards[h%uint64(len(c.shards))]}
}

func (c *cache) bytes() int64 {
	var n int64
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.bytes
		s.mu.Unlock()
	}
	return n
}

// get returns the row of a key, which may be known to be absent.
func (r *roomCache) get(key []byte) (value []byte, ok, hit bool) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	e := r.rows[string(key)]
	if e == nil {
		return nil, false, false
	}
	e.unlink()
	s.link(e)
	return e.value, !e.absent, true
}

// put remembers a row; value is kept.
func (r *roomCache) put(key string, value []byte, absent bool) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := r.rows[key]; e != nil {
		s.drop(e)
	}
	e := &cacheEntry{room: r, key: key, value: value, absent: absent}
	if e.size() > s.max/4 {
		return // one row must not push out all others
	}
	if r.rows == nil {
		r.rows = make(map[string]*cacheEntry)
	}
	r.rows[key] = e
	s.link(e)
	s.bytes += e.size()
	for s.bytes > s.max {
		s.drop(s.head.prev)
	}
}

func (r *roomCache) remove(key string) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := r.rows[key]; e != nil {
		s.drop(e)
	}
}

func (r *roomCache) removeSpan(p *span) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, e := range r.rows {
		if p.covers(key) {
			s.drop(e)
		}
	}
}

func (s *cacheShard) link(e *cacheEntry) {
	e.prev, e.next = &s.head, s.head.next
	e.prev.next, e.next.prev = e, e
}

func (e *cacheEntry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (s *cacheShard) drop(e *cacheEntry) {
	e.unlink()
	delete(e.room.rows, e.key)
	s.bytes -= e.size()
	if len(e.room.rows) == 0 {
		e.room.rows = nil // an idle room keeps nothing
	}
}
