package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestHelloAgain: what was lost follows the new welcome, once, in order; nobody else sees anything of
// it, whether the room has moved or not.
func TestHelloAgain(t *testing.T) {
	for _, move := range []bool{false, true} {
		each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
			ann, bob := h.join("ann"), h.join("bob")
			ann.publish("message", "")
			bob.publish("message", "")
			drain(ann, bob)
			ann.publish("message", "")
			bob.publish("message", "")
			drain(ann)
			bob.lose()
			if move {
				h.Cut(ann.Client, bob.Client)
				ann.publish("message", "")
				h.Move("term-2")
				ann.hello(ann.again()).want("event message@5 ann")
				if ann.welcome.Seq != 3 {
					t.Errorf("%+v", ann.welcome)
				}
			} else {
				ann.publish("message", "")
			}
			drain(ann)
			bob.hello(bob.again())
			if w := bob.welcome; !w.Resumed || w.Reason != 0 || w.Session != bob.at("", 0).Session || w.Offset != 5 || w.Seq != 2 ||
				renderMembers(w.Members) != "ann:1 bob:1" || string(w.Payload.Data) != `{"topic":"tea"}` {
				t.Errorf("%+v", w)
			}
			bob.want("event message@3 ann", "event message@4 bob", "event message@5 ann")
			bob.say(pub(2, "message", "")) // the first answer, again
			bob.publish("message", "")
			bob.publish("message", "")
			name := map[bool]string{true: " (term-2)"}[move]
			bob.want("ack 2@4", "event message@6 bob"+name, "ack 3@6", "event message@7 bob", "ack 4@7")
			ann.want("event message@6 bob"+name, "event message@7 bob")
			if move {
				h.Advance(time.Second) // the whole list, once
				drain(ann, bob)
			}
			h.Advance(time.Minute)
			ann.want()
			h.wantSessions(2)
			if got := h.count("left bob"); got != 0 {
				t.Errorf("bob left %d times", got)
			}
			bob.Drop(abi.CodeAbnormal)
			h.Advance(5 * time.Second)
			ann.want("leave bob")
		})
	}
}

// TestHelloAgainInOneBatch: events of the batch of a further hello come once, whether they were
// before or after it, and what was broadcast before it is before its welcome.
func TestHelloAgainInOneBatch(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		again := bob.again()
		again.Type = protocol.TypeHello
		drain(ann)
		h.Run(ann.event(pub(1, "message", "")), bob.event(pub(1, "message", "")), bob.event(again), ann.event(pub(2, "message", "")), bob.event(pub(2, "message", "")))
		var got []string
		for _, m := range bob.Client.Messages() {
			msg, _ := protocol.DecodeRoom(bob.form, m.Data)
			got = append(got, render(msg))
		}
		want := []string{"event message@1 ann (term-1)", "event message@2 bob", "ack 1@2", "welcome",
			"event message@1 ann (term-1)", "event message@2 bob", "event message@3 ann", "event message@4 bob", "ack 2@4"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got\n%q\nwant\n%q", got, want)
		}
		ann.want("event message@1 ann (term-1)", "ack 1@1", "event message@2 bob", "event message@3 ann", "ack 2@3", "event message@4 bob")
	})
}

// TestHelloAgainWithoutFirst: the first hello was lost, or what it did: the second is as good as
// the first.
func TestHelloAgainWithoutFirst(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		bob, cid := h.connect("bob"), h.connect("cid")
		h.Cut(cid.Client)
		cid.say(protocol.ClientMessage{Type: protocol.TypeHello})
		h.Move("term-2")
		drain(ann)
		bob.hello(protocol.ClientMessage{ID: 1, HasID: true})
		ann.want("join bob:1")
		cid.hello(protocol.ClientMessage{ID: 1, HasID: true})
		ann.want("join cid:1")
		ann.publish("message", "")
		bob.want("join cid:1", "event message@1 ann (term-2)")
		cid.want("event message@1 ann (term-2)")
		h.wantSessions(4) // one that nobody knows of
	})
}

