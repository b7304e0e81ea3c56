package session_test

import (
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// benchHost is the least host: rows in a map, and no delivery.
type benchHost map[string][]byte

func (h benchHost) Get(key string) ([]byte, bool) { v, ok := h[key]; return v, ok }

func (h benchHost) List(abi.ListRequest) abi.ListResponse { return abi.ListResponse{} }

func (h benchHost) Log(abi.LogLevel, string) {}

// raw is what a publish costs without the protocol.
type raw struct{}

func (raw) Message(room *rooms.Room, _ *rooms.Connection, m rooms.Message) { room.Broadcast(m) }

// benchRoom runs one room of an instance.
type benchRoom struct {
	instance *rooms.Instance
	batch    abi.Batch
	buf      []byte
}

func newBenchRoom(kind string) *benchRoom {
	m := parlorModule(session.Options{})
	m.Register("raw", func() rooms.Kind { return raw{} }, rooms.Options{})
	b := &benchRoom{instance: rooms.NewInstance(m, benchHost{})}
	b.batch = abi.Batch{Handle: 1, Time: uint64(time.Now().UnixMilli())}
	b.turn(&abi.StartEvent{Kind: kind, Room: "r", Reason: abi.StartCold, Term: "t"})
	return b
}

func (b *benchRoom) turn(events ...abi.Event) []byte {
	b.batch.Events = events
	b.buf = abi.AppendBatch(b.buf[:0], &b.batch)
	return b.instance.Turn(b.buf)
}

// BenchmarkPublish is one publish from the bytes of its batch to the bytes of its effects, in a room
// of four members: by the protocol in both forms, and as a raw message that is only passed on.
func BenchmarkPublish(b *testing.B) {
	const data = `{"text":"hello, everybody, how are you today?"}`
	for _, f := range []protocol.Form{protocol.JSON, protocol.Binary} {
		b.Run(f.Subprotocol(), func(b *testing.B) {
			r := newBenchRoom("parlor")
			enc := map[protocol.Form]abi.Encoding{protocol.JSON: abi.Text, protocol.Binary: abi.Binary}[f]
			for id := uint64(1); id <= 4; id++ {
				r.turn(&abi.ConnectEvent{Connection: abi.Connection{ID: id, User: "ann", Protocol: f.Subprotocol()}})
				hello := protocol.ClientMessage{Type: protocol.TypeHello}
				r.turn(&abi.MessageEvent{Connection: id, Encoding: enc, Data: hello.Append(nil, f)})
			}
			var buf []byte
			seq := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				m := pub(seq, "message", data)
				buf = m.Append(buf[:0], f)
				if out := r.turn(&abi.MessageEvent{Connection: 1, Encoding: enc, Data: buf}); len(out) < 100 {
					b.Fatalf("%q", out)
				}
			}
		})
	}
	b.Run("raw", func(b *testing.B) {
		r := newBenchRoom("raw")
		r.turn(&abi.ConnectEvent{Connection: abi.Connection{ID: 1, User: "ann"}})
		b.ReportAllocs()
		for b.Loop() {
			r.turn(&abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte(data)})
		}
	})
}
