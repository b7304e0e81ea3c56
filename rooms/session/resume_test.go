package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

func TestWelcome(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		w := ann.welcome
		if len(w.Session) != 22 || w.Connection != "1" || w.Incarnation != "" || w.Offset != 0 || w.Seq != 0 || w.Resumed ||
			w.Reason != protocol.ReasonNew || renderMembers(w.Members) != "ann:1" || w.Heartbeat != 25000 || w.First != 1 ||
			w.RetentionEvents != 1000 || w.RetentionAge != 0 || w.Keep != 86400000 || w.LimitMessage != 65536 || w.LimitOpen != 64 ||
			string(w.Payload.Data) != `{"topic":"tea"}` {
			t.Errorf("%+v", w)
		}
		ann.want()
		ann.publish("message", "")
		bob := h.join("bob")
		if w := bob.welcome; w.Session == ann.welcome.Session || w.Incarnation != "term-1" || w.Offset != 1 || renderMembers(w.Members) != "ann:1 bob:1" {
			t.Errorf("%+v", w)
		}
		ann.want("event message@1 ann (term-1)", "ack 1@1", "join bob:1")
	})
}

// TestResume: what was missed follows the welcome, in order, once.
func TestResume(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		ann.publish("message", "")
		drain(bob)
		bob.Drop(abi.CodeAbnormal)
		ann.publish("message", "")
		ann.publish("message", "")
		bob2 := h.connect("bob").hello(bob.back())
		if w := bob2.welcome; !w.Resumed || w.Reason != 0 || w.Session != bob.welcome.Session || w.Offset != 3 {
			t.Errorf("%+v", w)
		}
		bob2.want("event message@2 ann", "event message@3 ann")
		ann.publish("message", "")
		bob2.want("event message@4 ann")
	})
}

// TestResumeInOneBatch: events of the turn in which a client says hello come once, whether they
// were before or after it.
func TestResumeInOneBatch(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.connect("bob")
		hello := protocol.ClientMessage{Type: protocol.TypeHello, HasOffset: true}
		h.Run(ann.event(pub(1, "message", "")), bob.event(hello), ann.event(pub(2, "message", "")))
		if got := strings.Join(bob.got()[1:], "; "); got != "event message@1 ann (term-1); event message@2 ann" {
			t.Error(got)
		}
	})
}

// TestResumeFromTheBeginning: a client that knew the room when it was empty misses nothing.
func TestResumeFromTheBeginning(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		bob := h.join("bob")
		bob.Drop(abi.CodeAbnormal)
		ann.publish("message", "")
		h.connect("bob").hello(bob.back()).want("event message@1 ann (term-1)")
	})
}

// TestGaps is the table of PROTOCOL.md, section 5.
func TestGaps(t *testing.T) {
	each(t, session.Options{History: 16}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		for range 5 {
			ann.publish("message", "")
		}
		h.Move("term-2")
		for range 5 {
			ann.publish("message", "")
		}
		h.Move("term-3") // no event under it yet
		drain(ann)
		for _, c := range []struct {
			incarnation string
			offset      uint64
			want        protocol.Reason
			events      int
		}{
			{"", 0, protocol.ReasonNone, 10},
			{"", 1, protocol.ReasonIncarnation, 0},
			{"term-1", 0, protocol.ReasonIncarnation, 0},
			{"term-1", 1, protocol.ReasonNone, 9},
			{"term-1", 5, protocol.ReasonNone, 5},
			{"term-1", 6, protocol.ReasonAhead, 0},
			{"term-2", 5, protocol.ReasonIncarnation, 0},
			{"term-2", 6, protocol.ReasonNone, 4},
			{"term-2", 10, protocol.ReasonNone, 0},
			{"term-2", 11, protocol.ReasonAhead, 0},
			{"term-3", 10, protocol.ReasonIncarnation, 0},
			{"nobody", 7, protocol.ReasonIncarnation, 0},
		} {
			bob := h.connect("bob").hello(protocol.ClientMessage{HasOffset: true, Incarnation: c.incarnation, Offset: c.offset})
			w := bob.welcome
			if w.Reason != c.want || w.Resumed != (c.want == 0) || w.Incarnation != "term-2" || w.Offset != 10 {
				t.Errorf("(%q, %d): %+v, want reason %s", c.incarnation, c.offset, w, c.want)
			}
			if got := bob.got(); len(got) != c.events {
				t.Errorf("(%q, %d): %v, want %d events", c.incarnation, c.offset, got, c.events)
			}
			bob.Close()
			h.Advance(time.Second)
		}
		// Further events push the first ones out of history.
		for range 10 {
			ann.publish("message", "")
		}
		drain(ann)
		for _, c := range []struct {
			incarnation string
			offset      uint64
			want        protocol.Reason
		}{
			{"", 0, protocol.ReasonHistory},
			{"term-1", 3, protocol.ReasonHistory},
			{"term-1", 4, protocol.ReasonNone},
			{"term-2", 9, protocol.ReasonNone},
			{"term-3", 20, protocol.ReasonNone},
		} {
			bob := h.connect("bob").hello(protocol.ClientMessage{HasOffset: true, Incarnation: c.incarnation, Offset: c.offset})
			if w := bob.welcome; w.Reason != c.want || w.First != 5 {
				t.Errorf("(%q, %d): %+v, want reason %s", c.incarnation, c.offset, w, c.want)
			}
			bob.Close()
		}
	})
}

