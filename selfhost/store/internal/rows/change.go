package rows

import (
	"bytes"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Row is one row, or the word that there is none. It is never changed in place.
type Row struct {
	Key     string
	Value   []byte
	Deleted bool
}

// A Span is the range of keys from Start up to, not including, End; an empty End is no bound.
type Span struct{ Start, End string }

// Covers reports whether key lies in s.
func (s *Span) Covers(key string) bool {
	return key >= s.Start && (s.End == "" || key < s.End)
}

func (s *Span) empty() bool { return s.End != "" && s.Start >= s.End }

// A Change is what the writes of one commit come to: first the spans are emptied, then each of
// the rows, whose keys are all different, is written or deleted.
type Change struct {
	Spans []Span
	Rows  []Row
}

// NewChange returns what the writes come to in their order. It copies them.
func NewChange(writes []store.Write) Change {
	var c Change
	if len(writes) == 0 {
		return c
	}
	c.Rows = make([]Row, 0, len(writes))
	var at map[string]int // of rows, once there are two
	for i := range writes {
		w := &writes[i]
		if w.Op == store.DeleteRange {
			if s := (Span{string(w.Key), string(w.End)}); !s.empty() {
				c.empty(s)
				at = nil
			}
			continue
		}
		row := Row{Key: string(w.Key), Deleted: w.Op == store.Delete}
		if !row.Deleted {
			row.Value = bytes.Clone(w.Value)
		}
		if at == nil && len(c.Rows) > 0 {
			at = make(map[string]int, len(writes))
			for n := range c.Rows {
				at[c.Rows[n].Key] = n
			}
		}
		if n, again := at[row.Key]; again {
			c.Rows[n] = row
			continue
		}
		if at != nil {
			at[row.Key] = len(c.Rows)
		}
		c.Rows = append(c.Rows, row)
	}
	return c
}

// empty adds a span, which earlier rows do not outlive.
func (c *Change) empty(s Span) {
	kept := c.Rows[:0]
	for _, row := range c.Rows {
		if !s.Covers(row.Key) {
			kept = append(kept, row)
		}
	}
	c.Rows = kept
	c.Spans = append(c.Spans, s)
}
