package protocol_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// bad is one example of testdata/malformed.json: what a room refuses from a client.
type bad struct {
	Name  string `json:"name"`
	Text  string `json:"json,omitempty"`
	Hex   string `json:"binary,omitempty"`
	Field string `json:"field"`         // that the error names
	Seq   uint64 `json:"seq,omitempty"` // that can still be answered
}

func TestMalformed(t *testing.T) {
	b, err := os.ReadFile("testdata/malformed.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []bad
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 40 {
		t.Fatalf("only %d examples", len(all))
	}
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) {
			var d protocol.Decoder
			var m protocol.ClientMessage
			f, raw := protocol.JSON, []byte(c.Text)
			if c.Hex != "" {
				f = protocol.Binary
				if raw, err = hex.DecodeString(c.Hex); err != nil {
					t.Fatal(err)
				}
			}
			err := d.Decode(&m, f, raw)
			var e *protocol.Error
			if !errors.As(err, &e) || !errors.Is(err, protocol.ErrMalformed) {
				t.Fatalf("decoded %+v with %v", m, err)
			}
			if e.Field != c.Field {
				t.Errorf("error names %q, want %q: %v", e.Field, c.Field, err)
			}
			if m.Seq != c.Seq {
				t.Errorf("seq %d, want %d", m.Seq, c.Seq)
			}
		})
	}
}

// TestLimits decodes each bounded value at its limit and one past it.
func TestLimits(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	publish := func(event, data string) string {
		return `{"type":"publish","seq":1,"event":"` + event + `","data":` + data + `}`
	}
	for _, c := range []struct{ name, at, past string }{
		{"event name", publish(strings.Repeat("e", 64), "1"), publish(strings.Repeat("e", 65), "1")},
		{"depth", publish("e", nested(64)), publish("e", nested(65))},
		{"depth of objects", publish("e", strings.Repeat(`{"a":`, 63)+"{}"+strings.Repeat("}", 63)), publish("e", strings.Repeat(`{"a":`, 64)+"{}"+strings.Repeat("}", 64))},
		{"integer", `{"type":"request","id":9007199254740991,"event":"e"}`, `{"type":"request","id":9007199254740992,"event":"e"}`},
		{"seq", `{"type":"publish","seq":1,"event":"e"}`, `{"type":"publish","seq":0,"event":"e"}`},
		{"session", `{"type":"hello","session":"` + strings.Repeat("s", 64) + `"}`, `{"type":"hello","session":"` + strings.Repeat("s", 65) + `"}`},
		{"incarnation", `{"type":"hello","offset":1,"incarnation":"` + strings.Repeat("s", 64) + `"}`, `{"type":"hello","offset":1,"incarnation":"` + strings.Repeat("s", 65) + `"}`},
	} {
		var d protocol.Decoder
		var m protocol.ClientMessage
		if err := d.Decode(&m, protocol.JSON, []byte(c.at)); err != nil {
			t.Errorf("%s at the limit: %v", c.name, err)
		} else {
			// The same values pass in the binary form.
			if err := d.Decode(&m, protocol.Binary, m.Append(nil, protocol.Binary)); err != nil {
				t.Errorf("%s at the limit, binary: %v", c.name, err)
			}
		}
		if err := d.Decode(&m, protocol.JSON, []byte(c.past)); err == nil {
			t.Errorf("%s past the limit: decoded %+v", c.name, m)
		}
	}
	for _, m := range []protocol.ClientMessage{
		{Type: protocol.TypePublish, Seq: 1, Event: strings.Repeat("e", 65)},
		{Type: protocol.TypePublish, Seq: 0, Event: "e"},
		{Type: protocol.TypePublish, Seq: protocol.MaxInteger + 1, Event: "e"},
		{Type: protocol.TypePublish, Seq: 1, Event: "e", Payload: protocol.JSONPayload(nested(65))},
		{Type: protocol.TypeHello, Session: strings.Repeat("s", 65)},
		{Type: protocol.TypeHello, ID: protocol.MaxInteger + 1, HasID: true},
	} {
		var d protocol.Decoder
		var got protocol.ClientMessage
		if err := d.Decode(&got, protocol.Binary, m.Append(nil, protocol.Binary)); err == nil {
			t.Errorf("decoded %+v", got)
		}
	}
}

