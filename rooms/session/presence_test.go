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

func TestPresence(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		bob := h.connect("bob").hello(protocol.ClientMessage{Payload: session.JSON(`{"name":"Bob"}`)})
		ann.want(`join bob:1{"name":"Bob"}`)
		bob2 := h.join("bob")
		if got := renderMembers(bob2.welcome.Members); got != `ann:1 bob:2{"name":"Bob"}` {
			t.Error(got)
		}
		ann.want(`join bob:2{"name":"Bob"}`)
		bob.want(`join bob:2{"name":"Bob"}`)
		bob2.Drop(abi.CodeAbnormal)
		ann.want(`join bob:1{"name":"Bob"}`)
		bob.publish("data", `{"name":"Robert"}`)
		ann.want(`join bob:1{"name":"Robert"}`, "event data@1 bob (term-1)")
		bob.publish("data", `"`+strings.Repeat("x", 1023)+`"`)
		if got := bob.got(); got[len(got)-1] != "error too_large seq=2" {
			t.Errorf("%v", got)
		}
		bob.publish("data", `"`+strings.Repeat("x", 1022)+`"`)
		if got := bob.got(); got[len(got)-1] != "ack 3@2" {
			t.Errorf("%v", got)
		}
	})
}

// TestGrace: a reconnect within the grace time is neither leave nor join; without one the user leaves
// at its end.
func TestGrace(t *testing.T) {
	each(t, session.Options{PresenceGrace: 3 * time.Second}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		bob := h.connect("bob").hello(protocol.ClientMessage{Payload: session.JSON(`{"n":1}`)})
		drain(ann)
		bob.Drop(abi.CodeAbnormal)
		h.Advance(2999 * time.Millisecond)
		bob2 := h.connect("bob").hello(bob.back())
		if got := renderMembers(bob2.welcome.Members); got != `ann:1 bob:1{"n":1}` {
			t.Error(got)
		}
		ann.want()
		h.Advance(time.Minute)
		ann.want()
		bob2.Drop(abi.CodeAbnormal)
		h.Advance(2999 * time.Millisecond)
		ann.want()
		cid := h.join("cid")
		if got := renderMembers(cid.welcome.Members); got != `ann:1 bob:1{"n":1} cid:1` {
			t.Error(got)
		}
		ann.want("join cid:1")
		h.Advance(time.Millisecond)
		ann.want("leave bob")
		if got := h.count("left bob"); got != 1 {
			t.Errorf("bob left %d times", got)
		}
		if h.rows("sg") != 0 {
			t.Error("a row of the grace time is left")
		}
	})
}

// TestNoGrace: below 0 users leave at once.
func TestNoGrace(t *testing.T) {
	h := newParlor(t, session.Options{PresenceGrace: -1}, mode{form: protocol.JSON}, roomtest.Options{})
	ann, bob := h.join("ann"), h.join("bob")
	drain(ann)
	bob.Drop(abi.CodeAbnormal)
	ann.want("leave bob")
}

// TestAnonymous: all anonymous clients are one member.
func TestAnonymous(t *testing.T) {
	each(t, session.Options{PresenceGrace: 3 * time.Second}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		x, y := h.join(""), h.join("")
		ann.want("join :1", "join :2")
		x.publish("message", "")
		ann.want("event message@1 (term-1)")
		x.Drop(abi.CodeAbnormal)
		y.Drop(abi.CodeAbnormal)
		ann.want("join :1")
		h.Advance(3 * time.Second)
		ann.want("leave ")
	})
}

