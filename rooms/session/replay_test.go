package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestParts: a long replay comes in parts, at the client's pace, and nothing live comes before its
// end.
func TestParts(t *testing.T) {
	each(t, session.Options{History: 5000, Room: rooms.Options{QueueBytes: 8192}}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		bob.Drop(abi.CodeAbnormal)
		for range 30 {
			ann.publish("message", `"`+strings.Repeat("x", 300)+`"`)
		}
		drain(ann)
		bob2 := h.connect("bob").hello(bob.back())
		if !bob2.welcome.Resumed {
			t.Fatalf("%+v", bob2.welcome)
		}
		parts, events := 0, 0
		for range 100 {
			got := bob2.got()
			if len(got) == 0 {
				break
			}
			size := 0
			for _, s := range got {
				if strings.HasPrefix(s, "event") {
					events++
					size += 400
				}
			}
			if size > 2500 {
				t.Errorf("a part of about %d bytes", size)
			}
			last := got[len(got)-1]
			if strings.HasPrefix(last, "more") {
				parts++
				if last != fmt.Sprintf("more %d", events) {
					t.Errorf("%s after %d events", last, events)
				}
				if parts == 2 { // meanwhile the room goes on
					ann.publish("message", "")
					ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing"})
					bob2.seq = 0
					bob2.publish("message", "")
					bob2.say(req(1, "echo", "1"))
					bob2.want("ack 1@32", "response 1 1")
					h.Sleep()
				}
				bob2.say(protocol.ClientMessage{Type: protocol.TypeMore})
				continue
			}
			if last != "members ann:1 bob:1" {
				t.Errorf("the last part ends with %q", last)
			}
		}
		if events != 32 || parts < 5 {
			t.Errorf("%d events in %d parts", events, parts+1)
		}
		ann.publish("message", "")
		bob2.want("event message@33 ann")
		bob2.say(protocol.ClientMessage{Type: protocol.TypeMore})
		bob2.want("error wrong_order")
	})
}

// TestPartEvents: 500 events are a part, 501 are two.
func TestPartEvents(t *testing.T) {
	h := newParlor(t, session.Options{History: 5000}, mode{form: protocol.Binary}, roomtest.Options{Volatile: true})
	ann := h.join("ann")
	publishMany := func(n int) {
		var batch []abi.Event
		for range n {
			ann.seq++
			batch = append(batch, ann.event(pub(ann.seq, "e", "")))
		}
		h.Run(batch...)
	}
	publishMany(500)
	bob := h.connect("bob").hello(protocol.ClientMessage{HasOffset: true})
	if got := bob.got(); len(got) != 500 || got[499] != "event e@500 ann" {
		t.Errorf("%d messages, the last %s", len(got), got[len(got)-1])
	}
	publishMany(1)
	cid := h.connect("cid").hello(protocol.ClientMessage{HasOffset: true})
	if got := cid.got(); len(got) != 501 || got[500] != "more 500" {
		t.Errorf("%d messages, the last %s", len(got), got[len(got)-1])
	}
}

// TestTurnBudget: many replays in one turn give way to each other in place of failing the turn.
func TestTurnBudget(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{Volatile: true})
	ann := h.join("ann")
	for range 8 {
		ann.publish("message", `"`+strings.Repeat("x", 60_000)+`"`)
	}
	drain(ann)
	var clients []*client
	var batch []abi.Event
	for i := range 60 {
		c := h.connect(fmt.Sprint("u", i))
		clients = append(clients, c)
		batch = append(batch, c.event(protocol.ClientMessage{Type: protocol.TypeHello, HasOffset: true}))
	}
	h.Run(batch...)
	empty := 0
	for _, c := range clients {
		for range 20 {
			got := c.got()
			events := 0
			more := false
			for _, s := range got {
				if strings.HasPrefix(s, "event") {
					events++
				}
				more = more || strings.HasPrefix(s, "more")
			}
			if more && events == 0 {
				empty++
			}
			if !more {
				break
			}
			c.say(protocol.ClientMessage{Type: protocol.TypeMore})
		}
		if c.offset != 8 {
			t.Errorf("%s is at %d", c.User, c.offset)
		}
	}
	if empty == 0 {
		t.Error("no part was empty: the test does not reach the budget")
	}
}

// TestReplayPassed: retention passes a client that does not ask for more.
func TestReplayPassed(t *testing.T) {
	each(t, session.Options{History: 20, Room: rooms.Options{QueueBytes: 4096}}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		for range 10 {
			ann.publish("message", `"`+strings.Repeat("x", 500)+`"`)
		}
		bob := h.connect("bob").hello(protocol.ClientMessage{HasOffset: true})
		for range 30 {
			ann.publish("message", "")
		}
		bob.say(protocol.ClientMessage{Type: protocol.TypeMore})
		bob.wantClosed(abi.CodeSlowConsumer)
	})
}
