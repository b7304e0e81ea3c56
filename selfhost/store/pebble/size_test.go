package pebble

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// An open room that does nothing must cost little: there may be a million.
func TestIdleRoomSize(t *testing.T) {
	s := memory(t, Options{})
	const n = 5000
	ids := make([]store.RoomID, n)
	for i := range ids {
		ids[i] = store.RoomID{Kind: "chat", Name: fmt.Sprintf("room-%09d", i)}
	}
	rooms := make([]store.Room, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i, id := range ids {
		rooms[i] = openRoom(t, s, id)
		_, _, _ = rooms[i].Get(ctx, []byte("absent"))
		rooms[i].(*room).cache.Clear()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes", each)
	if each > 900 {
		t.Errorf("%d bytes, want at most 900", each)
	}
	runtime.KeepAlive(rooms)
}
