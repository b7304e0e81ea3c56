package rows

import (
	"cmp"
	"slices"
)

// An Overlay holds what the commits of one room wrote that are not durable yet. Laid
// over the engine's rows it gives the room's view: a row here stands, else a span
// here hides, else the engine's row stands.
//
// A commit leaves the overlay when the engine shows it for good, in commit order. The zero
// Overlay is empty.
type Overlay struct {
	rows    map[string]overlayRow // the newest write of each key, unless a later span covers it
	commits []overlayCommit       // oldest first
}

type overlayRow struct {
	Row
	number uint64
}

type overlayCommit struct {
	number uint64
	Change
}

// Add lays a commit's change over the rest.
func (o *Overlay) Add(number uint64, c Change) {
	if len(c.Spans)+len(c.Rows) == 0 {
		return
	}
	if o.rows == nil {
		o.rows = make(map[string]overlayRow, len(c.Rows))
	}
	for i := range c.Spans {
		for k := range o.rows {
			if c.Spans[i].Covers(k) {
				delete(o.rows, k)
			}
		}
	}
	for _, row := range c.Rows {
		o.rows[row.Key] = overlayRow{row, number}
	}
	o.commits = append(o.commits, overlayCommit{number, c})
}

// Retire takes out all commits up to number, which the engine shows now, and hands their
// rows to the cache, also those that a later commit hides: should that one turn void, the
// engine's row is seen again.
func (o *Overlay) Retire(number uint64, cache *RoomCache) {
	n := 0
	for ; n < len(o.commits) && o.commits[n].number <= number; n++ {
		c := &o.commits[n]
		for i := range c.Spans {
			cache.RemoveSpan(&c.Spans[i])
		}
		for _, row := range c.Rows {
			cache.Put(row)
			if newest, ok := o.rows[row.Key]; ok && newest.number == c.number {
				delete(o.rows, row.Key)
			}
		}
	}
	o.commits = slices.Delete(o.commits, 0, n)
	if len(o.commits) == 0 {
		*o = Overlay{}
	}
}

// Get returns what the overlay knows of a key; known is false when the engine decides.
func (o *Overlay) Get(key []byte) (value []byte, ok, known bool) {
	if row, found := o.rows[string(key)]; found {
		return row.Value, !row.Deleted, true
	}
	for i := range o.commits {
		for j := range o.commits[i].Spans {
			if o.commits[i].Spans[j].Covers(string(key)) {
				return nil, false, true
			}
		}
	}
	return nil, false, false
}

// A Snapshot is the part of an overlay that one list needs. It does not change.
type Snapshot struct {
	rows  []Row // in the list's order
	spans []Span
}

// Snapshot returns the rows between start and end (empty: no bound), and the spans.
func (o *Overlay) Snapshot(start, end []byte, reverse bool) Snapshot {
	var s Snapshot
	within := Span{string(start), string(end)}
	for key, row := range o.rows {
		if within.Covers(key) {
			s.rows = append(s.rows, row.Row)
		}
	}
	slices.SortFunc(s.rows, func(a, b Row) int {
		if reverse {
			return cmp.Compare(b.Key, a.Key)
		}
		return cmp.Compare(a.Key, b.Key)
	})
	for i := range o.commits {
		s.spans = append(s.spans, o.commits[i].Spans...)
	}
	return s
}

// Len returns the number of rows in s.
func (s *Snapshot) Len() int { return len(s.rows) }

func (s *Snapshot) hides(key []byte) bool {
	for i := range s.spans {
		if s.spans[i].Covers(string(key)) {
			return true
		}
	}
	return false
}
