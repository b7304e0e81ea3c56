package storetest

import (
	"context"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

var (
	ctx   = context.Background()
	roomA = store.RoomID{Kind: "chat", Name: "a"}
)

func openStore(t *testing.T, e Engine, o Options) store.Store {
	t.Helper()
	return e(t, o).Store(t)
}

// Open opens a room.
func Open(t testing.TB, s store.Store, id store.RoomID) store.Room {
	t.Helper()
	r, err := s.Open(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Wait commits and returns the answer.
func Wait(r store.Room, c store.Commit) error {
	answer := make(chan error, 1)
	r.Commit(c, func(err error) { answer <- err })
	return <-answer
}

// Put is the write of one row.
func Put(k, v string) store.Write {
	return store.Write{Op: store.Put, Key: []byte(k), Value: []byte(v)}
}

// Delete is the removal of one row.
func Delete(k string) store.Write { return store.Write{Op: store.Delete, Key: []byte(k)} }

// DeleteRange is the removal of the rows from a to b.
func DeleteRange(a, b string) store.Write {
	return store.Write{Op: store.DeleteRange, Key: []byte(a), End: []byte(b)}
}

// List returns rows as "key=value".
func List(t testing.TB, r store.Room, q abi.ListRequest) (rows []string, more bool) {
	t.Helper()
	res, err := r.List(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range res.Entries {
		rows = append(rows, string(e.Key)+"="+string(e.Value))
	}
	return rows, res.More
}

// All returns all rows of a room that has few.
func All(t testing.TB, r store.Room) []string {
	t.Helper()
	rows, more := List(t, r, abi.ListRequest{Limit: abi.MaxListEntries})
	if more {
		t.Fatal("too many rows")
	}
	return rows
}

// Get returns a row's value, or "-" if there is none.
func Get(t testing.TB, r store.Room, key string) string {
	t.Helper()
	v, ok, err := r.Get(ctx, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "-"
	}
	return string(v)
}
