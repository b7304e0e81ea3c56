package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestError(t *testing.T) {
	id := RoomID{Kind: "chat", Name: "a"}
	for _, tc := range []struct {
		err  *Error
		want string
	}{
		{&Error{Op: "commit", Room: id, Err: ErrVoid}, "store: commit chat/a: void, because an earlier commit of the room failed"},
		{&Error{Op: "open", Path: "/data", Err: ErrLocked}, "store: open /data: in use by another process"},
		{&Error{Op: "alarms", Err: ErrClosed}, "store: alarms: closed"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
		if !errors.Is(tc.err, tc.err.Err) {
			t.Errorf("%v hides its cause", tc.err)
		}
	}
}

func TestEmpty(t *testing.T) {
	if c := (Commit{Number: 7, Time: 1, Durability: Relaxed}); !c.Empty() {
		t.Error("a number alone changes nothing")
	}
	for i, c := range []Commit{
		{Writes: make([]Write, 1)}, {Alarm: &Alarm{}}, {Host: []byte{}}, {Outbox: make([][]byte, 1)}, {OutboxDone: make([]uint64, 1)},
	} {
		if c.Empty() {
			t.Errorf("commit %d is empty", i)
		}
	}
}

func TestSize(t *testing.T) {
	c := Commit{
		Writes: []Write{{Key: make([]byte, 1), Value: make([]byte, 2), End: make([]byte, 4)}},
		Host:   make([]byte, 8), Outbox: [][]byte{make([]byte, 16)}, OutboxDone: make([]uint64, 4),
	}
	if got := c.Size(); got != 1+2+4+8+16+32 {
		t.Errorf("%d", got)
	}
}

// Ids of outbox rows rise with commits and rows, up to the greatest of both.
func TestOutboxID(t *testing.T) {
	ids := []uint64{
		OutboxID(1, 0), OutboxID(1, 1), OutboxID(1, abi.MaxEffectCount-1), OutboxID(2, 0),
		OutboxID(MaxNumber, 0), OutboxID(MaxNumber, abi.MaxEffectCount-1),
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) || ids[0] == 0 {
		t.Errorf("%x", ids)
	}
	if ids[5] != 1<<64-1 {
		t.Errorf("the last id is %x", ids[5])
	}
}

func TestRoomID(t *testing.T) {
	for id, want := range map[RoomID]bool{
		{"chat", "a"}: true, {"", "a"}: false, {"chat", ""}: false, {"chat", ".."}: false, {"a/b", "c"}: false, {"a", "b\x00c"}: false,
	} {
		if id.Valid() != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{0, SyncBounds[0], SyncBounds[0] + 1, time.Second, time.Second + 1, time.Hour} {
		h.Observe(d)
	}
	var want [len(SyncBounds) + 1]uint64
	want[0], want[1], want[len(SyncBounds)-1], want[len(SyncBounds)] = 2, 1, 1, 2
	if h.Buckets != want || h.Count != 6 || h.Sum <= time.Hour {
		t.Errorf("%+v", h)
	}
}

func ExampleOutboxID() {
	fmt.Println(OutboxID(3, 0), OutboxID(3, 1))
	// Output: 49152 49153
}
