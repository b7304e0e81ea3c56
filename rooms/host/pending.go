package host

import (
	"bytes"
	"context"
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// pending is a [Storage] with the writes of earlier turns of the same [Room.Run] over it. Its
// caller commits a run's turns only after the run, and a later turn, above all the first after a
// trap, must read what they wrote.
type pending struct {
	under  Storage
	rows   map[string]pendingRow
	ranges []pendingRange // removed before the rows of the map were written
}

type pendingRow struct {
	value   []byte
	deleted bool
}

type pendingRange struct{ start, end []byte }

func (r pendingRange) holds(key []byte) bool {
	return bytes.Compare(key, r.start) >= 0 && (len(r.end) == 0 || bytes.Compare(key, r.end) < 0)
}

var _ CachedStorage = (*pending)(nil)

// write adds put, delete and delete_range effects.
func (p *pending) write(effects []abi.Effect) {
	if p.rows == nil {
		p.rows = make(map[string]pendingRow)
	}
	for _, e := range effects {
		switch e := e.(type) {
		case *abi.PutEffect:
			p.rows[string(e.Key)] = pendingRow{value: e.Value}
		case *abi.DeleteEffect:
			p.rows[string(e.Key)] = pendingRow{deleted: true}
		case *abi.DeleteRangeEffect:
			r := pendingRange{e.Start, e.End}
			for k := range p.rows {
				if r.holds([]byte(k)) {
					delete(p.rows, k)
				}
			}
			p.ranges = append(p.ranges, r)
		}
	}
}

// known returns what the writes say of a key.
func (p *pending) known(key []byte) (value []byte, ok, known bool) {
	if r, there := p.rows[string(key)]; there {
		return r.value, !r.deleted, true
	}
	return nil, false, slices.ContainsFunc(p.ranges, func(r pendingRange) bool { return r.holds(key) })
}

// Get implements [Storage].
func (p *pending) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	if v, ok, known := p.known(key); known {
		return v, ok, nil
	}
	return p.under.Get(ctx, key)
}

// GetCached implements [CachedStorage]. Over a storage that is none it knows only the writes.
func (p *pending) GetCached(key []byte) (value []byte, ok, hit bool) {
	if v, ok, known := p.known(key); known {
		return v, ok, true
	}
	if c, is := p.under.(CachedStorage); is {
		return c.GetCached(key)
	}
	return nil, false, false
}

// List implements [Storage]: the rows beneath, merged with those that were written.
func (p *pending) List(ctx context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	before := func(a, b []byte) bool { return (bytes.Compare(a, b) < 0) != q.Reverse }
	own := p.inRange(q, before)
	out := abi.ListResponse{}
	size := 0
	add := func(e abi.Entry) bool {
		n := len(e.Key) + len(e.Value)
		if len(out.Entries) == q.Limit || len(out.Entries) > 0 && size+n > abi.MaxListBytes {
			out.More = true
			return false
		}
		out.Entries = append(out.Entries, e)
		size += n
		return true
	}
	for {
		page, err := p.under.List(ctx, q)
		if err != nil {
			return abi.ListResponse{}, err
		}
		for _, e := range page.Entries {
			for len(own) > 0 && before(own[0].Key, e.Key) {
				if !add(own[0]) {
					return out, nil
				}
				own = own[1:]
			}
			if _, _, known := p.known(e.Key); !known && !add(e) {
				return out, nil
			}
		}
		if !page.More || len(page.Entries) == 0 {
			break
		}
		last := page.Entries[len(page.Entries)-1].Key
		if q.Reverse {
			q.End = slices.Clone(last)
		} else {
			q.Start = append(slices.Clone(last), 0)
		}
	}
	for _, e := range own {
		if !add(e) {
			break
		}
	}
	return out, nil
}

// inRange returns the written rows that q asks for, in its order.
func (p *pending) inRange(q abi.ListRequest, before func(a, b []byte) bool) []abi.Entry {
	r := pendingRange{q.Start, q.End}
	var own []abi.Entry
	for k, v := range p.rows {
		if !v.deleted && r.holds([]byte(k)) {
			own = append(own, abi.Entry{Key: []byte(k), Value: v.value})
		}
	}
	slices.SortFunc(own, func(a, b abi.Entry) int {
		if before(a.Key, b.Key) {
			return -1
		}
		return 1
	})
	return own
}
