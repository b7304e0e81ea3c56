package pebble

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// An overlay holds what the commits of one room wrote that are not durable yet. Laid
// over the engine's rows it gives the room's view: a row here stands, else a span
// here hides, else the engine's row stands.
//
// A commit leaves the overlay when the engine shows it for good, in commit order.
type overlay struct {
	rows    map[string]overlayRow // the newest write of each key, unless a later span covers it
	spans   []span
	commits []overlayCommit // oldest first
}

type overlayRow struct {
	value   []byte // never changed in place
	deleted bool
	number  uint64
}

// A span hides the engine's rows from start up to, not including, end; an empty end is no
// bound.
type span struct {
	start, end string
	number     uint64
}

func (s *span) covers(key string) bool {
	return key >= s.start && (s.end == "" || key < s.end)
}

type overlayCommit struct {
	number uint64
	keys   []string // may name keys that a later write took over
}

// add lays a commit's writes over the rest. It copies them.
func (o *overlay) add(number uint64, writes []store.Write) {
	if len(writes) == 0 {
		return
	}
	if o.rows == nil {
		o.rows = make(map[string]overlayRow, len(writes))
	}
	c := overlayCommit{number: number, keys: make([]string, 0, len(writes))}
	for i := range writes {
		w := &writes[i]
		if w.Op == store.DeleteRange {
			s := span{start: string(w.Key), end: string(w.End), number: number}
			if s.end != "" && s.start >= s.end {
				continue
			}
			for k := range o.rows {
				if s.covers(k) {
					delete(o.rows, k)
				}
			}
			o.spans = append(o.spans, s)
			continue
		}
		key := string(w.Key)
		if row, ok := o.rows[key]; !ok || row.number != number {
			c.keys = append(c.keys, key)
		}
		row := overlayRow{deleted: w.Op == store.Delete, number: number}
		if !row.deleted {
			row.value = bytes.Clone(w.Value)
		}
		o.rows[key] = row
	}
	o.commits = append(o.commits, c)
}

// retire takes out all commits up to number, which the engine shows now, and hands the
// rows to the cache.
func (o *overlay) retire(number uint64, c *roomCache) {
	n := 0
	for ; n < len(o.spans) && o.spans[n].number <= number; n++ {
		c.removeSpan(&o.spans[n])
	}
	o.spans = slices.Delete(o.spans, 0, n)
	for n = 0; n < len(o.commits) && o.commits[n].number <= number; n++ {
		for _, key := range o.commits[n].keys {
			row, ok := o.rows[key]
			if !ok || row.number != o.commits[n].number {
				// A later commit hides what the cache may have; should that one turn
				// void, the cache must not speak again.
				c.remove(key)
				continue
			}
			c.put(key, row.value, row.deleted)
			delete(o.rows, key)
		}
	}
	o.commits = slices.Delete(o.commits, 0, n)
	if len(o.commits) == 0 {
		*o = overlay{}
	}
}

// get returns what the overlay knows of a key; known is false when the engine decides.
func (o *overlay) get(key []byte) (value []byte, ok, known bool) {
	if row, found := o.rows[string(key)]; found {
		return row.value, !row.deleted, true
	}
	for i := range o.spans {
		if o.spans[i].covers(string(key)) {
			return nil, false, true
		}
	}
	return nil, false, false
}

// A snapshot is the part of an overlay that one list needs. It does not change.
type snapshot struct {
	rows  []snapshotRow // in the list's order
	spans []span
}

type snapshotRow struct {
	key string
	overlayRow
}

// snapshot returns the rows and spans between start and end (empty: no bound).
func (o *overlay) snapshot(start, end []byte, reverse bool) snapshot {
	var s snapshot
	within := span{start: string(start), end: string(end)}
	for key, row := range o.rows {
		if within.covers(key) {
			s.rows = append(s.rows, snapshotRow{key, row})
		}
	}
	slices.SortFunc(s.rows, func(a, b snapshotRow) int {
		if reverse {
			return cmp.Compare(b.key, a.key)
		}
		return cmp.Compare(a.key, b.key)
	})
	s.spans = slices.Clone(o.spans)
	return s
}

func (s *snapshot) hides(key []byte) bool {
	for i := range s.spans {
		if s.spans[i].covers(string(key)) {
			return true
		}
	}
	return false
}
