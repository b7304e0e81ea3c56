package rooms

import "github.com/oriel-rooms/oriel/rooms/abi"

// Storage is a room's ordered key-value store. Keys are 1 to 1,024 bytes and do not start
// with a zero byte, which marks the part that belongs to the SDK; key and value together are
// at most 2,000,000 bytes. Writes happen atomically with everything else the turn asked for;
// reads see the turn's own writes.
//
// Methods panic on a key or value out of these limits, which undoes the turn: check what
// comes from clients before it gets here.
type Storage struct {
	room   *Room
	system bool
}

// Get returns a copy of the value of a key.
func (s *Storage) Get(key string) (value []byte, ok bool) {
	return s.room.storage.get(s.room.instance, s.key(key))
}

// Put writes a row.
func (s *Storage) Put(key string, value []byte) {
	s.check(key)
	n := len(key)
	if s.system {
		n += len(abi.ReservedPrefix)
	}
	if n+len(value) > abi.MaxKeyValue {
		panic("rooms: Put: key and value are larger than 2,000,000 bytes")
	}
	i := s.room.instance
	i.emit(abi.AppendPut(i.out, s.system, key, value))
	s.room.storage.add(abi.EffectPut, i.out, n, len(value))
}

// Delete removes a row if it is there.
func (s *Storage) Delete(key string) {
	k, i := s.write(key), s.room.instance
	i.emit((&abi.DeleteEffect{Key: k}).Append(i.out))
	s.room.storage.add(abi.EffectDelete, i.out, len(k), 0)
}

// DeleteRange removes the rows with start <= key < end. An empty end means to the last. A bound
// may be a byte longer than a key: k+"\x00" is the first key after k.
func (s *Storage) DeleteRange(start, end string) {
	from, to := s.bounds(start, end)
	if to != "" && from >= to {
		return
	}
	i := s.room.instance
	i.emit((&abi.DeleteRangeEffect{Start: []byte(from), End: []byte(to)}).Append(i.out))
	s.room.storage.add(abi.EffectDeleteRange, i.out, len(from), len(to))
}

// ListOptions says which rows List returns. The zero value is the first 1,000 of all.
type ListOptions struct {
	// Start and End bound the keys: Start <= key < End. An empty End means to the last.
	Start, End string
	// Prefix, when not empty, takes the place of Start and End.
	Prefix string
	// Limit is the greatest number of rows, 1 to 1,000; 0 means 1,000.
	Limit int
	// Reverse starts at the end.
	Reverse bool
}

// Entry is one row.
type Entry struct {
	Key   string
	Value []byte
}

// List returns rows in the order of their keys' bytes, and whether there are more.
func (s *Storage) List(o ListOptions) (entries []Entry, more bool) {
	if o.Prefix != "" {
		o.Start, o.End = o.Prefix, prefixEnd(o.Prefix)
	}
	if o.Limit <= 0 || o.Limit > abi.MaxListEntries {
		o.Limit = abi.MaxListEntries
	}
	o.Start, o.End = s.bounds(o.Start, o.End)
	if o.End != "" && o.Start >= o.End {
		return nil, false
	}
	entries, more = s.room.storage.list(s.room.instance, o)
	if s.system {
		for i := range entries {
			entries[i].Key = entries[i].Key[len(abi.ReservedPrefix):]
		}
	}
	return entries, more
}

func (s *Storage) key(k string) string {
	s.check(k)
	if s.system {
		return abi.ReservedPrefix + k
	}
	return k
}

// write is key in the instance's buffer, for effects: they copy it.
func (s *Storage) write(k string) []byte {
	s.check(k)
	b := s.room.instance.key[:0]
	if s.system {
		b = append(b, abi.ReservedPrefix...)
	}
	b = append(b, k...)
	s.room.instance.key = b
	return b
}

func (s *Storage) check(k string) {
	n := len(k)
	switch {
	case n == 0:
		panic("rooms: an empty storage key")
	case s.system:
		n += len(abi.ReservedPrefix)
	case k[0] == abi.ReservedPrefix[0]:
		panic("rooms: a storage key starts with a zero byte, which is reserved")
	}
	if n > abi.MaxKey {
		panic("rooms: a storage key is longer than 1,024 bytes")
	}
}

// bounds maps a range into the author's or the SDK's part.
func (s *Storage) bounds(start, end string) (string, string) {
	limit := abi.MaxBound
	if s.system {
		limit -= len(abi.ReservedPrefix)
	}
	if len(start) > limit || len(end) > limit {
		panic("rooms: a bound of a range of storage keys is longer than 1,025 bytes")
	}
	if !s.system {
		return max(start, firstAuthorKey), end
	}
	if end == "" {
		return abi.ReservedPrefix + start, firstAuthorKey
	}
	return abi.ReservedPrefix + start, abi.ReservedPrefix + end
}

// firstAuthorKey sorts after every reserved key and not after any other.
const firstAuthorKey = "\x01"

// prefixEnd is the first key after all that start with p; empty if there is none.
func prefixEnd(p string) string {
	b := []byte(p)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return string(b[:i+1])
		}
	}
	return ""
}
