package abi_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestRestored(t *testing.T) {
	start := &abi.StartEvent{Kind: "chat", Room: "room", Reason: abi.StartCold, Term: "term", Alarm: 5}
	for id := range uint64(300) {
		start.Connections = append(start.Connections, abi.Connection{ID: id + 1, User: "ann"})
	}
	tick := &abi.TickEvent{}
	for _, tt := range []struct {
		events []abi.Event
		want   int
	}{
		{nil, 0},
		{[]abi.Event{tick}, 0},
		{[]abi.Event{start, tick}, 300},
		{[]abi.Event{tick, start}, 0},
	} {
		b := abi.AppendBatch(nil, &abi.Batch{Handle: 1, Events: tt.events})
		if got := abi.Restored(b); got != tt.want {
			t.Errorf("%d connections in %v, want %d", got, tt.events, tt.want)
		}
		for n := range min(len(b), 100) {
			if got := abi.Restored(b[:n]); got > n {
				t.Fatalf("%d connections in %d bytes", got, n)
			}
		}
	}
}
