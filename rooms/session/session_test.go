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

// TestGreeting: what a connection may do before hello, and what it then gets.
func TestGreeting(t *testing.T) {
	text := func(s string) func(c *client) { return func(c *client) { c.Send(s) } }
	for _, c := range []struct {
		name string
		do   func(c *client)
		want abi.Code
	}{
		{"publish", text(`{"type":"publish","seq":1,"event":"e"}`), abi.CodeWrongOrder},
		{"request", text(`{"type":"request","id":1,"event":"history"}`), abi.CodeWrongOrder},
		{"signal", text(`{"type":"signal","event":"e"}`), abi.CodeWrongOrder},
		{"more", text(`{"type":"more"}`), abi.CodeWrongOrder},
		{"not JSON", text(`hello`), abi.CodeMalformed},
		{"unknown type", text(`{"type":"weather"}`), abi.CodeMalformed},
		{"malformed hello", text(`{"type":"hello","offset":-1}`), abi.CodeMalformed},
		{"binary", func(c *client) { c.SendBinary([]byte{1, 0, 0, 0}) }, abi.CodeUnsupportedEncoding},
		{"refused by Join", text(`{"type":"hello","data":"no"}`), abi.CodeForbidden},
		{"closed in Join", text(`{"type":"hello","data":"close"}`), 4400},
		{"silence", func(c *client) { c.h.Advance(10 * time.Second) }, abi.CodeHelloTimeout},
	} {
		for _, sleep := range []bool{false, true} {
			h := newParlor(t, session.Options{}, mode{protocol.JSON, sleep}, roomtest.Options{})
			x := h.connect("ann")
			x.Send(`{"type":"ping" }`)
			x.want("pong")
			c.do(x)
			x.wantClosed(c.want)
			if t.Failed() {
				t.Fatal(c.name)
			}
		}
	}
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	for _, p := range []string{"", "oriel.v2.json"} {
		x := h.Connect("ann", roomtest.WithProtocol(p))
		if code, _, closed := x.Closed(); !closed || code != abi.CodeUnknownProtocol {
			t.Errorf("%q: %v %d", p, closed, code)
		}
	}
	// Before hello nobody hears or sees a connection.
	ann, bob := h.join("ann"), h.connect("bob")
	ann.publish("message", "")
	ann.want("event message@1 ann (term-1)", "ack 1@1")
	bob.want()
	bob.Drop(abi.CodeAbnormal)
	ann.want()
	if got := h.count("left bob"); got != 0 {
		t.Errorf("bob left %d times", got)
	}
}

func TestAdmit(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	h.connect("banned").wantClosed(abi.CodeForbidden)
	later := h.connect("later")
	later.wantClosed(abi.CodeOverloaded)
	if _, reason, _ := later.Closed(); abi.RetryHint(reason) != 3*time.Second {
		t.Errorf("reason %q", reason)
	}
	if a := h.Request("banned", "GET", "/history", ""); a.Status != 403 || !strings.Contains(string(a.Body), "you know why") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestHelloTimeout: one millisecond before, and at it; and not after hello.
func TestHelloTimeout(t *testing.T) {
	each(t, session.Options{HelloTimeout: 2 * time.Second}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		bob := h.connect("bob")
		h.Advance(1999 * time.Millisecond)
		bob.wantOpen()
		cid := h.connect("cid")
		h.Advance(time.Millisecond)
		bob.wantClosed(abi.CodeHelloTimeout)
		cid.wantOpen()
		h.Advance(2 * time.Second)
		cid.wantClosed(abi.CodeHelloTimeout)
		h.Advance(time.Minute)
		ann.wantOpen()
	})
}

// TestTakeover: a newer connection takes the session, with its numbers, and nobody sees the
// user leave.
func TestTakeover(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		bob.publish("message", "")
		drain(ann, bob)
		bob2 := h.connect("bob").hello(bob.back())
		bob.wantClosed(abi.CodeTakenOver)
		if w := bob2.welcome; w.Session != bob.welcome.Session || w.Seq != 1 || !w.Resumed || renderMembers(w.Members) != "ann:1 bob:1" {
			t.Errorf("%+v", w)
		}
		ann.want()
		bob2.say(pub(1, "message", ""))
		bob2.say(pub(2, "message", ""))
		bob2.want("ack 1@1", "event message@2 bob", "ack 2@2")
		h.Advance(time.Minute)
		ann.want("event message@2 bob")
		if got := h.count("left bob"); got != 0 {
			t.Errorf("bob left %d times", got)
		}
	})
}