// TestIncarnationTravels: a client hears of a new incarnation with its first event, live and in a
// replay, so its place is always a true one.
func TestIncarnationTravels(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		ann.publish("message", "")
		bob.Drop(abi.CodeAbnormal)
		h.Move("term-2")
		ann.publish("message", "")
		ann.publish("message", "")
		drain(ann)
		if ann.incarnation != "term-2" || ann.offset != 3 {
			t.Errorf("ann is at (%s, %d)", ann.incarnation, ann.offset)
		}
		back := bob.back()
		back.Offset, back.Incarnation = 0, ""
		h.connect("bob").hello(back).want("event message@1 ann (term-1)", "event message@2 ann (term-2)", "event message@3 ann")
	})
}

// TestLostCommits: when the store has lost its newest turns, the offsets are given again under
// another incarnation, and a client that heard of the lost ones is told.
func TestLostCommits(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("message", "1")
		before := h.Storage().Rows()
		ann.publish("message", "2")
		ann.publish("message", "3")
		drain(ann)
		var undo []abi.Effect
		for k := range h.Storage().Rows() {
			undo = append(undo, &abi.DeleteEffect{Key: []byte(k)})
		}
		for k, v := range before {
			undo = append(undo, &abi.PutEffect{Key: []byte(k), Value: v})
		}
		h.Restart("term-2")
		h.Storage().Apply(undo)

		bob := h.join("bob")
		bob.publish("message", `"other 2"`)
		ann2 := h.connect("ann").hello(ann.back())
		if w := ann2.welcome; w.Resumed || w.Reason != protocol.ReasonAhead || w.Incarnation != "term-2" || w.Offset != 2 || w.Seq != 1 {
			t.Errorf("%+v", w)
		}
		// The session has forgotten what it acknowledged: the client sees it by the number.
		ann2.say(pub(4, "message", ""))
		if got := strings.Join(ann2.got(), ""); got != "error out_of_order seq=4 retry=0 expected=2" {
			t.Error(got)
		}
	})
}

// TestSessionLost: the row of a connected session is gone, as after a loss.
func TestSessionLost(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		drain(ann)
		h.Sleep()
		h.Storage().Apply([]abi.Effect{&abi.DeleteEffect{Key: []byte("\x00ss" + ann.welcome.Session)}})
		ann.say(pub(1, "message", ""))
		ann.want("error session_lost seq=1")
		ann.wantOpen()
		again := h.connect("ann").hello(protocol.ClientMessage{Session: ann.welcome.Session})
		if again.welcome.Session == ann.welcome.Session || again.welcome.Seq != 0 {
			t.Errorf("%+v", again.welcome)
		}
	})
}