// TestHelloAgainTwice: both hellos are heard; each has its welcome.
func TestHelloAgainTwice(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.connect("bob")
		ann.publish("message", "")
		drain(ann)
		bob.say(protocol.ClientMessage{Type: protocol.TypeHello, HasOffset: true})
		bob.lose()
		ann.want("join bob:1")
		bob.hello(protocol.ClientMessage{HasOffset: true, ID: 1, HasID: true}).want("event message@1 ann (term-1)")
		ann.want()
		h.wantSessions(2) // the first hello's is over
		bob.publish("message", "")
		bob.want("event message@2 bob", "ack 1@2")
	})
}

// TestHelloAgainInReplay: a further hello restarts a replay, at any part of it, after a move too; nothing
// live comes before its end.
func TestHelloAgainInReplay(t *testing.T) {
	more := protocol.ClientMessage{Type: protocol.TypeMore}
	for _, move := range []bool{false, true} {
		each(t, session.Options{Room: rooms.Options{QueueBytes: 8192}}, func(t *testing.T, h *parlorHost) {
			ann, bob := h.join("ann"), h.join("bob")
			for range 60 {
				ann.publish("message", `"`+strings.Repeat("x", 300)+`"`)
			}
			drain(ann)
			bob.lose()
			last := func() string {
				t.Helper()
				got := bob.got()
				if len(got) == 0 {
					t.Fatal("nothing came")
				}
				return got[len(got)-1]
			}
			for range 3 {
				bob.hello(bob.again())
				if w := bob.welcome; !w.Resumed {
					t.Fatalf("%+v", w)
				}
				if got := last(); !strings.HasPrefix(got, "more") {
					t.Fatalf("ends with %s", got)
				}
				bob.say(more) // its part is lost
				ann.publish("message", "")
				ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing"})
				if move {
					h.Move(fmt.Sprint("term-", bob.hellos+1))
				}
			}
			bob.hello(bob.again())
			parts := 0
			for end := last(); end != "members ann:1 bob:1"; end = last() {
				if parts++; parts > 50 {
					t.Fatalf("ends with %s", end)
				}
				ann.publish("message", "")
				bob.say(more)
			}
			if want := uint64(63 + parts); parts < 2 || bob.offset != want {
				t.Errorf("%d parts, at %d, want %d", parts, bob.offset, want)
			}
			bob.say(more)
			bob.want("error wrong_order")
		})
	}
}

// TestHelloAgainGap: a place that is none any more.
func TestHelloAgainGap(t *testing.T) {
	each(t, session.Options{History: 16}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		for range 40 {
			ann.publish("message", "")
		}
		bob.hello(bob.again()).want()
		if w := bob.welcome; w.Resumed || w.Reason != protocol.ReasonHistory || w.Offset != 40 {
			t.Errorf("%+v", w)
		}
		ann.publish("message", "")
		bob.want("event message@41 ann")
	})
}

// TestHelloAgainSessions: the rules of a first hello hold for a further one; the session that the
// connection had is over when it gets another.
func TestHelloAgainSessions(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob, bob2 := h.join("ann"), h.join("bob"), h.join("bob")
		bob.publish("message", "")
		bob2.publish("message", "")
		bob2.publish("message", "")
		drain(ann, bob, bob2)
		mine := bob.welcome.Session
		bob.hello(bob.again()) // its own: nothing is taken over
		bob.wantOpen()
		if w := bob.welcome; w.Session != mine || w.Seq != 1 {
			t.Errorf("%+v", w)
		}
		h.wantSessions(3)

		stranger := bob.again()
		stranger.Session = ann.welcome.Session
		bob.hello(stranger)
		ann.wantOpen()
		if w := bob.welcome; w.Session == ann.welcome.Session || w.Session == mine || w.Seq != 0 || !w.Resumed {
			t.Errorf("%+v", w)
		}
		h.wantSessions(3)
		if w := h.connect("bob").hello(protocol.ClientMessage{Session: mine}).welcome; w.Session == mine {
			t.Errorf("the session that was left is there: %+v", w)
		}
		h.wantSessions(4)
		drain(ann, bob, bob2)

		other := bob.again()
		other.Session = bob2.welcome.Session
		bob.hello(other)
		bob2.wantClosed(abi.CodeTakenOver)
		if w := bob.welcome; w.Session != bob2.welcome.Session || w.Seq != 2 || renderMembers(w.Members) != "ann:1 bob:2" {
			t.Errorf("%+v", w)
		}
		ann.want("join bob:2")
		h.wantSessions(3)
		bob.publish("message", "")
		bob.want("event message@4 bob", "ack 3@4")
	})
}

