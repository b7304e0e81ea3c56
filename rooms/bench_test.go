package rooms_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// BenchmarkTurn is the SDK's own cost of a turn, natively: one message in, a row and a
// broadcast out.
func BenchmarkTurn(b *testing.B) {
	var m rooms.Module
	m.Register("echo", func() rooms.Kind {
		return &funcs{message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
			r.Storage().Put("last", m.Data)
			r.Broadcast(m)
		}}
	}, rooms.Options{})
	i := rooms.NewInstance(&m, emptyHost{})
	i.Turn(abi.AppendBatch(nil, &abi.Batch{Handle: 1, Events: []abi.Event{
		&abi.StartEvent{Kind: "echo", Room: "r", Reason: abi.StartCold, Connections: []abi.Connection{{ID: 1}}},
	}}))
	batch := abi.AppendBatch(nil, &abi.Batch{Handle: 1, Events: []abi.Event{
		&abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: make([]byte, 128)},
	}})
	b.ReportAllocs()
	for b.Loop() {
		i.Turn(batch)
	}
}

// BenchmarkStart is what a sleeping room of a hundred connections costs to wake, natively.
func BenchmarkStart(b *testing.B) {
	var m rooms.Module
	m.Register("empty", func() rooms.Kind { return struct{}{} }, rooms.Options{})
	start := &abi.StartEvent{Kind: "empty", Room: "r", Reason: abi.StartWake}
	for id := uint64(1); id <= 100; id++ {
		start.Connections = append(start.Connections, abi.Connection{ID: id, User: "somebody", Attachment: make([]byte, 64)})
	}
	batch := abi.AppendBatch(nil, &abi.Batch{Handle: 1, Events: []abi.Event{start}})
	b.ReportAllocs()
	for b.Loop() {
		rooms.NewInstance(&m, emptyHost{}).Turn(batch)
	}
}
