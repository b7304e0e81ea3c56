package abi_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// publishBatch is what a host sends for one publish of a chat room, publishEffects what comes
// back: an ack, a broadcast, two rows.
func publishBatch() *abi.Batch { return batches()[1].value }

func publishEffects() []abi.Effect {
	return []abi.Effect{
		&abi.PutEffect{Key: []byte("\x00h\x00\x00\x00\x00\x00\x00\x00\x83"), Value: make([]byte, 120)},
		&abi.PutEffect{Key: []byte("\x00s0123456789abcdef"), Value: make([]byte, 60)},
		&abi.BroadcastEffect{Encoding: abi.Text, Protocol: "oriel.v1.json", Data: make([]byte, 128)},
		&abi.SendEffect{Connection: 7, Encoding: abi.Text, Data: []byte(`{"type":"ack","seq":7,"offset":131}`)},
	}
}

func BenchmarkBatchEncode(b *testing.B) {
	batch, buf := publishBatch(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = abi.AppendBatch(buf[:0], batch)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkBatchDecode(b *testing.B) {
	in := abi.AppendBatch(nil, publishBatch())
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := abi.DecodeBatch(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEffectsEncode(b *testing.B) {
	list, buf := publishEffects(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = abi.AppendEffects(buf[:0], list)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkEffectsDecode(b *testing.B) {
	in := abi.AppendEffects(nil, publishEffects())
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, err := abi.DecodeEffects(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckMessage(b *testing.B) {
	e := publishBatch().Events[0]
	b.ReportAllocs()
	for b.Loop() {
		if err := abi.CheckEvent(e); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations holds what the hot path allocates: nothing to encode; to decode, the list
// and one value per item.
func TestAllocations(t *testing.T) {
	batch, list, buf := publishBatch(), publishEffects(), make([]byte, 0, 4096)
	event := batch.Events[0]
	in, out := abi.AppendBatch(nil, batch), abi.AppendEffects(nil, list)
	for _, tt := range []struct {
		name string
		want float64
		run  func()
	}{
		{"encode a batch", 0, func() { buf = abi.AppendBatch(buf[:0], batch) }},
		{"encode effects", 0, func() { buf = abi.AppendEffects(buf[:0], list) }},
		{"check a message", 0, func() { _ = abi.CheckEvent(event) }},
		{"decode a batch", 3, func() { _, _ = abi.DecodeBatch(in) }},            // batch, list, message
		{"decode effects", 1 + 4 + 1, func() { _, _ = abi.DecodeEffects(out) }}, // list, effects, a protocol's name
	} {
		if got := testing.AllocsPerRun(100, tt.run); got > tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}