// TestHelloAgainAsksTheKind: what the kind says and refuses.
func TestHelloAgainAsksTheKind(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		drain(ann, bob)
		again := bob.again()
		again.Payload = session.JSON(`{"name":"Bob"}`)
		bob.hello(again).want()
		if got := renderMembers(bob.welcome.Members); got != `ann:1 bob:1{"name":"Bob"}` {
			t.Error(got)
		}
		ann.want(`join bob:1{"name":"Bob"}`)
		again = bob.again()
		again.Payload = session.JSON(`"emit"`)
		bob.hello(again).want("event entered@1 bob (term-1)")
		ann.want("event entered@1 bob (term-1)")

		again = bob.again()
		again.Type, again.Payload = protocol.TypeHello, session.JSON(`"no"`)
		bob.say(again)
		bob.wantClosed(abi.CodeForbidden)
		ann.want("leave bob")
	})
}

// TestHelloAgainRate: hellos after the first count, and have a second burst.
func TestHelloAgainRate(t *testing.T) {
	o := session.Options{Room: rooms.Options{MessagesPerSecond: 10, MessageBurst: 5}}
	h := newParlor(t, o, mode{form: protocol.JSON}, roomtest.Options{Volatile: true})
	ann := h.join("ann")
	for range 5 {
		ann.publish("message", "")
	}
	for range 5 {
		ann.hello(ann.again())
	}
	drain(ann)
	ann.say(pub(6, "message", "1"))
	if e := refusal(t, ann); e.Code != "rate_limited" || !e.Retryable {
		t.Fatalf("%+v", e)
	}
	again := ann.again()
	again.Type = protocol.TypeHello
	ann.say(again)
	ann.wantClosed(abi.CodeRateLimited)
	if _, reason, _ := ann.Closed(); abi.RetryHint(reason) == 0 {
		t.Errorf("reason %q", reason)
	}
}

// TestHelloAgainStoreAway: where nothing is to be written, nothing is in its way.
func TestHelloAgainStoreAway(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		ann.publish("message", "")
		ann.publish("message", "")
		ann.say(pub(9, "message", ""))
		drain(ann)
		h.StoreAway(true)
		bob.hello(bob.again()).want("event message@1 ann (term-1)", "event message@2 ann")
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing"})
		bob.want("signal typing ann")
		again := bob.again()
		again.Type, again.Session = protocol.TypeHello, ""
		bob.say(again)
		bob.wantClosed(abi.CodeStorageUnavailable)
		ann.wantOpen()
	})
}

// TestHelloAgainRejected: a further hello that the room fails on, or whose commit fails, closes as the
// first does.
func TestHelloAgainRejected(t *testing.T) {
	for want, spoil := range map[abi.Code]func(h *parlorHost, m *protocol.ClientMessage){
		abi.CodeRejected:           func(_ *parlorHost, m *protocol.ClientMessage) { m.Payload = session.JSON(`"panic"`) },
		abi.CodeStorageUnavailable: func(h *parlorHost, _ *protocol.ClientMessage) { h.FailCommits(1) },
	} {
		for _, form := range []protocol.Form{protocol.JSON, protocol.Binary} {
			h := newParlor(t, session.Options{}, mode{form: form}, roomtest.Options{AllowTraps: true})
			ann, bob := h.join("ann"), h.join("bob")
			again := bob.again()
			again.Type = protocol.TypeHello
			spoil(h, &again)
			bob.say(again)
			bob.wantClosed(want)
			ann.wantOpen()
		}
	}
}

