package chat_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	_ "github.com/oriel-rooms/oriel/rooms/chat"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// noHost is a host without rows.
type noHost struct{}

func (noHost) Get(string) ([]byte, bool)             { return nil, false }
func (noHost) List(abi.ListRequest) abi.ListResponse { return abi.ListResponse{} }
func (noHost) Log(abi.LogLevel, string)              {}

// benchRoom is a chat with four members, natively and without a host.
type benchRoom struct {
	instance *rooms.Instance
	batch    abi.Batch
	encoded  []byte
	seq      uint64
	data     []byte
}

func newBenchRoom() *benchRoom {
	r := &benchRoom{instance: rooms.NewInstance(rooms.Registered(), noHost{})}
	r.batch.Time = 1_700_000_000_000
	r.start(1)
	return r
}

func (r *benchRoom) start(handle uint64) {
	r.batch.Handle, r.seq = handle, 0
	r.turn(&abi.StartEvent{Kind: "chat", Room: "room", Reason: abi.StartCold, Term: "term"})
	hello := protocol.ClientMessage{Type: protocol.TypeHello}
	for id := uint64(1); id <= 4; id++ {
		r.turn(&abi.ConnectEvent{Connection: abi.Connection{ID: id, User: "user-" + string(rune('0'+id)), Protocol: protocol.SubprotocolJSON, Since: 1}})
		r.turn(&abi.MessageEvent{Connection: id, Encoding: abi.Text, Data: hello.Append(nil, protocol.JSON)})
	}
}

func (r *benchRoom) turn(events ...abi.Event) {
	r.batch.Events = append(r.batch.Events[:0], events...)
	r.encoded = abi.AppendBatch(r.encoded[:0], &r.batch)
	r.instance.Turn(r.encoded)
}

var benchText = protocol.JSONPayload(`{"text":"a message of about the length that people write"}`)

// publish is the first member's next message.
func (r *benchRoom) publish() *abi.MessageEvent {
	r.seq++
	r.batch.Time += 25 // within the kind's rate
	m := protocol.ClientMessage{Type: protocol.TypePublish, Seq: r.seq, Event: "message", Payload: benchText}
	r.data = m.Append(r.data[:0], protocol.JSON)
	return &abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: r.data}
}

// BenchmarkPublish is one message in one turn. Its profile is what the shipped module is inlined
// by (see RATIONALE.md).
func BenchmarkPublish(b *testing.B) {
	r := newBenchRoom()
	b.ReportAllocs()
	for b.Loop() {
		r.turn(r.publish())
	}
}

// BenchmarkLife is a room from its start to its end: four members, ten messages.
func BenchmarkLife(b *testing.B) {
	r := newBenchRoom()
	handle := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		r.turn(&abi.ForgetEvent{})
		handle++
		r.start(handle)
		for range 10 {
			r.turn(r.publish())
		}
	}
}

// TestPublishAllocatesNothing: see RATIONALE.md.
func TestPublishAllocatesNothing(t *testing.T) {
	r := newBenchRoom()
	for range 200 {
		r.turn(r.publish())
	}
	encoded := make([][]byte, 100)
	for i := range encoded {
		r.batch.Events = []abi.Event{r.publish()}
		encoded[i] = abi.AppendBatch(nil, &r.batch)
	}
	next := 0
	if n := testing.AllocsPerRun(len(encoded)-1, func() {
		r.instance.Turn(encoded[next])
		next++
	}); n > 0 {
		t.Errorf("%v allocations for a publish", n)
	}
}
