package scheduler

import (
	"bytes"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

var (
	chatOne = store.RoomID{Kind: "chat", Name: "one"}
	ann     = abi.Connection{ID: 7, User: "ann", Protocol: "oriel.v1.json", Since: 5, Attachment: []byte("a"), Tags: []string{"t"}, Muted: true}
)

// FuzzFrames feeds what another node may send, gone wrong on the way: an error or a value that
// encodes to the same bytes again, never a panic.
func FuzzFrames(f *testing.F) {
	f.Add((&attachFrame{id: chatOne, recorded: true, connections: []abi.Connection{ann}}).append(nil))
	f.Add(appendEvents(nil, []abi.Event{
		&abi.ConnectEvent{Connection: abi.Connection{ID: 8, User: "bob"}, Query: "a=b"},
		&abi.MessageEvent{Connection: 7, Encoding: abi.Text, Data: []byte("hi")},
		&abi.CloseEvent{Connection: 7, Code: 1000}, &abi.AlarmEvent{},
		&abi.RequestEvent{ID: 9, Method: "GET", Path: "/x"},
		&abi.ToldEvent{FromKind: "chat", FromRoom: "two", ID: 1 << 40, Data: []byte("x")},
	}))
	f.Add(appendTurn(nil, &host.Turn{
		Decision: true, Events: []abi.Event{&abi.CloseEvent{Connection: 7, Code: 4000, Reason: "x"}},
		Effects: []abi.Effect{&abi.BroadcastEffect{Encoding: abi.Binary, Data: []byte("x")}, &abi.AttachEffect{Connection: 7, Data: []byte("b")},
			&abi.RespondEffect{Request: 9, Status: 200}},
	}))
	f.Add(appendEvents(nil, []abi.Event{&abi.NotifiedEvent{Connection: 7, Event: "e", Encoding: abi.Text}}))
	f.Add(appendNotify([]notice{{chatOne, &abi.NotifiedEvent{Connection: 7, FromKind: "chat", FromRoom: "two", Event: "e", Encoding: abi.Binary, Data: []byte{0xff}}}}))
	f.Add(toldKey{chatOne, 1 << 60}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		var again []byte
		switch b[0] {
		case frameAttach:
			a, err := decodeAttach(b[1:])
			if err != nil {
				return
			}
			if a2, err := decodeAttach(a.append(nil)[1:]); err != nil || len(a2.connections) != len(a.connections) || a2.id != a.id {
				t.Errorf("%+v does not come back: %v", a, err)
			}
			return
		case frameEvents:
			events, err := decodeEvents(b[1:])
			if err != nil {
				return
			}
			again = appendEvents(nil, events)
		case frameTurn:
			turn, err := decodeTurn(b[1:])
			if err != nil {
				return
			}
			again = appendTurn(nil, turn)
		case frameNotify:
			notices, err := decodeNotify(b[1:])
			if err != nil {
				return
			}
			again = appendNotify(notices)
		case frameTold:
			k, err := decodeTold(b[1:])
			if err != nil {
				return
			}
			again = k.append(nil)
		default:
			return
		}
		if !bytes.Equal(again, b) {
			t.Errorf("%x comes back as %x", b, again)
		}
	})
}

// TestForeignFrames: what only a host may say of its own room is not taken from another node.
func TestForeignFrames(t *testing.T) {
	for name, b := range map[string][]byte{
		"a start":   appendEvents(nil, []abi.Event{&abi.StartEvent{Kind: "chat", Room: "one", Reason: abi.StartCold, Term: "t"}}),
		"presence":  appendEvents(nil, []abi.Event{&abi.PresenceEvent{Users: []abi.UserPresence{{User: "ann"}}}}),
		"a tick":    appendEvents(nil, []abi.Event{&abi.TickEvent{}}),
		"a refusal": appendEvents(nil, []abi.Event{&abi.RejectedEvent{Code: abi.CodeRejected, Event: []byte("x")}}),
	} {
		if events, err := decodeEvents(b[1:]); err == nil {
			t.Errorf("%s was taken: %v", name, events)
		}
	}
	for name, e := range map[string]abi.Effect{
		"a put":    &abi.PutEffect{Key: []byte("k"), Value: []byte("v")},
		"a tell":   &abi.TellEffect{Kind: "chat", Room: "two"},
		"an alarm": &abi.AlarmEffect{Time: 1},
		"a watch":  &abi.WatchEffect{User: "ann", On: true},
		"a notify": &abi.NotifyEffect{User: "ann", Event: "e", Encoding: abi.Text},
	} {
		if turn, err := decodeTurn(appendTurn(nil, &host.Turn{Effects: []abi.Effect{e}})[1:]); err == nil {
			t.Errorf("%s was taken: %v", name, turn)
		}
	}
}

// TestChanges: the effects that a gateway hears after its link was broken make its view of a connection the owner's.
func TestChanges(t *testing.T) {
	was := abi.Connection{ID: 7, Attachment: []byte("a"), Tags: []string{"t"}, Muted: true}
	for name, now := range map[string]abi.Connection{
		"the same":   was,
		"attachment": {ID: 7, Attachment: []byte("b"), Tags: []string{"t"}, Muted: true},
		"tags":       {ID: 7, Attachment: []byte("a"), Tags: []string{"t", "u"}, Muted: true},
		"all":        {ID: 7},
	} {
		var gateway host.Table
		gateway.Add(was)
		missed := changes(&was, &now)
		turn, err := decodeTurn(appendTurn(nil, &host.Turn{Decision: true, Effects: missed})[1:])
		if err != nil {
			t.Fatal(name, err)
		}
		gateway.Deliver(turn, func(abi.Effect) {})
		got, _ := gateway.Get(7)
		if (len(missed) == 0) != (name == "the same") || len(changes(&got, &now)) != 0 {
			t.Errorf("%s: after %v the gateway has %+v", name, missed, got)
		}
	}
}
