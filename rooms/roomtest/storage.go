package roomtest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// ErrStorage is what reads and commits fail with when a test asks for it.
var ErrStorage = errors.New("roomtest: the storage fails, as the test asked")

// Storage is an ordered key-value store in memory. The zero value is empty.
type Storage struct {
	rows map[string][]byte
	// FailReads makes every read fail.
	FailReads bool
	// PageRows, when not 0, bounds the rows of one answer to a list, so that lists come in pages.
	PageRows int
}

// Get implements host.Storage.
func (s *Storage) Get(_ context.Context, key []byte) ([]byte, bool, error) {
	if s.FailReads {
		return nil, false, ErrStorage
	}
	v, ok := s.rows[string(key)]
	return v, ok, nil
}

// List implements host.Storage.
func (s *Storage) List(_ context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	if s.FailReads {
		return abi.ListResponse{}, ErrStorage
	}
	keys := slices.Sorted(maps.Keys(s.rows))
	if q.Reverse {
		slices.Reverse(keys)
	}
	var r abi.ListResponse
	size, limit := 0, q.Limit
	if s.PageRows > 0 {
		limit = min(limit, s.PageRows)
	}
	for _, k := range keys {
		if bytes.Compare([]byte(k), q.Start) < 0 || len(q.End) > 0 && bytes.Compare([]byte(k), q.End) >= 0 {
			continue
		}
		size += len(k) + len(s.rows[k])
		if len(r.Entries) == limit || len(r.Entries) > 0 && size > abi.MaxListBytes {
			r.More = true
			break
		}
		r.Entries = append(r.Entries, abi.Entry{Key: []byte(k), Value: s.rows[k]})
	}
	return r, nil
}

// Apply applies put, delete and delete_range effects.
func (s *Storage) Apply(writes []abi.Effect) {
	if s.rows == nil {
		s.rows = make(map[string][]byte)
	}
	for _, w := range writes {
		switch w := w.(type) {
		case *abi.PutEffect:
			s.rows[string(w.Key)] = slices.Clone(w.Value)
		case *abi.DeleteEffect:
			delete(s.rows, string(w.Key))
		case *abi.DeleteRangeEffect:
			maps.DeleteFunc(s.rows, func(k string, _ []byte) bool {
				return k >= string(w.Start) && (len(w.End) == 0 || k < string(w.End))
			})
		}
	}
}

// Rows returns a copy of everything that is stored, the SDK's own rows included.
func (s *Storage) Rows() map[string][]byte { return maps.Clone(s.rows) }

func (s *Storage) clone() *Storage {
	return &Storage{rows: maps.Clone(s.rows), FailReads: s.FailReads, PageRows: s.PageRows}
}
