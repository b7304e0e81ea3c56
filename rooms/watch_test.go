package rooms_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

// friends watches whom its members name, and tells everybody what it hears.
type friends struct{}

func (friends) Message(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
	word, user, _ := strings.Cut(string(m.Data), " ")
	switch word {
	case "watch":
		if err := r.Watch(user); err != nil {
			c.Send(rooms.Text(err.(abi.Code).String()))
		}
	case "many":
		for i := range abi.MaxWatches {
			if err := r.Watch(fmt.Sprint(i)); err != nil {
				c.Send(rooms.Text(fmt.Sprint(i, " ", err.(abi.Code).String())))
			}
		}
	case "unwatch":
		r.Unwatch(user)
	case "poke":
		r.Notify(user, "poke", m)
	}
}

func (friends) Presence(r *rooms.Room, users []abi.UserPresence) {
	r.Broadcast(rooms.Text(fmt.Sprint(users)))
}

func (friends) Notified(r *rooms.Room, to *rooms.Connection, n rooms.Notified) {
	to.Send(rooms.Text(n.FromKind + "/" + n.FromRoom + " " + n.Event + " " + string(n.Data)))
}

func openFriends(t *testing.T, o roomtest.Options) *roomtest.Host {
	o.Module, o.Kind = &rooms.Module{}, "friends"
	o.Module.Register("friends", func() rooms.Kind { return friends{} }, rooms.Options{})
	return roomtest.New(t, o)
}

func expect(t *testing.T, c *roomtest.Client, want ...string) {
	t.Helper()
	if got := c.Texts(); !slices.Equal(got, want) {
		t.Errorf("%s got %q, want %q", c.User, got, want)
	}
}

func TestWatch(t *testing.T) {
	h := openFriends(t, roomtest.Options{})
	ann := h.Connect("ann")
	h.SetOnline("bob", true)
	ann.Send("watch bob")
	ann.Send("watch cid")
	ann.Send("watch bob") // does nothing
	expect(t, ann, "[{bob true}]", "[{cid false}]")
	h.SetOnline("cid", true)
	h.SetOnline("dan", true)
	expect(t, ann, "[{cid true}]")

	h.Sleep()
	h.SetOnline("bob", false) // wakes the room, which asks for all
	if got := ann.Texts(); len(got) != 2 || got[0] != "[{bob false}]" || got[1] != "[{bob false} {cid true}]" {
		t.Errorf("got %q", got)
	}
	ann.Send("unwatch bob")
	h.SetOnline("bob", true)
	expect(t, ann)
	if got := h.Watching(); !slices.Equal(got, []string{"cid"}) {
		t.Errorf("the room watches %q", got)
	}
	h.Move("term-2")
	ann.Send("hello")
	expect(t, ann, "[{cid true}]")

	ann.Send("watch ")
	ann.Send("watch " + strings.Repeat("x", abi.MaxUser+1))
	ann.Send("many")
	if got := ann.Texts(); len(got) < 4 || got[0] != "invalid" || got[1] != "invalid" || got[2] != "999 too_large" {
		t.Errorf("got %.3q", got)
	}
	if n := len(h.Watching()); n != abi.MaxWatches {
		t.Errorf("the room watches %d", n)
	}
	h.Sleep()
	ann.Send("unwatch 5")
	ann.Send("watch zoe")
	if got := h.Watching(); len(got) != abi.MaxWatches || !slices.Contains(got, "zoe") || slices.Contains(got, "5") {
		t.Errorf("the room watches %d", len(got))
	}
}

// TestWatchCommits: what a failed commit has undone is not watched, and what it has kept still is.
func TestWatchCommits(t *testing.T) {
	h := openFriends(t, roomtest.Options{})
	ann := h.Connect("ann")
	ann.Send("watch bob")
	h.FailCommits(1)
	ann.Send("watch cid")
	h.FailCommits(1)
	ann.Send("unwatch bob")
	h.SetOnline("bob", true)
	if got := ann.Texts(); got[len(got)-1] != "[{bob true}]" {
		t.Errorf("got %q", got)
	}
	if got := h.Watching(); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("the room watches %q", got)
	}
}

func TestWatchNeedsAHandler(t *testing.T) {
	inTurnPanics(t, func(r *rooms.Room) { _ = r.Watch("ann") }, "no Presence handler")
}

func inTurnPanics(t *testing.T, f func(*rooms.Room), want string) {
	t.Helper()
	h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, _ rooms.Message) { f(r) }}, roomtest.Options{AllowTraps: true})
	h.Connect("ann").Send("x")
	if x := h.Rejections(); len(x) != 1 || !strings.Contains(x[0].Trap.Message, want) {
		t.Errorf("rejections %v, want %q", x, want)
	}
}

func TestNotify(t *testing.T) {
	h := openFriends(t, roomtest.Options{})
	ann := h.Connect("ann")
	ann.Send("poke bob")
	if n := h.Notifies(); len(n) != 1 || n[0].User != "bob" || n[0].Event != "poke" || string(n[0].Data) != "poke bob" || n[0].Encoding != abi.Text {
		t.Errorf("%+v", n)
	}
	ann.Notify("chat", "lobby", "mention", rooms.Text("hi"))
	ann.Notify("", "", "mention", rooms.Text("hi"))
	expect(t, ann, "chat/lobby mention hi", "/ mention hi")

	for _, tt := range []struct {
		notify func(*rooms.Room)
		want   string
	}{
		{func(r *rooms.Room) { r.Notify("", "e", rooms.Message{}) }, "not a user's name"},
		{func(r *rooms.Room) { r.Notify("u", "", rooms.Message{}) }, "the event's name"},
		{func(r *rooms.Room) { r.Notify("u", "a b", rooms.Message{}) }, "the event's name"},
		{func(r *rooms.Room) { r.Notify("u", "e", rooms.Binary(make([]byte, abi.MaxNotify+1))) }, "16 KiB"},
		{func(r *rooms.Room) {
			for range abi.MaxNotifies + 1 {
				r.Notify("u", "e", rooms.Message{})
			}
		}, "256"},
	} {
		inTurnPanics(t, tt.notify, tt.want)
	}
	many := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, _ rooms.Message) {
		for range abi.MaxNotifies {
			r.Notify("u", strings.Repeat("e", abi.MaxNotification), rooms.Binary(make([]byte, abi.MaxNotify)))
		}
	}}, roomtest.Options{})
	bob := many.Connect("bob")
	for range 2 { // the count is of one turn
		bob.Send("x")
		if n := len(many.Notifies()); n != abi.MaxNotifies {
			t.Errorf("%d notifications", n)
		}
	}
	// A kind without a handler hears nothing of it.
	bob.Notify("", "", "e", rooms.Text("x"))
	if err := errors.Join(errorsOf(many)...); err != nil || len(bob.Texts()) != 0 {
		t.Error(err)
	}
}

func errorsOf(h *roomtest.Host) (errs []error) {
	for _, x := range h.Rejections() {
		errs = append(errs, x.Trap)
	}
	return errs
}