// TestTakeoverInOneBatch: messages of the older connection that are behind the takeover are not
// heard, those before it are.
func TestTakeoverInOneBatch(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		newer := h.connect("ann")
		hello := ann.back()
		hello.Type = protocol.TypeHello
		h.Run(ann.event(pub(1, "message", "")), newer.event(hello), ann.event(pub(2, "message", "")), newer.event(pub(2, "message", "")))
		newer.want("welcome", "event message@1 ann (term-1)", "event message@2 ann", "ack 2@2")
		ann.wantClosed(abi.CodeTakenOver)
	})
}

// TestSessionBoundToUser: another user cannot tell a stranger's session from one that never was.
func TestSessionBoundToUser(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("message", "")
		eve := h.connect("eve").hello(protocol.ClientMessage{Session: ann.welcome.Session})
		ann.wantOpen()
		if w := eve.welcome; w.Session == ann.welcome.Session || w.Seq != 0 {
			t.Errorf("%+v", w)
		}
		eve2 := h.connect("eve").hello(protocol.ClientMessage{Session: "AAAAAAAAAAAAAAAAAAAAAA"})
		if w := eve2.welcome; w.Session == "AAAAAAAAAAAAAAAAAAAAAA" || w.Seq != 0 {
			t.Errorf("%+v", w)
		}
		if w := h.connect("").hello(protocol.ClientMessage{Session: ann.welcome.Session}).welcome; w.Session == ann.welcome.Session {
			t.Errorf("%+v", w)
		}
	})
}

// TestTwoTabs: two sessions of one user number their publishes apart.
func TestTwoTabs(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		one, two := h.join("ann"), h.join("ann")
		drain(one, two)
		one.publish("message", "")
		two.publish("message", "")
		one.want("event message@1 ann (term-1)", "ack 1@1", "event message@2 ann")
		two.want("event message@1 ann (term-1)", "event message@2 ann", "ack 1@2")
	})
}

// rows counts the rows of a prefix in the SDK's part of storage.
func (h *parlorHost) rows(prefix string) int {
	n := 0
	for k := range h.Storage().Rows() {
		if strings.HasPrefix(k, "\x00"+prefix) {
			n++
		}
	}
	return n
}

// wantSessions checks that every session has one row and one entry of the index, and that they
// are counted.
func (h *parlorHost) wantSessions(n int) {
	h.t.Helper()
	if rows, index := h.rows("ss"), h.rows("sx"); rows != n || index != n {
		h.t.Errorf("%d sessions and %d entries of the index, want %d", rows, index, n)
	}
}

// TestSessionKept: a disconnected session is kept for the stated time, and not for ever.
func TestSessionKept(t *testing.T) {
	each(t, session.Options{KeepSessions: 16 * time.Minute}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("message", "")
		ann.Drop(abi.CodeGoingAway)
		h.Advance(16*time.Minute - time.Second)
		ann2 := h.connect("ann").hello(ann.back())
		if ann2.welcome.Session != ann.welcome.Session || ann2.welcome.Seq != 1 {
			t.Errorf("lost too early: %+v", ann2.welcome)
		}
		// A connected session is never evicted.
		h.Advance(10 * time.Hour)
		ann2.publish("message", "")
		if got := ann2.got(); len(got) != 2 || got[1] != "ack 2@2" {
			t.Errorf("%v", got)
		}
		h.wantSessions(1)
		ann2.Drop(abi.CodeAbnormal)
		h.Advance(18*time.Minute + 10*time.Second) // a sixteenth later at most, and the grace
		h.wantSessions(0)
		ann3 := h.connect("ann").hello(ann.back())
		if ann3.welcome.Session == ann.welcome.Session || ann3.welcome.Seq != 0 || !ann3.welcome.Resumed {
			t.Errorf("kept too long: %+v", ann3.welcome)
		}
	})
}

