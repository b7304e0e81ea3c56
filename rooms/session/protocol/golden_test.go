package protocol_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is one example of testdata/golden.json. Clients in other languages read it too:
// Text decodes to Fields, and a client's Fields encode to Text.
type golden struct {
	Name   string          `json:"name"`
	Sender string          `json:"sender"` // "client" or "room"
	Text   string          `json:"json"`
	Hex    string          `json:"binary"`
	Fields json.RawMessage `json:"fields"`
}

var clientGolden = []struct {
	name string
	m    protocol.ClientMessage
}{
	{"hello, new", protocol.ClientMessage{Type: protocol.TypeHello}},
	{"hello, resume", protocol.ClientMessage{Type: protocol.TypeHello, Session: "kq3vVwqyR0Gq1nQm3cX2Zw", HasOffset: true, Incarnation: "4hJ0c9-_Qx2pT7dLr8aYbA", Offset: 123}},
	{"hello, from the beginning", protocol.ClientMessage{Type: protocol.TypeHello, HasOffset: true, Payload: protocol.JSONPayload(`{"name":"Ann"}`)}},
	{"hello, again", protocol.ClientMessage{Type: protocol.TypeHello, ID: 2, HasID: true, Session: "kq3vVwqyR0Gq1nQm3cX2Zw", HasOffset: true, Incarnation: "4hJ0c9-_Qx2pT7dLr8aYbA", Offset: 123}},
	{"publish", protocol.ClientMessage{Type: protocol.TypePublish, Seq: 7, Event: "message", Payload: protocol.JSONPayload(`{"text":"hi"}`)}},
	{"publish, no payload", protocol.ClientMessage{Type: protocol.TypePublish, Seq: 1, Event: "wave"}},
	{"publish, null", protocol.ClientMessage{Type: protocol.TypePublish, Seq: 2, Event: "topic", Payload: protocol.JSONPayload(`null`)}},
	{"publish, bytes", protocol.ClientMessage{Type: protocol.TypePublish, Seq: protocol.MaxInteger, Event: "blob", Payload: protocol.BytesPayload([]byte{0, 1, 0xfe, 0xff})}},
	{"publish, text in many scripts", protocol.ClientMessage{Type: protocol.TypePublish, Seq: 8, Event: "message", Payload: protocol.JSONPayload("{\"text\":\"grüße, \u4e16\u754c \U0001f30d \\ud83c\\udf0d\"}")}},
	{"request", protocol.ClientMessage{Type: protocol.TypeRequest, ID: 0, HasID: true, Event: "rules"}},
	{"signal", protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing", Payload: protocol.JSONPayload(`true`)}},
	{"more", protocol.ClientMessage{Type: protocol.TypeMore}},
	{"ping", protocol.ClientMessage{Type: protocol.TypePing}},
}

var roomGolden = []struct {
	name string
	m    protocol.RoomMessage
}{
	{"welcome, new", &protocol.Welcome{Connection: "12", Session: "kq3vVwqyR0Gq1nQm3cX2Zw", Reason: protocol.ReasonNew,
		Members: []protocol.Member{{User: "ann", Connections: 1}}, Heartbeat: 25000, First: 1, RetentionEvents: 1000,
		Keep: 86400000, LimitMessage: 65536, LimitOpen: 64}},
	{"welcome, resumed", &protocol.Welcome{Connection: "13", Session: "kq3vVwqyR0Gq1nQm3cX2Zw", Incarnation: "4hJ0c9-_Qx2pT7dLr8aYbA",
		Offset: 130, Seq: 6, Resumed: true,
		Members:   []protocol.Member{{User: "ann", Connections: 2, Data: []byte(`{"name":"Ann"}`)}, {User: "bob \"b\" é", Connections: 1}},
		Heartbeat: 25000, First: 31, RetentionEvents: 100, RetentionAge: 604800000,
		Keep: 86400000, LimitMessage: 65536, LimitOpen: 64, Payload: protocol.JSONPayload(`{"topic":"tea"}`)}},
	{"welcome, counts", &protocol.Welcome{Connection: "14", Session: "s", Incarnation: "i", Offset: 5, Reason: protocol.ReasonHistory,
		Counts: &protocol.Counts{Users: 1200, Connections: 1300}, First: 6, LimitMessage: 1024, LimitOpen: 64}},
	{"welcome, to a hello with an id", &protocol.Welcome{Connection: "14", Session: "s", ID: 2, HasID: true, Incarnation: "i", Offset: 5, Seq: 3, Resumed: true,
		Members: []protocol.Member{{User: "ann", Connections: 1}}, Heartbeat: 25000, First: 1, LimitMessage: 1024, LimitOpen: 64}},
	{"ack", &protocol.Ack{Seq: 7, Offset: 131}},
	{"ack, no event", &protocol.Ack{Seq: 8}},
	{"error, retryable", &protocol.ErrorMessage{Seq: 7, Code: "rate_limited", Text: "slow down", Retryable: true, Retry: 500}},
	{"error, at once", &protocol.ErrorMessage{Seq: 9, Code: "out_of_order", Retryable: true, Expected: 8}},
	{"error, final", &protocol.ErrorMessage{Seq: 7, Code: "invalid", Text: "text: \"empty\""}},
	{"error, of a request", &protocol.ErrorMessage{HasID: true, ID: 0, Code: "unknown_event"}},
	{"error, of nothing named", &protocol.ErrorMessage{Code: "malformed", Text: "type: unknown"}},
	{"event", &protocol.Event{Name: "message", Offset: 131, From: "ann", Time: 1790000000000, Payload: protocol.JSONPayload(`{"text":"hi"}`)}},
	{"event, first of an incarnation", &protocol.Event{Name: "message", Offset: 132, Incarnation: "4hJ0c9-_Qx2pT7dLr8aYbA", From: "bob", Time: 1790000000001, Payload: protocol.BytesPayload([]byte("\x00\xff"))}},
	{"event, ephemeral, of the room", &protocol.Event{Name: "tick", Time: 1790000000002}},
	{"response", &protocol.Response{ID: 3, Payload: protocol.JSONPayload(`{"events":[],"more":false}`)}},
	{"response, empty", &protocol.Response{ID: 4}},
	{"signal", &protocol.Signal{Name: "typing", From: "ann", Payload: protocol.JSONPayload(`true`)}},
	{"presence, deltas", &protocol.Presence{Join: []protocol.Member{{User: "ann", Connections: 2}}, Leave: []string{"bob", ""}}},
	{"presence, whole", &protocol.Presence{Whole: true, Members: []protocol.Member{{User: "ann", Connections: 1}}}},
	{"presence, nobody", &protocol.Presence{Whole: true}},
	{"presence, counts", &protocol.Presence{Counts: &protocol.Counts{Users: 3, Connections: 4}}},
	{"more", &protocol.Part{Offset: 500}},
	{"pong", &protocol.Pong{}},
}

func examples() []golden {
	var out []golden
	for _, c := range clientGolden {
		text := c.m.Append(nil, protocol.JSON)
		out = append(out, golden{c.name, "client", string(text), hex.EncodeToString(c.m.Append(nil, protocol.Binary)), text})
	}
	for _, c := range roomGolden {
		text := c.m.Append(nil, protocol.JSON)
		out = append(out, golden{c.name, "room", string(text), hex.EncodeToString(c.m.Append(nil, protocol.Binary)), text})
	}
	return out
}

func TestGolden(t *testing.T) {
	const file = "testdata/golden.json"
	if *update {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(examples()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []golden
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	got := examples()
	if len(got) != len(want) {
		t.Fatalf("%d examples in Go, %d in %s", len(got), len(want), file)
	}
	for i := range got {
		if got[i].Text != want[i].Text || got[i].Hex != want[i].Hex || got[i].Name != want[i].Name {
			t.Errorf("%s:\n got %s %s\nwant %s %s", want[i].Name, got[i].Text, got[i].Hex, want[i].Text, want[i].Hex)
		}
		if !json.Valid([]byte(got[i].Text)) {
			t.Errorf("%s: not JSON: %s", got[i].Name, got[i].Text)
		}
	}
}

// TestGoldenDecode decodes what the file holds, in both forms, and expects the same message.
func TestGoldenDecode(t *testing.T) {
	var d protocol.Decoder
	for _, c := range clientGolden {
		for _, f := range []protocol.Form{protocol.JSON, protocol.Binary} {
			var got protocol.ClientMessage
			b := c.m.Append(nil, f)
			if err := d.Decode(&got, f, b); err != nil {
				t.Errorf("%s: %v: %q", c.name, err, b)
			} else if !reflect.DeepEqual(got, c.m) {
				t.Errorf("%s, form %d:\n got %+v\nwant %+v", c.name, f, got, c.m)
			}
		}
	}
	for _, c := range roomGolden {
		for _, f := range []protocol.Form{protocol.JSON, protocol.Binary} {
			b := c.m.Append(nil, f)
			got, err := protocol.DecodeRoom(f, b)
			if err != nil {
				t.Errorf("%s: %v: %q", c.name, err, b)
			} else if !reflect.DeepEqual(got, c.m) {
				t.Errorf("%s, form %d:\n got %+v\nwant %+v", c.name, f, got, c.m)
			}
		}
	}
}

// TestWireNames holds the exact text of DESIGN's examples, so that a change of the encoder and
// of the golden file together is still noticed.
func TestWireNames(t *testing.T) {
	for want, m := range map[string]protocol.RoomMessage{
		`{"type":"ack","seq":7,"offset":131}`: &protocol.Ack{Seq: 7, Offset: 131},
		`{"type":"event","event":"message","offset":131,"from":"ann","time":1790000000000,"data":{"text":"hi"}}`: &protocol.Event{
			Name: "message", Offset: 131, From: "ann", Time: 1790000000000, Payload: protocol.JSONPayload(`{"text":"hi"}`)},
		`{"type":"error","seq":7,"code":"rate_limited","message":"x","retry":500}`: &protocol.ErrorMessage{
			Seq: 7, Code: "rate_limited", Text: "x", Retryable: true, Retry: 500},
		`{"type":"pong"}`: &protocol.Pong{},
	} {
		if got := string(m.Append(nil, protocol.JSON)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	ping := protocol.ClientMessage{Type: protocol.TypePing}
	if got := string(ping.Append(nil, protocol.JSON)); got != protocol.PingText {
		t.Errorf("ping: %s", got)
	}
	if got := string(ping.Append(nil, protocol.Binary)); got != protocol.PingBinary {
		t.Errorf("ping: %x", got)
	}
}
