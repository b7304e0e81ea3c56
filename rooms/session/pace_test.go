package session_test

import (
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestPace: a burst fits to its last message; the next one is refused softly, keeps its number,
// and fits once the time is over that the refusal says. Others are not concerned.
func TestPace(t *testing.T) {
	o := session.Options{Open: 4, Room: rooms.Options{MessagesPerSecond: 10, MessageBurst: 5}}
	for _, form := range []protocol.Form{protocol.JSON, protocol.Binary} {
		t.Run(form.Subprotocol(), func(t *testing.T) {
			h := newParlor(t, o, mode{form: form}, roomtest.Options{Volatile: true})
			ann, bob := h.join("ann"), h.join("bob")
			drain(ann, bob)
			for range 5 {
				ann.publish("message", "1")
			}
			drain(ann, bob)
			ann.say(pub(6, "message", "1"))
			refused := refusal(t, ann)
			// 100 ms for this message, and 100 each for the three that may be open beside it.
			if refused.Code != "rate_limited" || !refused.Retryable || refused.Seq != 6 || refused.Retry != 400 {
				t.Fatalf("%+v", refused)
			}
			bob.publish("message", "1")
			bob.want("event message@6 bob", "ack 1@6")
			drain(ann)

			ann.say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: 9, HasID: true, Event: protocol.RequestHistory})
			if e := refusal(t, ann); e.Code != "rate_limited" || !e.Retryable || !e.HasID || e.ID != 9 {
				t.Fatalf("a request: %+v", e)
			}

			h.Advance(99 * time.Millisecond)
			ann.say(pub(6, "message", "1"))
			if e := refusal(t, ann); e.Retry != 301 {
				t.Fatalf("a millisecond too early: %+v", e)
			}
			h.Advance(301 * time.Millisecond)
			for seq := uint64(6); seq < 10; seq++ {
				ann.say(pub(seq, "message", "1"))
			}
			ann.want("event message@7 ann", "ack 6@7", "event message@8 ann", "ack 7@8",
				"event message@9 ann", "ack 8@9", "event message@10 ann", "ack 9@10")
			ann.say(pub(10, "message", "1"))
			if e := refusal(t, ann); e.Code != "rate_limited" {
				t.Fatalf("one more: %+v", e)
			}
		})
	}
}

// refusal is the one message that a client got.
func refusal(t *testing.T, c *client) *protocol.ErrorMessage {
	t.Helper()
	m := c.read()
	if len(m) != 1 {
		t.Fatalf("got %d messages", len(m))
	}
	e, ok := m[0].(*protocol.ErrorMessage)
	if !ok {
		t.Fatalf("got %T", m[0])
	}
	return e
}