// TestSessionOver: a client that closes with 1000 has ended its session and leaves at once.
func TestSessionOver(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		drain(ann, bob)
		h.wantSessions(2)
		bob.Close()
		ann.want("leave bob")
		h.wantSessions(1)
		if got := h.count("left bob"); got != 1 {
			t.Errorf("bob left %d times", got)
		}
		if w := h.connect("bob").hello(bob.back()).welcome; w.Session == bob.welcome.Session {
			t.Errorf("%+v", w)
		}
	})
}

// TestCrashedSessions: the sessions whose connections went with the host are kept, and go in time.
func TestCrashedSessions(t *testing.T) {
	each(t, session.Options{KeepSessions: 16 * time.Minute}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("message", "")
		drain(ann)
		h.Restart("term-2")
		h.Advance(15 * time.Minute)
		ann2 := h.connect("ann").hello(ann.back())
		if w := ann2.welcome; w.Session != ann.welcome.Session || w.Seq != 1 || !w.Resumed {
			t.Errorf("%+v", w)
		}
		h.Restart("term-3")
		h.Advance(40 * time.Minute)
		h.wantSessions(0)
		if _, ok := h.Alarm(); ok {
			t.Error("an alarm is left in an empty room")
		}
	})
}

// TestConnectWritesNothing: hosts see to the default timeout, so nobody waits for a disk before hello.
func TestConnectWritesNothing(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		h.join("ann").Close()
		h.Advance(time.Minute)
		before, had := h.Alarm()
		bob := h.connect("bob")
		if at, ok := h.Alarm(); ok != had || at != before {
			t.Errorf("a connect sets the alarm to %v; it was %v", at, before)
		}
		// The hosts' clocks stop at the first message, and it need not be a hello.
		bob.say(protocol.ClientMessage{Type: protocol.TypePing})
		bob.want("pong")
		h.Advance(session.DefaultHelloTimeout)
		bob.wantClosed(abi.CodeHelloTimeout)
		// Nobody would see to it while no alarm can be set.
		h.StoreAway(true)
		cid := h.connect("cid")
		cid.say(protocol.ClientMessage{Type: protocol.TypePing})
		cid.want("pong")
		cid.wantClosed(abi.CodeStorageUnavailable)
	})
}

// TestHelloAlarm: the alarm stands for those who have not said hello, with one write for all of them,
// and goes with the last: nothing is left that would wake the room.
func TestHelloAlarm(t *testing.T) {
	const helloTimeout = 5 * time.Second
	each(t, session.Options{HelloTimeout: helloTimeout}, func(t *testing.T, h *parlorHost) {
		waiting := func(want time.Duration) {
			t.Helper()
			if at, ok := h.Alarm(); !ok || at.Sub(h.Now()) != want {
				t.Errorf("the alarm is set %v, to %v after %v, want in %v", ok, at, h.Now(), want)
			}
		}
		idle := func() { // the sweep of the sessions, at most, is left
			t.Helper()
			if at, ok := h.Alarm(); ok && at.Sub(h.Now()) < 23*time.Hour {
				t.Errorf("the alarm is set to %v after %v", at, h.Now())
			}
		}

		ann := h.connect("ann")
		waiting(helloTimeout)
		h.Advance(time.Second)
		bob := h.connect("bob")
		h.Advance(time.Second)
		ann.hello(protocol.ClientMessage{})
		waiting(3 * time.Second) // early for bob, and not worth a write
		bob.hello(protocol.ClientMessage{})
		idle()

		// Whoever goes without a hello takes the alarm along.
		h.connect("carl").Close()
		idle()

		// A connection that stays silent is closed, and nothing is left.
		dan := h.connect("dan")
		h.Advance(helloTimeout)
		dan.wantClosed(abi.CodeHelloTimeout)
		idle()

		// One that comes in a sleep.
		h.Sleep()
		eve := h.connect("eve")
		h.Sleep()
		eve.hello(protocol.ClientMessage{})
		idle()
		h.Sleep()
		h.Advance(time.Hour / 2)
		if h.Awake() {
			t.Error("something woke the room")
		}

		// What else needs the alarm keeps it.
		eve.publish("alarm", "5000")
		frank := h.connect("frank")
		frank.hello(protocol.ClientMessage{})
		waiting(5 * time.Second)
	})
}

