package rows

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Overhead is what a row in memory weighs beside its key and value: the entry, the map's
// slot and the headers.
const Overhead = 160

// A Cache keeps the rows that the rooms read or wrote last, also those known to be
// absent, up to a number of bytes over all rooms. The least recently used go first.
type Cache struct {
	seed   maphash.Seed
	shards [16]cacheShard
}

type cacheShard struct {
	mu    sync.Mutex // guards all below, and the fields of the shard's rooms
	max   int64
	bytes int64
	head  cacheEntry // of a ring: head.next is the newest, head.prev the oldest
}

type cacheEntry struct {
	next, prev *cacheEntry
	room       *RoomCache
	row        Row
}

func (e *cacheEntry) size() int64 { return int64(len(e.row.Key) + len(e.row.Value) + Overhead) }

// A RoomCache is one room's part of a cache. Its methods may be called from any
// goroutine.
type RoomCache struct {
	shard *cacheShard
	// All below are guarded by shard.mu.
	rows map[string]*cacheEntry
	// whole says that rows has all that the engine has, so that no other row exists. It has no
	// entries for absent rows then.
	whole bool
	keys  []string // of rows, sorted, while whole; nil until a Page wants them
}

// NewCache returns a cache of at most maxBytes; with 0 or less it keeps nothing.
func NewCache(maxBytes int64) *Cache {
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.max = max(maxBytes, 0) / int64(len(c.shards))
		s.head.next, s.head.prev = &s.head, &s.head
	}
	return c
}

// Room returns the part of a room that was opened.
func (c *Cache) Room(id store.RoomID) *RoomCache {
	h := maphash.Comparable(c.seed, id)
	return &RoomCache{shard: &c.shards[h%uint64(len(c.shards))]}
}

// Bytes returns what the rows weigh now.
func (c *Cache) Bytes() int64 {
	var n int64
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += s.bytes
		s.mu.Unlock()
	}
	return n
}

// Get returns the row of a key, which may be known to be absent.
func (r *RoomCache) Get(key []byte) (value []byte, ok, hit bool) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	e := r.rows[string(key)]
	if e == nil {
		return nil, false, r.whole
	}
	e.touch(s)
	return e.row.Value, !e.row.Deleted, true
}

// Put remembers a row, which is kept.
func (r *RoomCache) Put(row Row) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	r.put(row)
}

func (r *RoomCache) put(row Row) {
	s := r.shard
	if e := r.rows[row.Key]; e != nil {
		s.drop(e)
	}
	if row.Deleted && r.whole {
		return
	}
	e := &cacheEntry{room: r, row: row}
	if e.size() > s.max/4 {
		r.forgetWhole()
		return // one row must not push out all others
	}
	if r.rows == nil {
		r.rows = make(map[string]*cacheEntry)
	}
	r.rows[row.Key] = e
	if r.keys != nil {
		n, _ := slices.BinarySearch(r.keys, row.Key)
		r.keys = slices.Insert(r.keys, n, row.Key)
	}
	s.link(e)
	s.bytes += e.size()
	for s.bytes > s.max {
		oldest := s.head.prev
		if !oldest.row.Deleted {
			oldest.room.forgetWhole()
		}
		s.drop(oldest)
	}
}

// Fill remembers all rows that the engine has of the room.
func (r *RoomCache) Fill(rows []Row) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	r.clear()
	r.whole = s.max > 0
	for _, row := range rows {
		r.put(row)
	}
}

func (r *RoomCache) forgetWhole() { r.whole, r.keys = false, nil }

// RemoveSpan forgets the rows of a range, which the engine has no more.
func (r *RoomCache) RemoveSpan(p *Span) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := r.keys
	if keys != nil {
		from, _ := slices.BinarySearch(keys, p.Start)
		to := len(keys)
		if p.End != "" {
			to, _ = slices.BinarySearch(keys, p.End)
		}
		keys = slices.Delete(keys, from, max(from, to))
	}
	r.keys = nil // not key by key
	for key, e := range r.rows {
		if p.Covers(key) {
			s.drop(e)
		}
	}
	r.keys = keys
}

// Clear forgets all of the room.
func (r *RoomCache) Clear() {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	r.clear()
}

func (r *RoomCache) clear() {
	r.forgetWhole()
	for _, e := range r.rows {
		r.shard.drop(e)
	}
}

// Page returns the first n rows between start and end (empty: no bound), from the end if
// reverse. It reports false if some of the room's rows are not in memory.
func (r *RoomCache) Page(start, end string, reverse bool, n int) (page []Row, ok bool) {
	s := r.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.whole {
		return nil, false
	}
	if r.keys == nil {
		r.keys = slices.AppendSeq(make([]string, 0, len(r.rows)), maps.Keys(r.rows))
		slices.Sort(r.keys)
	}
	from, _ := slices.BinarySearch(r.keys, start)
	to := len(r.keys)
	if end != "" {
		to, _ = slices.BinarySearch(r.keys, end)
	}
	for from < to && len(page) < n {
		key := r.keys[from]
		if reverse {
			to--
			key = r.keys[to]
		} else {
			from++
		}
		e := r.rows[key]
		e.touch(s)
		page = append(page, e.row)
	}
	return page, true
}

func (e *cacheEntry) touch(s *cacheShard) {
	e.unlink()
	s.link(e)
}

func (s *cacheShard) link(e *cacheEntry) {
	e.prev, e.next = &s.head, s.head.next
	e.prev.next, e.next.prev = e, e
}

func (e *cacheEntry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (s *cacheShard) drop(e *cacheEntry) {
	e.unlink()
	r := e.room
	delete(r.rows, e.row.Key)
	if r.keys != nil {
		if n, found := slices.BinarySearch(r.keys, e.row.Key); found {
			r.keys = slices.Delete(r.keys, n, n+1)
		}
	}
	s.bytes -= e.size()
	if len(r.rows) == 0 {
		r.rows = nil // an idle room keeps nothing
	}
}
