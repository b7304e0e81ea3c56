package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

func TestPublish(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		drain(ann, bob)
		ann.publish("message", `{"text":"hi"}`)
		ann.want("event message@1 ann (term-1)", "ack 1@1")
		bob.want("event message@1 ann (term-1)")
		bob.publish("message", `1`)
		ann.want("event message@2 bob")
		bob.want("event message@2 bob", "ack 1@2")
		ann.publish("nothing", "")
		ann.want("ack 2")
		ann.publish("ephemeral", `1`)
		ann.want("event ephemeral@0 ann", "ack 3")
		bob.want("event ephemeral@0 ann")
		ann.publish("two", "")
		ann.want("event first@3", "event two@4 ann", "ack 4@4")
	})
}

// TestMixedForms: clients of both forms hear each other, and opaque bytes reach both.
func TestMixedForms(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	ann := h.connectForm("ann", protocol.JSON).hello(protocol.ClientMessage{})
	bob := h.connectForm("bob", protocol.Binary).hello(protocol.ClientMessage{})
	drain(ann, bob)
	for i, p := range []session.Payload{session.JSON(`{"a": 1.50}`), session.Bytes([]byte{0, 255}), {}} {
		from, seq := ann, uint64(i+1)
		from.say(protocol.ClientMessage{Type: protocol.TypePublish, Seq: seq, Event: "e", Payload: p})
		for _, c := range []*client{ann, bob} {
			e, ok := c.read()[0].(*protocol.Event)
			if !ok || e.Payload.Format != p.Format || string(e.Payload.Data) != string(p.Data) {
				t.Errorf("%s got %+v, want %+v", c.User, e, p)
			}
		}
	}
	// No frame of a form that nobody speaks.
	bob.Drop(abi.CodeNormal)
	h.Effects()
	ann.say(pub(4, "e", ""))
	for _, e := range h.Effects() {
		if b, ok := e.(*abi.BroadcastEffect); ok && b.Protocol == protocol.SubprotocolBinary {
			t.Errorf("a broadcast for nobody: %+v", b)
		}
	}
}

// TestFinalErrors: each consumes its number, is remembered, and is given again.
func TestFinalErrors(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		drain(ann)
		for i, c := range []struct{ event, code string }{
			{"invalid", "invalid"}, {"plain", "invalid"}, {"odd", "invalid"}, {"code", "forbidden"}, {"big", "too_large"},
		} {
			seq := uint64(i + 1)
			want := fmt.Sprintf("error %s seq=%d", c.code, seq)
			ann.say(pub(seq, c.event, ""))
			ann.want(want)
			ann.say(pub(seq, "message", "1")) // a duplicate, whatever it holds
			ann.want(want)
		}
		ann.say(pub(6, "message", ""))
		ann.want("event message@1 ann (term-1)", "ack 6@1")
	})
}

// TestRetryable: a retryable error does not consume its number, and what follows is refused
// until it is sent again.
func TestRetryable(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		drain(ann)
		h.Run(ann.event(pub(1, "slow", "")), ann.event(pub(2, "message", "")), ann.event(pub(3, "message", "")))
		ann.want("error rate_limited seq=1 retry=500", "error out_of_order seq=2 retry=0 expected=1", "error out_of_order seq=3 retry=0 expected=1")
		h.Run(ann.event(pub(1, "message", "")), ann.event(pub(2, "message", "")))
		ann.want("event message@1 ann (term-1)", "ack 1@1", "event message@2 ann", "ack 2@2")
	})
}

// TestOrder is the table of PROTOCOL.md, section 6, at each of its edges.
func TestOrder(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		var batch []abi.Event
		for seq := uint64(1); seq <= 100; seq++ {
			batch = append(batch, ann.event(pub(seq, "message", "")))
		}
		h.Run(batch...)
		drain(ann)
		for _, c := range []struct {
			seq  uint64
			want string
		}{
			{100, "ack 100@100"},
			{37, "ack 37@37"},
			{36, "error out_of_order seq=36 retry=0 expected=101"},
			{1, "error out_of_order seq=1 retry=0 expected=101"},
			{102, "error out_of_order seq=102 retry=0 expected=101"},
			{164, "error out_of_order seq=164 retry=0 expected=101"},
			{165, "error too_many_open seq=165 retry=0 expected=101"},
			{protocol.MaxInteger, "error too_many_open seq=9007199254740991 retry=0 expected=101"},
		} {
			ann.say(pub(c.seq, "message", ""))
			ann.want(c.want)
		}
		ann.say(pub(101, "message", ""))
		ann.want("event message@101 ann", "ack 101@101")
	})
}

