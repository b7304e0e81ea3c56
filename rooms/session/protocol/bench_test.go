package protocol_test

import (
	"encoding/json"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

var (
	publishText = []byte(`{"type":"publish","seq":7,"event":"message","data":{"text":"hello, everybody, how are you today?","reply":12}}`)
	eventSample = protocol.Event{Name: "message", Offset: 131, From: "ann", Time: 1790000000000,
		Payload: protocol.JSONPayload(`{"text":"hello, everybody, how are you today?","reply":12}`)}
)

// BenchmarkDecodePublish compares the two forms with encoding/json.
func BenchmarkDecodePublish(b *testing.B) {
	b.Run("json", func(b *testing.B) {
		var d protocol.Decoder
		var m protocol.ClientMessage
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Decode(&m, protocol.JSON, publishText); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("binary", func(b *testing.B) {
		var d protocol.Decoder
		var m protocol.ClientMessage
		if err := d.Decode(&m, protocol.JSON, publishText); err != nil {
			b.Fatal(err)
		}
		bin := m.Append(nil, protocol.Binary)
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Decode(&m, protocol.Binary, bin); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v struct {
				Type, Event string
				Seq         uint64
				Data        json.RawMessage
			}
			if err := json.Unmarshal(publishText, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAppendEvent compares the two forms with encoding/json.
func BenchmarkAppendEvent(b *testing.B) {
	for name, form := range map[string]protocol.Form{"json": protocol.JSON, "binary": protocol.Binary} {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = eventSample.Append(buf[:0], form)
			}
		})
	}
	b.Run("encoding-json", func(b *testing.B) {
		v := struct {
			Type   string          `json:"type"`
			Event  string          `json:"event"`
			Offset uint64          `json:"offset"`
			From   string          `json:"from"`
			Time   uint64          `json:"time"`
			Data   json.RawMessage `json:"data"`
		}{"event", "message", 131, "ann", 1790000000000, eventSample.Payload.Data}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReadPayload compares what a kind does with a payload with encoding/json.
func BenchmarkReadPayload(b *testing.B) {
	data := eventSample.Payload.Data
	b.Run("jsonx", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var text string
			var reply uint64
			r := jsonx.NewReader(data)
			for key := range r.Object() {
				switch string(key) {
				case "text":
					text = r.String()
				case "reply":
					reply = r.Uint()
				}
			}
			if r.End() != nil || text == "" || reply != 12 {
				b.Fatal(r.Err())
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v struct {
				Text  string
				Reply uint64
			}
			if err := json.Unmarshal(data, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
