package rooms

import (
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// store is what the current turn has written, over what the host has. It is emptied
// at each turn: from then on the host answers. It holds no bytes of its own: keys and values are
// those of the turn's encoded effects.
type store struct {
	changes []change
	first   [fewChanges]change // of changes, while they are few
	ranges  []int              // which changes remove a range
	latest  map[string]int     // the last change of each key, when there are many
}

const (
	// fewChanges need no memory beside the room's.
	fewChanges = 8
	// manyChanges are worth a map.
	manyChanges = 32
)

// change is one write. For a range, key is its start and value its end.
type change struct {
	op         abi.EffectType
	key, value extent
}

// extent is a part of the turn's effects. They have at most 8 MiB.
type extent struct{ at, n uint32 }

func (e extent) of(effects []byte) string { return string(e.bytes(effects)) }

func (e extent) bytes(effects []byte) []byte { return effects[e.at : e.at+e.n : e.at+e.n] }

func (s *store) reset() {
	if cap(s.changes) > 1024 || s.changes == nil { // one large turn must not cost the room its size for ever
		s.changes, s.ranges = s.first[:0], nil
	}
	s.changes, s.ranges, s.latest = s.changes[:0], s.ranges[:0], nil
}

// add notes the write that was encoded last: its key, or a range's start, and the value, or the
// end, are the last fields.
func (s *store) add(op abi.EffectType, effects []byte, key, value int) {
	end := len(effects) - value
	c := change{op: op, value: extent{uint32(end), uint32(value)}}
	if op != abi.EffectDelete { // the others have the length of the value before it
		end -= abi.UvarintLen(uint64(value))
	}
	c.key = extent{uint32(end - key), uint32(key)}
	s.changes = append(s.changes, c)
	if op == abi.EffectDeleteRange {
		s.ranges = append(s.ranges, len(s.changes)-1)
	} else if s.latest != nil {
		s.latest[c.key.of(effects)] = len(s.changes) - 1
	} else if len(s.changes) > manyChanges {
		s.latest = make(map[string]int, 2*len(s.changes))
		for i, c := range s.changes {
			if c.op != abi.EffectDeleteRange {
				s.latest[c.key.of(effects)] = i
			}
		}
	}
}

// find returns the last change that concerns a key, or -1.
func (s *store) find(effects []byte, key string) int {
	at := -1
	if s.latest != nil {
		if i, there := s.latest[key]; there {
			at = i
		}
	} else {
		for at = len(s.changes) - 1; at >= 0; at-- {
			if c := &s.changes[at]; c.op != abi.EffectDeleteRange && string(c.key.bytes(effects)) == key {
				break
			}
		}
	}
	for i := len(s.ranges) - 1; i >= 0 && s.ranges[i] > at; i-- {
		if c := &s.changes[s.ranges[i]]; holds(c.key.bytes(effects), c.value.bytes(effects), key) {
			return s.ranges[i]
		}
	}
	return at
}

// holds reports whether a range holds a key. An empty end means to the last.
func holds[S ~string | ~[]byte](start, end S, key string) bool {
	return key >= string(start) && (len(end) == 0 || key < string(end))
}

func (s *store) get(i *Instance, key string) ([]byte, bool) {
	if len(s.changes) > 0 {
		if at := s.find(i.out, key); at >= 0 {
			if s.changes[at].op != abi.EffectPut {
				return nil, false
			}
			return slices.Clone(s.changes[at].value.bytes(i.out)), true
		}
	}
	return i.host.Get(key)
}

// list merges the host's rows with the turn's own. The host is asked for pages until
// enough of its rows have survived the turn's deletions.
func (s *store) list(i *Instance, o ListOptions) (out []Entry, more bool) {
	own := s.sorted(i.out, o)
	q := abi.ListRequest{Start: []byte(o.Start), End: []byte(o.End), Limit: o.Limit, Reverse: o.Reverse}
	before := func(a, b string) bool {
		if o.Reverse {
			return a > b
		}
		return a < b
	}
	for {
		page := i.host.List(q)
		for _, e := range page.Entries {
			key := string(e.Key)
			for len(own) > 0 && before(own[0].Key, key) {
				if len(out) == o.Limit {
					return out, true
				}
				out, own = append(out, *own[0]), own[1:]
			}
			if s.find(i.out, key) >= 0 {
				continue // the turn's own row, if any, is in own
			}
			if len(out) == o.Limit {
				return out, true
			}
			out = append(out, Entry{Key: key, Value: slices.Clone(e.Value)})
		}
		if !page.More || len(page.Entries) == 0 {
			break
		}
		last := page.Entries[len(page.Entries)-1].Key
		if o.Reverse {
			q.End = slices.Clone(last)
		} else {
			q.Start = append(slices.Clone(last), 0)
		}
	}
	for len(own) > 0 && len(out) < o.Limit {
		out, own = append(out, *own[0]), own[1:]
	}
	return out, len(own) > 0
}

// sorted returns the turn's own rows in o's range and order.
func (s *store) sorted(effects []byte, o ListOptions) []*Entry {
	var own []*Entry
	for at, c := range s.changes {
		if c.op != abi.EffectPut {
			continue
		}
		if key := c.key.of(effects); holds(o.Start, o.End, key) && s.find(effects, key) == at {
			own = append(own, &Entry{Key: key, Value: slices.Clone(c.value.bytes(effects))})
		}
	}
	// Of the sorts, this one is in the module for pointers anyway.
	slices.SortStableFunc(own, func(a, b *Entry) int {
		if o.Reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	return own
}
