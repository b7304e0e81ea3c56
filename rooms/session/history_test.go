package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestHistoryAge: old events go, by the alarm, without anybody's help.
func TestHistoryAge(t *testing.T) {
	each(t, session.Options{HistoryAge: 16 * time.Second}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("message", "")
		h.Advance(5 * time.Second)
		ann.publish("message", "")
		drain(ann)
		who := func(want string) {
			t.Helper()
			ann.say(req(1, "who", ""))
			ann.want(`response 1 {"user":"ann","head":2,` + want + `}`)
		}
		h.Advance(11 * time.Second) // 16 s: not yet
		who(`"first":1`)
		h.Advance(time.Second) // 17 s: the first goes
		who(`"first":2`)
		h.Advance(5 * time.Second)
		who(`"first":3`)
		if at, ok := h.Alarm(); ok && at.Sub(h.Now()) < time.Minute {
			t.Errorf("the alarm is still set, to %v after %v", at, h.Now())
		}
		bob := h.connect("bob").hello(ann.at("term-1", 2))
		if w := bob.welcome; w.First != 3 || w.Offset != 2 || w.Incarnation != "term-1" || !w.Resumed {
			t.Errorf("%+v", w)
		}
		for k := range h.Storage().Rows() {
			if strings.HasPrefix(k, "\x00sh") {
				t.Errorf("row %q is left", k)
			}
		}
		// The head is known although every event is gone.
		h.Sleep()
		ann.publish("message", "")
		ann.want("join bob:1", "event message@3 ann", "ack 3@3")
	})
}

// TestHistoryLength: no more than so many events are seen, and rows go by the chunk.
func TestHistoryLength(t *testing.T) {
	each(t, session.Options{History: 32}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		for range 100 {
			ann.publish("message", "")
		}
		drain(ann)
		ann.say(req(1, "who", ""))
		ann.want(`response 1 {"user":"ann","head":100,"first":69}`)
		rows := 0
		for k := range h.Storage().Rows() {
			if strings.HasPrefix(k, "\x00sh") {
				rows++
			}
		}
		if rows < 32 || rows > 34 {
			t.Errorf("%d rows", rows)
		}
	})
}

// TestManyIncarnations: the list is bounded.
func TestManyIncarnations(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	ann := h.join("ann")
	for i := range 300 {
		h.Move(fmt.Sprint("t", i))
		ann.publish("message", "")
	}
	drain(ann)
	for _, c := range []struct {
		incarnation string
		offset      uint64
		want        protocol.Reason
	}{{"t43", 44, protocol.ReasonIncarnation}, {"t44", 45, protocol.ReasonNone}} {
		bob := h.connect("bob").hello(protocol.ClientMessage{HasOffset: true, Incarnation: c.incarnation, Offset: c.offset})
		if bob.welcome.Reason != c.want {
			t.Errorf("%s: %s", c.incarnation, bob.welcome.Reason)
		}
		bob.Close()
	}
}

func TestReplace(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("message", `"secret"`)
		ann.publish("replace", "1")
		ann.publish("replace", "9")
		drain(ann)
		ann.say(req(1, "history", ""))
		for _, m := range ann.read() {
			page, err := protocol.DecodeHistoryPage(m.(*protocol.Response).Payload, h.mode.form)
			if err != nil || len(page.Events) != 2 || string(page.Events[0].Payload.Data) != `"replaced"` || page.Events[0].From != "ann" {
				t.Errorf("%+v, %v", page, err)
			}
		}
	})
}