func TestOpenOption(t *testing.T) {
	h := newParlor(t, session.Options{Open: 2}, mode{form: protocol.JSON}, roomtest.Options{})
	ann := h.join("ann")
	drain(ann)
	if ann.welcome.LimitOpen != 2 {
		t.Errorf("welcome says %d", ann.welcome.LimitOpen)
	}
	ann.say(pub(2, "message", ""))
	ann.say(pub(3, "message", ""))
	ann.want("error out_of_order seq=2 retry=0 expected=1", "error too_many_open seq=3 retry=0 expected=1")
}

// TestMalformed: after the welcome a malformed message is answered by what could be read of it, and a
// publish then has its final answer.
func TestMalformed(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	ann := h.join("ann")
	drain(ann)
	for _, c := range []struct{ text, want string }{
		{`{`, "error malformed"},
		{`{"type":"weather"}`, "error malformed"},
		{`{"type":"publish","seq":1,"event":"e","data":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, "error malformed seq=1"},
		{`{"type":"publish","seq":1,"event":"e"}`, "error malformed seq=1"},
		{`{"type":"publish","seq":3,"event":""}`, "error out_of_order seq=3 retry=0 expected=2"},
		{`{"type":"request","id":9,"event":""}`, "error malformed id=9"},
		{`{"type":"signal","event":""}`, "error malformed"},
		{`{"type":"more"}`, "error wrong_order"},
		{`{"type":"ping" }`, "pong"},
	} {
		ann.Send(c.text)
		ann.want(c.want)
	}
	ann.SendBinary([]byte{2})
	ann.want("error unsupported_encoding")
	ann.wantOpen()
	bin := h.connectForm("bob", protocol.Binary).hello(protocol.ClientMessage{})
	bin.SendBinary([]byte{0x99})
	bin.want("error malformed")
	bin.Send("x")
	bin.want("error unsupported_encoding")
	bin.Client.Messages()
	bin.Send(protocol.PingText)
	if got := bin.Client.Texts(); len(got) != 1 || got[0] != protocol.PongText {
		t.Errorf("text ping on a binary connection: %q", got)
	}
}

// TestRejected: a publish that traps gets a final error and consumes its number; what was sent
// around it is applied once.
func TestRejected(t *testing.T) {
	for _, m := range []mode{{protocol.JSON, false}, {protocol.Binary, true}} {
		h := newParlor(t, session.Options{}, m, roomtest.Options{AllowTraps: true})
		ann, bob := h.join("ann"), h.join("bob")
		drain(ann, bob)
		h.Run(ann.event(pub(1, "message", "")), ann.event(pub(2, "panic", "")), ann.event(pub(3, "message", "")), bob.event(pub(1, "message", "")))
		h.Advance(2 * time.Second)
		var acks []string
		for _, s := range ann.got() {
			if !strings.HasPrefix(s, "event") && !strings.HasPrefix(s, "members") {
				acks = append(acks, s)
			}
		}
		// The restart is between 2 and 3: what came with the trap may be refused as out of order
		// first, and is sent again then, as a client does.
		if got := strings.Join(acks, "; "); got != "ack 1@1; error rejected seq=2; ack 3@2" && got != "ack 1@1; error out_of_order seq=3 retry=0 expected=2; error rejected seq=2" {
			t.Errorf("%v", acks)
		}
		ann.say(pub(2, "message", ""))
		ann.want("error rejected seq=2")
		if len(h.Rejections()) == 0 {
			t.Error("nothing trapped")
		}
		// Requests and signals that trap are answered too; presence is told anew after a trap.
		ann.say(req(5, "panic", ""))
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "panic"})
		h.Advance(2 * time.Second)
		if got := strings.Join(ann.got(), "; "); got != "error rejected id=5; error rejected; members ann:1 bob:1" {
			t.Errorf("%s", got)
		}
		ann.wantOpen()
		bob.wantOpen()
	}
}

// TestRejectedHello: a hello that traps closes its connection, and no other.
func TestRejectedHello(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{AllowTraps: true})
	ann := h.join("ann")
	bob := h.connect("bob")
	bob.say(protocol.ClientMessage{Type: protocol.TypeHello, Payload: session.JSON(`"panic"`)})
	bob.wantClosed(abi.CodeRejected)
	ann.wantOpen()
	if got := h.count("joins"); got != 1 {
		t.Errorf("%d joins", got)
	}
}

// TestCommitFails: a publish whose commit failed was not consumed, nobody heard of it, and its sender
// gets a retryable error.
func TestCommitFails(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		ann.publish("message", "")
		drain(ann, bob)
		h.FailCommits(1)
		h.Run(ann.event(pub(2, "message", "")), ann.event(pub(3, "message", "")))
		ann.want("error storage_unavailable seq=2 retry=1000", "error storage_unavailable seq=3 retry=1000")
		bob.want()
		h.Run(ann.event(pub(2, "message", "")), ann.event(pub(3, "message", "")))
		ann.want("event message@2 ann", "ack 2@2", "event message@3 ann", "ack 3@3")
	})
}

// TestHelloCommitFails: the client is closed with a code that says come back.
func TestHelloCommitFails(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.connect("ann")
		h.FailCommits(1)
		ann.say(protocol.ClientMessage{Type: protocol.TypeHello})
		ann.want()
		ann.wantClosed(abi.CodeStorageUnavailable)
	})
}

// TestStoreAway: publishes are refused retryably and hello with a close; requests, signals and
// duplicates are answered.
func TestStoreAway(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob, cid := h.join("ann"), h.join("bob"), h.connect("cid")
		ann.publish("message", "")
		drain(ann, bob)
		h.StoreAway(true)
		ann.say(pub(2, "message", ""))
		ann.say(pub(1, "message", ""))
		ann.say(req(1, "echo", `"x"`))
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing"})
		ann.want("error storage_unavailable seq=2 retry=1000", "ack 1@1", `response 1 "x"`)
		bob.want("signal typing ann")
		cid.say(protocol.ClientMessage{Type: protocol.TypeHello})
		cid.wantClosed(abi.CodeStorageUnavailable)
		if _, reason, _ := cid.Closed(); abi.RetryHint(reason) != time.Second {
			t.Errorf("reason %q", reason)
		}
		bob.Drop(abi.CodeAbnormal)
		ann.want("leave bob") // no grace can be kept
		h.StoreAway(false)
		ann.say(pub(2, "message", ""))
		ann.want("event message@2 ann", "ack 2@2")
		// Bob's session is still there, although his leaving could not be written.
		bob2 := h.connect("bob").hello(bob.back())
		if bob2.welcome.Session != bob.welcome.Session || !bob2.welcome.Resumed {
			t.Errorf("%+v", bob2.welcome)
		}
	})
}

// TestUnknownEvents: without the handlers a room takes nothing, and says so.
func TestUnknownEvents(t *testing.T) {
	m := parlorModule(session.Options{})
	session.RegisterIn(m, "empty", func() session.Kind { return struct{}{} }, session.Options{})
	h := &parlorHost{Host: roomtest.New(t, roomtest.Options{Module: m, Kind: "empty"}), t: t, mode: mode{form: protocol.JSON}}
	ann := h.join("ann")
	drain(ann)
	ann.say(pub(1, "message", ""))
	ann.say(req(4, "x", ""))
	ann.say(req(5, "oriel.x", ""))
	ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing"})
	ann.want("error unknown_event seq=1", "error unknown_event id=4", "error unknown_event id=5", "error unknown_event")
}