// TestSessionBound: at the limit a new session takes the place of a disconnected one, never of a
// connected one.
func TestSessionBound(t *testing.T) {
	each(t, session.Options{MaxSessions: 1, Room: rooms.Options{Members: 4}}, func(t *testing.T, h *parlorHost) {
		var stay []*client
		for i := range 3 {
			stay = append(stay, h.join(fmt.Sprint("s", i)))
		}
		for i := range 20 {
			c := h.join(fmt.Sprint("c", i))
			c.Drop(abi.CodeAbnormal)
			h.Advance(6 * time.Second)
		}
		h.wantSessions(8) // twice the members
		for _, c := range stay {
			drain(c)
			c.publish("message", "")
			if got := c.got(); len(got) != 2 || !strings.HasPrefix(got[1], "ack 1@") {
				t.Errorf("%s: %v", c.User, got)
			}
			drain(stay...)
		}
	})
}

// TestManySessions: more connected sessions than one look goes through, all due at the same time.
func TestManySessions(t *testing.T) {
	h := newParlor(t, session.Options{MaxSessions: 1, PresenceDetail: -1, Room: rooms.Options{Members: 400}}, mode{form: protocol.Binary}, roomtest.Options{Volatile: true})
	for i := range 399 {
		h.join(fmt.Sprint("s", i))
	}
	refused := 0
	for i := range 500 {
		c := h.connect(fmt.Sprint("c", i))
		c.say(protocol.ClientMessage{Type: protocol.TypeHello})
		if _, _, closed := c.Closed(); closed {
			c.wantClosed(abi.CodeOverloaded)
			refused++
		} else {
			c.Drop(abi.CodeAbnormal)
		}
	}
	h.wantSessions(800)
	if refused > 5 {
		t.Errorf("%d refused", refused)
	}
}

// TestAttachedBound: what the attachments come to is bounded, and the room goes on.
func TestAttachedBound(t *testing.T) {
	h := newParlor(t, session.Options{PresenceDetail: -1}, mode{form: protocol.Binary}, roomtest.Options{Volatile: true})
	ann := h.join("ann")
	data := session.JSON(`{"x":"` + strings.Repeat("x", 1000) + `"}`)
	full := 0
	for i := range 2100 {
		c := h.connect(fmt.Sprint("u", i))
		c.say(protocol.ClientMessage{Type: protocol.TypeHello, Payload: data})
		if _, _, closed := c.Closed(); closed {
			c.wantClosed(abi.CodeRoomFull)
			full++
		}
	}
	if full == 0 || full > 500 {
		t.Errorf("%d of 2100 were refused", full)
	}
	drain(ann)
	ann.publish("message", "")
	if got := ann.got(); len(got) != 2 {
		t.Errorf("%v", got)
	}
}

// TestEmitInJoin: an event that Join emits is before the newcomer's place.
func TestEmitInJoin(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		bob := h.connect("bob").hello(protocol.ClientMessage{Payload: session.JSON(`"emit"`)})
		if bob.welcome.Offset != 1 || bob.welcome.Incarnation != "term-1" {
			t.Errorf("%+v", bob.welcome)
		}
		ann.want("event entered@1 bob (term-1)", "join bob:1")
		bob.want()
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]session.Options{
		"History":        {History: -1},
		"History high":   {History: 1_000_001},
		"HistoryAge":     {HistoryAge: time.Millisecond},
		"KeepSessions":   {KeepSessions: time.Second},
		"MaxSessions":    {MaxSessions: -1},
		"PresenceDetail": {PresenceDetail: 501},
		"PresenceGrace":  {PresenceGrace: time.Hour},
		"HelloTimeout":   {HelloTimeout: time.Millisecond},
		"Heartbeat":      {Heartbeat: time.Millisecond},
		"Open":           {Open: 65},
		"Protocols":      {Room: rooms.Options{Protocols: []string{"x"}}},
		"Members":        {Room: rooms.Options{Members: -1}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s passed", name)
				}
			}()
			parlorModule(o)
		}()
	}
	parlorModule(session.Options{History: 1_000_000, HistoryAge: time.Second, KeepSessions: time.Minute, PresenceDetail: 500,
		PresenceGrace: 5 * time.Minute, HelloTimeout: time.Minute, Heartbeat: time.Second, Open: 64})
}
