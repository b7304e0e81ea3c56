package chat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func paces(h *host) (n int) {
	for key := range h.Storage().Rows() {
		if strings.HasPrefix(key, "pace/") {
			n++
		}
	}
	return n
}

// TestSlowMode: the time counts on while the room sleeps.
func TestSlowMode(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann, bob, mod := h.join("ann"), h.join("bob"), h.join("mod", moderator)
		bob.must("message", text("before"))
		if got := ann.must("slow", `{"seconds":30}`); got != 2 {
			t.Errorf("slow is event %d", got)
		}
		bob.must("message", text("the first is free"))
		for range 3 { // the owner and moderators do not wait
			ann.must("message", text("x"))
			mod.must("message", text("x"))
		}
		h.Advance(10 * time.Second)
		if got, retry := bob.try("message", text("too early")); got != "rate_limited again" || retry != 20*time.Second {
			t.Errorf("%s, retry %v", got, retry)
		}
		// What is refused has no other effect: neither does the wait begin anew, nor is an
		// invalid message punished.
		bob.refuse("message", text(""), "invalid")
		bob.refuse("message", text(strings.Repeat("x", 5000)), "too_large")
		h.Advance(20*time.Second - time.Millisecond)
		if got, retry := bob.try("message", text("one millisecond early")); got != "rate_limited again" || retry != time.Millisecond {
			t.Errorf("%s, retry %v", got, retry)
		}
		h.Advance(time.Millisecond)
		bob.must("message", text("in time"))
		if got := bob.publish("message", text("again")); got != "rate_limited again" {
			t.Errorf("%s", got)
		}
		// Another connection of the same user is the same member; another member is not.
		if got := h.join("bob").publish("message", text("from my phone")); got != "rate_limited again" {
			t.Errorf("%s", got)
		}
		cyd := h.join("cyd")
		cyd.must("message", text("hello"))
		// Edits and deletions are not messages.
		bob.must("edit", `{"offset":1,"text":"edited"}`)
		// A longer wait counts for those who wait already, and so does none.
		mod.must("slow", `{"seconds":60}`)
		if got, retry := bob.try("message", text("x")); got != "rate_limited again" || retry != time.Minute {
			t.Errorf("%s, retry %v", got, retry)
		}
		mod.must("slow", `{"seconds":0}`)
		bob.must("message", text("at last"))
		bob.must("message", text("and at once"))
		if n := paces(h); n != 0 {
			t.Errorf("%d rows of slow mode are left", n)
		}
	})
}

// TestPacesAreSwept: rows of those who wait no longer go by themselves, the others stay.
func TestPacesAreSwept(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann := h.join("ann")
		ann.must("slow", `{"seconds":3600}`)
		for i := range 5 {
			p := h.join(fmt.Sprint("user", i))
			p.must("message", text("x"))
			p.Drop(abi.CodeNormal)
		}
		h.Advance(30 * time.Minute)
		late := h.join("late")
		late.must("message", text("x"))
		if n := paces(h); n != 6 {
			t.Fatalf("%d rows, want 6", n)
		}
		h.Advance(31 * time.Minute) // past the sweep
		if n := paces(h); n != 1 {
			t.Errorf("after the sweep %d rows, want that of who still waits", n)
		}
		if got, retry := late.try("message", text("y")); got != "rate_limited again" || retry != 29*time.Minute {
			t.Errorf("%s, retry %v", got, retry)
		}
		h.Advance(2 * time.Hour)
		if n := paces(h); n != 0 {
			t.Errorf("%d rows are left for ever", n)
		}
		late.must("message", text("z"))
	})
}

// TestPacesOfManyAreSwept: more rows than one turn removes.
func TestPacesOfManyAreSwept(t *testing.T) {
	h := newHost(t, nil, false)
	ann := h.join("ann")
	ann.must("slow", `{"seconds":1}`)
	// Rows as the room writes them; making the room write 5,000 takes long.
	var rows []abi.Effect
	for i := range 5000 {
		rows = append(rows, &abi.PutEffect{Key: fmt.Appendf(nil, "pace/user%05d", i), Value: make([]byte, 8)})
	}
	h.Storage().Apply(rows)
	h.join("bob").must("message", text("x")) // sets the alarm
	h.Advance(2 * time.Hour)
	if n := paces(h); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if len(h.Rejections()) > 0 {
		t.Errorf("the sweep failed: %v", h.Rejections())
	}
}
