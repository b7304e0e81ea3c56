package conformance

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// errReads is what reads fail with when a behavior asks for it.
var errReads = errors.New("conformance: the storage fails, as the test asked")

// rows is a room's storage and alarm. The zero value is empty.
type rows struct {
	byKey map[string][]byte
	alarm uint64
	fail  bool
	page  int // the greatest number of rows of one answer, if not 0
}

// Get implements host.Storage.
func (r *rows) Get(_ context.Context, key []byte) ([]byte, bool, error) {
	if r.fail {
		return nil, false, errReads
	}
	v, ok := r.byKey[string(key)]
	return v, ok, nil
}

// List implements host.Storage by the rules of ABI.md.
func (r *rows) List(_ context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	if r.fail {
		return abi.ListResponse{}, errReads
	}
	keys := slices.Sorted(maps.Keys(r.byKey))
	if q.Reverse {
		slices.Reverse(keys)
	}
	limit := q.Limit
	if r.page > 0 {
		limit = min(limit, r.page)
	}
	var out abi.ListResponse
	size := 0
	for _, k := range keys {
		if k < string(q.Start) || len(q.End) > 0 && k >= string(q.End) {
			continue
		}
		size += len(k) + len(r.byKey[k])
		if len(out.Entries) == limit || len(out.Entries) > 0 && size > abi.MaxListBytes {
			out.More = true
			break
		}
		out.Entries = append(out.Entries, abi.Entry{Key: []byte(k), Value: r.byKey[k]})
	}
	return out, nil
}

// apply commits a turn.
func (r *rows) apply(t *host.Turn) {
	if t.AlarmSet {
		r.alarm = t.Alarm
	}
	for _, w := range t.Writes {
		r.write(w)
	}
}

// write applies an effect if it writes a row.
func (r *rows) write(e abi.Effect) {
	if r.byKey == nil {
		r.byKey = make(map[string][]byte)
	}
	switch w := e.(type) {
	case *abi.PutEffect:
		r.byKey[string(w.Key)] = slices.Clone(w.Value)
	case *abi.DeleteEffect:
		delete(r.byKey, string(w.Key))
	case *abi.DeleteRangeEffect:
		maps.DeleteFunc(r.byKey, func(k string, _ []byte) bool {
			return k >= string(w.Start) && (len(w.End) == 0 || k < string(w.End))
		})
	}
}