// TestCounts: above presenceDetail only counts go out, merged; far enough below it members again.
func TestCounts(t *testing.T) {
	each(t, session.Options{PresenceDetail: 4, PresenceGrace: -1}, func(t *testing.T, h *parlorHost) {
		var all []*client
		for i := range 4 {
			all = append(all, h.join(fmt.Sprint("u", i)))
		}
		ann := all[0]
		ann.want("join u1:1", "join u2:1", "join u3:1")
		all = append(all, h.join("u4"))
		if w := all[4].welcome; w.Counts == nil || *w.Counts != (protocol.Counts{Users: 5, Connections: 5}) || w.Members != nil {
			t.Errorf("%+v", w)
		}
		ann.want("counts 5/5")
		for i := 5; i < 9; i++ {
			all = append(all, h.join(fmt.Sprint("u", i)))
		}
		ann.want()
		h.Advance(249 * time.Millisecond)
		ann.want()
		h.Advance(time.Millisecond)
		ann.want("counts 9/9")
		h.Advance(time.Second)
		ann.want()
		h.join("u1") // a second connection
		ann.want("counts 9/10")
		ann.publish("data", `{"a":1}`) // counts do not show it, and so do not move
		h.Advance(time.Second)
		if got := ann.got(); len(got) != 3 || got[2] != "counts 9/10" && got[0] != "counts 9/10" {
			// A change that counts cannot show is told with the next merged frame or not at all.
			t.Logf("%v", got)
		}
		drain(all...)
		for _, c := range all[4:] {
			c.Close()
		}
		h.Advance(time.Second)
		if got := strings.Join(ann.got(), "; "); !strings.HasSuffix(got, "counts 4/5") {
			t.Error(got)
		}
		all[3].Close()
		ann.want(`members u0:1{"a":1} u1:2 u2:1`)
		h.Advance(time.Second)
		ann.want()
		h.join("u9")
		ann.want("join u9:1")
	})
}

// TestNoStorm: however many come at once, each member hears of it in few frames.
func TestNoStorm(t *testing.T) {
	h := newParlor(t, session.Options{PresenceDetail: 10}, mode{form: protocol.JSON}, roomtest.Options{Volatile: true})
	ann := h.join("ann")
	h.Effects()
	for i := range 500 {
		h.join(fmt.Sprint("u", i))
	}
	h.Advance(time.Second)
	if got := ann.got(); len(got) > 12 || got[len(got)-1] != "counts 501/501" {
		t.Errorf("%d frames: %v", len(got), got)
	}
}

// TestMembersRequest pages through the members in their order.
func TestMembersRequest(t *testing.T) {
	each(t, session.Options{PresenceDetail: 3}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		for i := range 9 {
			h.join(fmt.Sprint("u", i))
		}
		drain(ann)
		var got []string
		q := protocol.MembersQuery{Limit: 4}
		for n := uint64(1); ; n++ {
			ann.say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: n, Event: "members", Payload: q.Payload(h.mode.form)})
			page, err := protocol.DecodeMembersPage(ann.read()[0].(*protocol.Response).Payload, h.mode.form)
			if err != nil || page.Counts != (protocol.Counts{Users: 10, Connections: 10}) {
				t.Fatalf("%+v, %v", page, err)
			}
			for _, m := range page.Members {
				got = append(got, m.User)
			}
			if !page.More {
				break
			}
			q.After, q.HasAfter = page.Members[len(page.Members)-1].User, true
		}
		if s := strings.Join(got, " "); s != "ann u0 u1 u2 u3 u4 u5 u6 u7 u8" {
			t.Error(s)
		}
	})
}

// TestMoved: after a move that lost somebody's leaving, everybody is told the members anew, once.
func TestMoved(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	ann, bob := h.join("ann"), h.join("bob")
	drain(ann, bob)
	h.Move("term-2")
	h.Move("term-3")
	ann.say(req(1, "echo", "1"))
	ann.want("response 1 1")
	h.Advance(time.Second)
	ann.want("members ann:1 bob:1")
	h.Advance(time.Minute)
	ann.want()
}

// TestKick: the user leaves at once, the session stays.
func TestKick(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob, bob2 := h.join("ann"), h.join("bob"), h.join("bob")
		drain(ann, bob, bob2)
		ann.publish("kick", `"bob"`)
		bob.wantClosed(abi.CodeKicked)
		bob2.wantClosed(abi.CodeKicked)
		ann.want("join bob:1", "leave bob", "event kick@1 ann (term-1)", "ack 1@1")
		h.wantSessions(3)
		// Somebody who kicks himself gets no answer and loses no number.
		ann.publish("kick", `"ann"`)
		ann.want()
		ann.wantClosed(abi.CodeKicked)
		if w := h.connect("ann").hello(ann.back()).welcome; w.Seq != 2 || w.Session != ann.welcome.Session {
			t.Errorf("%+v", w)
		}
		// In the grace time too.
		cid := h.join("cid")
		cid.Drop(abi.CodeAbnormal)
		dan := h.join("dan")
		drain(dan)
		dan.publish("kick", `"cid"`)
		dan.want("leave cid", "event kick@3 dan", "ack 1@3")
		if h.rows("sg") != 0 {
			t.Error("a row of the grace time is left")
		}
	})
}
