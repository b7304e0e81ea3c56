package rows

import (
	"bytes"
	"context"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Source walks over the engine's rows of one list, in its order.
type Source interface {
	// Next moves to the next row, at first to the first one. It returns false at the end and
	// after an error.
	Next() bool
	// Key and Value are the row's, until the next call of Next.
	Key() []byte
	Value() ([]byte, error)
	// Err says why Next returned false; nil at the end.
	Err() error
}

// List returns up to limit rows, as [store.Room] says it, of those that src and over hold
// between the same bounds.
func List(ctx context.Context, src Source, over Snapshot, limit int, reverse bool) (res abi.ListResponse, err error) {
	size := 0
	add := func(key, value []byte) bool {
		size += len(key) + len(value)
		if len(res.Entries) == limit || len(res.Entries) > 0 && size > abi.MaxListBytes {
			res.More = true
			return false
		}
		row := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
		n := len(key)
		res.Entries = append(res.Entries, abi.Entry{Key: row[:n:n], Value: row[n:]})
		return true
	}
	rows := over.rows
	valid := src.Next()
	for n := 0; valid || len(rows) > 0; n++ {
		if n%1024 == 1023 {
			// A room may have buried millions of rows under one pending span.
			if err := ctx.Err(); err != nil {
				return abi.ListResponse{}, err
			}
		}
		order := -1 // of the engine's row against the pending one
		if !valid {
			order = 1
		} else if len(rows) > 0 {
			order = bytes.Compare(src.Key(), []byte(rows[0].Key))
			if reverse {
				order = -order
			}
		}
		if order < 0 {
			if !over.hides(src.Key()) {
				value, err := src.Value()
				if err != nil {
					return abi.ListResponse{}, err
				}
				if !add(src.Key(), value) {
					return res, nil
				}
			}
			valid = src.Next()
			continue
		}
		if row := &rows[0]; !row.Deleted && !add([]byte(row.Key), row.Value) {
			return res, nil
		}
		rows = rows[1:]
		if order == 0 {
			valid = src.Next()
		}
	}
	if err := src.Err(); err != nil {
		return abi.ListResponse{}, err
	}
	return res, nil
}