// TestAccepts lists what is unusual and still well-formed.
func TestAccepts(t *testing.T) {
	var d protocol.Decoder
	for _, s := range []string{
		" {\n\"seq\" : 7 , \"type\":\"publish\",\t\"event\":\"message\",\"data\": {\"text\":\"hi\"} } ",
		`{"type":"publish","seq":7,"event":"message","later":{"a":[1,2]},"later":3,"data":{"text":"hi"}}`,
		`{"ty\u0070e":"pu\u0062lish","seq":7,"event":"m\u0065ssage","data":{"text":"hi"}}`,
		`{"type":"publish","seq":7,"id":null,"event":"message","bytes":null,"data":{"text":"hi"}}`,
	} {
		var m protocol.ClientMessage
		if err := d.Decode(&m, protocol.JSON, []byte(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		} else if m.Seq != 7 || m.Event != "message" || string(m.Payload.Data) != `{"text":"hi"}` {
			t.Errorf("%s: %+v", s, m)
		}
	}
	var m protocol.ClientMessage
	if err := d.Decode(&m, protocol.JSON, []byte(`{"type":"publish","seq":1,"event":"e","data":{"a":1.50,"a":"\ud800"}}`)); err != nil {
		t.Fatal(err)
	}
	if string(m.Payload.Data) != `{"a":1.50,"a":"\ud800"}` {
		t.Errorf("payload changed: %s", m.Payload.Data)
	}
}

// TestRoomGrowth: a client ignores what it does not know in the JSON form, and only there.
func TestRoomGrowth(t *testing.T) {
	if m, err := protocol.DecodeRoom(protocol.JSON, []byte(`{"type":"weather","sun":true}`)); m != nil || err != nil {
		t.Errorf("%v, %v", m, err)
	}
	m, err := protocol.DecodeRoom(protocol.JSON, []byte(`{"type":"ack","seq":7,"offset":3,"mood":["fine"]}`))
	if a, ok := m.(*protocol.Ack); err != nil || !ok || a.Offset != 3 {
		t.Errorf("%v, %v", m, err)
	}
	for _, s := range []string{"", "\x00", "\x1a", "\x12\x01", "\x12\x01\x02\x03", "\x14\x04", "\x17\x03"} {
		if m, err := protocol.DecodeRoom(protocol.Binary, []byte(s)); err == nil {
			t.Errorf("%x: decoded %+v", s, m)
		}
	}
	for _, s := range []string{"", "[]", "{", `{}`, `{"type":"ack"}`, `{"type":"ack","seq":1,"seq":2}`, `{"type":"ack","seq":-1}`,
		`{"type":"event"}`, `{"type":"error"}`, `{"type":"welcome"}`, `{"type":"presence"}`, `{"type":"response"}`, `{"type":"pong"} x`} {
		if m, err := protocol.DecodeRoom(protocol.JSON, []byte(s)); err == nil {
			t.Errorf("%s: decoded %+v", s, m)
		}
	}
}

func TestPages(t *testing.T) {
	for _, f := range []protocol.Form{protocol.JSON, protocol.Binary} {
		for _, q := range []protocol.HistoryQuery{{}, {HasBefore: true, Before: 9, Limit: 200}, {HasAfter: true, After: 0, Limit: 1}, {Limit: 1000}} {
			got, err := protocol.DecodeHistoryQuery(q.Payload(f), f)
			want := q
			if want.Limit == 0 {
				want.Limit = protocol.DefaultHistoryPage
			}
			want.Limit = min(want.Limit, protocol.MaxPage)
			if err != nil || got != want {
				t.Errorf("form %d: %+v, %v; want %+v", f, got, err, want)
			}
		}
		for _, q := range []protocol.MembersQuery{{}, {HasAfter: true, After: "bob \"x\""}, {HasAfter: true, Limit: 7}} {
			got, err := protocol.DecodeMembersQuery(q.Payload(f), f)
			want := q
			if want.Limit == 0 {
				want.Limit = protocol.DefaultMembersPage
			}
			if err != nil || got != want {
				t.Errorf("form %d: %+v, %v; want %+v", f, got, err, want)
			}
		}
		page := protocol.HistoryPage{More: true, Events: []protocol.Event{
			{Name: "a", Offset: 1, Time: 5, Incarnation: "x", From: "ann", Payload: protocol.JSONPayload(`[1]`)},
			{Name: "b", Offset: 2, Time: 6, Payload: protocol.BytesPayload([]byte{1})}}}
		got, err := protocol.DecodeHistoryPage(protocol.PagePayload(protocol.AppendHistoryPage(nil, &page, f), f), f)
		if err != nil || !got.More || len(got.Events) != 2 || got.Events[0].Incarnation != "" || got.Events[1].Offset != 2 ||
			string(got.Events[0].Payload.Data) != `[1]` || got.Events[0].From != "ann" {
			t.Errorf("form %d: %+v, %v", f, got, err)
		}
		members := protocol.MembersPage{Counts: protocol.Counts{Users: 9, Connections: 10}, More: true,
			Members: []protocol.Member{{User: "ann", Connections: 2, Data: []byte(`{}`)}, {User: "bob", Connections: 1}}}
		back, err := protocol.DecodeMembersPage(protocol.PagePayload(protocol.AppendMembersPage(nil, &members, f), f), f)
		if err != nil || !back.More || back.Counts != members.Counts || len(back.Members) != 2 || string(back.Members[0].Data) != `{}` {
			t.Errorf("form %d: %+v, %v", f, back, err)
		}
	}
	for _, s := range []string{`[]`, `{"limit":0}`, `{"limit":-1}`, `{"limit":"5"}`, `{"before":1,"after":2}`, `{"before":1.5}`} {
		if q, err := protocol.DecodeHistoryQuery(protocol.JSONPayload(s), protocol.JSON); err == nil {
			t.Errorf("%s: %+v", s, q)
		}
	}
	for _, s := range []string{`{"after":3}`, `{"limit":0}`, `{"after":"` + strings.Repeat("x", 129) + `"}`} {
		if q, err := protocol.DecodeMembersQuery(protocol.JSONPayload(s), protocol.JSON); err == nil {
			t.Errorf("%s: %+v", s, q)
		}
	}
	for _, b := range [][]byte{{}, {4, 0}, {3, 0, 1}, {1, 0}, {0, 0, 0}} {
		if q, err := protocol.DecodeHistoryQuery(protocol.BytesPayload(b), protocol.Binary); err == nil {
			t.Errorf("%x: %+v", b, q)
		}
	}
}