// TestTakeoverLost: the node that gave a session to a newer connection is gone before the older one was
// closed. The newer one keeps the session, whichever says hello first.
func TestTakeoverLost(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, old := h.join("ann"), h.join("bob")
		old.publish("message", "")
		h.Advance(time.Second)
		newer := h.connect("bob")
		back := old.back()
		drain(ann)
		h.Cut(old.Client, newer.Client)
		newer.say(protocol.ClientMessage{Type: protocol.TypeHello, Session: back.Session})
		h.Move("term-2")
		again := back
		again.ID, again.HasID = 1, true
		newer.hello(again)
		old.wantClosed(abi.CodeTakenOver)
		if w := newer.welcome; w.Session != back.Session || w.Seq != 1 || renderMembers(w.Members) != "ann:1 bob:1" {
			t.Errorf("%+v", w)
		}
		h.wantSessions(2)
		newer.publish("message", "")
		newer.want("event message@2 bob (term-2)", "ack 2@2")
	})
}

// TestTakeoverLostInTheList: the list that a room starts with names a session twice, because only the
// newer connection's node has heard of the takeover. The older one may come back and ask.
func TestTakeoverLostInTheList(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, old := h.join("ann"), h.join("bob")
		old.publish("message", "")
		back := old.back()
		h.Advance(time.Second)
		h.Cut(old.Client)
		newer := h.connect("bob").hello(back)
		h.Move("term-2")
		newer.hello(newer.again())
		old.wantClosed(abi.CodeRestarting)
		if w := newer.welcome; w.Session != back.Session || w.Seq != 1 || renderMembers(w.Members) != "ann:1 bob:1" {
			t.Errorf("%+v", w)
		}
		newer.publish("message", "")
		newer.want("event message@2 bob (term-2)", "ack 2@2")
		h.wantSessions(2)
		newer.Drop(abi.CodeAbnormal)
		drain(ann)
		h.Advance(5 * time.Second)
		ann.want("members ann:1 bob:1", "leave bob")
	})
}

// TestGivenUpTooEarly: a room had given a connection up, and the next node finds it in its list.
func TestGivenUpTooEarly(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		bob.publish("message", "")
		drain(ann, bob)
		h.Cut(bob.Client)
		h.Run(&abi.CloseEvent{Connection: bob.ID, Code: abi.CodeAbnormal})
		h.Move("term-2")
		ann.publish("message", "")
		if got := h.rows("sg"); got != 0 {
			t.Errorf("%d grace times", got)
		}
		bob.want("event message@2 ann (term-2)")
		h.StoreAway(true)
		bob.hello(bob.again()).want()
		h.StoreAway(false)
		bob.hello(bob.again()).want()
		if w := bob.welcome; w.Seq != 1 || renderMembers(w.Members) != "ann:1 bob:1" {
			t.Errorf("%+v", w)
		}
		drain(ann)
		h.Advance(time.Minute)
		ann.want("members ann:1 bob:1")
		h.wantSessions(2)
		bob.Drop(abi.CodeAbnormal)
		h.Advance(5 * time.Second)
		ann.want("leave bob")
	})
}

// TestMuteIsSaidAnew: the node that holds the socket may not have heard that the connection is muted.
func TestMuteIsSaidAnew(t *testing.T) {
	h := newParlor(t, session.Options{Room: rooms.Options{QueueBytes: 8192}}, mode{form: protocol.JSON}, roomtest.Options{})
	ann, bob := h.join("ann"), h.join("bob")
	for range 30 {
		ann.publish("message", `"`+strings.Repeat("x", 300)+`"`)
	}
	bob.lose()
	for range 2 {
		h.Effects()
		bob.hello(bob.again())
		muted := false
		for _, e := range h.Effects() {
			switch e := e.(type) {
			case *abi.MuteEffect:
				muted = e.Muted
			case *abi.SendEffect:
				if !muted {
					t.Error("it is welcomed before it is muted")
				}
			}
		}
		if !muted {
			t.Error("it is not muted in its replay")
		}
	}
}
