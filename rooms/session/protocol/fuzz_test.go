package protocol_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// FuzzDecode feeds a room what a client may send. What decodes survives both forms unchanged.
func FuzzDecode(f *testing.F) {
	for _, c := range clientGolden {
		f.Add(true, c.m.Append(nil, protocol.JSON))
		f.Add(false, c.m.Append(nil, protocol.Binary))
	}
	f.Fuzz(func(t *testing.T, text bool, b []byte) {
		form := protocol.Binary
		if text {
			form = protocol.JSON
		}
		input := bytes.Clone(b)
		var d protocol.Decoder
		var m protocol.ClientMessage
		if err := d.Decode(&m, form, b); err != nil {
			var e *protocol.Error
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		var again protocol.ClientMessage // the decoder knows the name now and may take its short way
		if err := d.Decode(&again, form, b); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("decoded again: %v\n%+v\n%+v", err, again, m)
		}
		if !bytes.Equal(b, input) {
			t.Fatal("the decoder changed its input")
		}
		if m.Type != protocol.TypePublish {
			m.Seq = 0 // a field that the type has no use for
		}
		if m.Type != protocol.TypeRequest {
			m.ID, m.HasID = 0, false
		}
		if m.Type != protocol.TypeHello {
			m.Session, m.Offset, m.HasOffset = "", 0, false
		}
		if !m.HasOffset {
			m.Incarnation = ""
		}
		if m.Type == protocol.TypeHello || m.Type == protocol.TypeMore || m.Type == protocol.TypePing {
			m.Event = ""
		}
		if m.Type == protocol.TypeMore || m.Type == protocol.TypePing {
			m.Payload = protocol.Payload{}
		}
		for _, form := range []protocol.Form{protocol.JSON, protocol.Binary} {
			var back protocol.ClientMessage
			if err := d.Decode(&back, form, m.Append(nil, form)); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			if m.Payload.Format == protocol.FormatJSON {
				// The JSON form drops the white space around a value.
				m.Payload.Data = bytes.Trim(m.Payload.Data, " \t\r\n")
				back.Payload.Data = bytes.Trim(back.Payload.Data, " \t\r\n")
			}
			if len(m.Payload.Data) == 0 && len(back.Payload.Data) == 0 {
				back.Payload.Data = m.Payload.Data
			}
			if !reflect.DeepEqual(m, back) {
				t.Fatalf("\n%+v\n%+v", m, back)
			}
		}
	})
}

// FuzzDecodeRoom feeds a client what a room may send.
func FuzzDecodeRoom(f *testing.F) {
	for _, c := range roomGolden {
		f.Add(true, c.m.Append(nil, protocol.JSON))
		f.Add(false, c.m.Append(nil, protocol.Binary))
	}
	f.Fuzz(func(t *testing.T, text bool, b []byte) {
		form := protocol.Binary
		if text {
			form = protocol.JSON
		}
		m, err := protocol.DecodeRoom(form, b)
		if err != nil {
			var e *protocol.Error
			if !errors.As(err, &e) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if m == nil {
			return
		}
		back, err := protocol.DecodeRoom(form, m.Append(nil, form))
		if err != nil {
			t.Fatalf("%+v: %v", m, err)
		}
		if !bytes.Equal(back.Append(nil, form), m.Append(nil, form)) {
			t.Fatalf("\n%+v\n%+v", m, back)
		}
	})
}

// FuzzPages feeds the decoders of the protocol's own requests.
func FuzzPages(f *testing.F) {
	f.Add([]byte(`{"before":100,"limit":50}`))
	f.Add([]byte(`{"events":[{"event":"a","offset":1,"time":2}],"more":true}`))
	f.Add([]byte(`{"members":[{"user":"ann","connections":1}],"more":false,"counts":{"users":1,"connections":1}}`))
	f.Add([]byte{1, 50, 100})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, form := range []protocol.Form{protocol.JSON, protocol.Binary} {
			p := protocol.PagePayload(b, form)
			if q, err := protocol.DecodeHistoryQuery(p, form); err == nil && (q.Limit < 1 || q.Limit > protocol.MaxPage || q.HasBefore && q.HasAfter) {
				t.Fatalf("%+v", q)
			}
			if q, err := protocol.DecodeMembersQuery(p, form); err == nil && (q.Limit < 1 || q.Limit > protocol.MaxPage || len(q.After) > protocol.MaxUser) {
				t.Fatalf("%+v", q)
			}
			if page, err := protocol.DecodeHistoryPage(p, form); err == nil {
				again := protocol.PagePayload(protocol.AppendHistoryPage(nil, &page, form), form)
				if _, err := protocol.DecodeHistoryPage(again, form); err != nil {
					t.Fatal(err)
				}
			}
			if page, err := protocol.DecodeMembersPage(p, form); err == nil {
				again := protocol.PagePayload(protocol.AppendMembersPage(nil, &page, form), form)
				if _, err := protocol.DecodeMembersPage(again, form); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
