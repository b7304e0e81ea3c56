package session_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestNotified: by default a member hears a notification as a signal, in both forms.
func TestNotified(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.connect("ann")
		ann.Notify("", "", "early", rooms.Text(`1`)) // has not said hello
		ann.hello(protocol.ClientMessage{}).read()
		for _, tt := range []struct {
			message rooms.Message
			want    protocol.Payload
		}{
			{rooms.Text(`{"by":"bob"}`), protocol.JSONPayload(`{"by":"bob"}`)},
			{rooms.Text(`not JSON`), protocol.BytesPayload([]byte("not JSON"))},
			{rooms.Binary([]byte(`{"by":"bob"}`)), protocol.BytesPayload([]byte(`{"by":"bob"}`))},
			{rooms.Binary(nil), protocol.Payload{}},
		} {
			ann.Notify("chat", "lobby", "mention", tt.message)
			got := ann.read()
			if len(got) != 1 {
				t.Fatalf("%d messages", len(got))
			}
			s, ok := got[0].(*protocol.Signal)
			if !ok || s.Name != session.NotifyPrefix+"mention" || s.From != "" || s.Payload.Format != tt.want.Format || string(s.Payload.Data) != string(tt.want.Data) {
				t.Errorf("got %+v, want %+v", got[0], tt.want)
			}
		}
	})
}

// TestForgedNotification: no member can say what only rooms and backends say.
func TestForgedNotification(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob := h.join("ann"), h.join("bob")
		ann.read()
		bob.read()
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: session.NotifyPrefix + "mention"})
		ann.want("error unknown_event")
		if got := bob.got(); len(got) != 0 {
			t.Errorf("bob heard %q", got)
		}
	})
}

// circle is a kind that watches users and takes its notifications itself.
type circle struct{}

func (circle) Publish(r *session.Room, from *session.Member, p session.Publish) (session.Event, error) {
	if p.Event == "leave" {
		r.Unwatch(string(p.Payload.Data))
		return session.Event{}, nil
	}
	r.Notify(from.User(), "echo", p.Payload)
	return session.Event{}, r.Watch(string(p.Payload.Data))
}

func (circle) Presence(r *session.Room, users []abi.UserPresence) {
	for _, u := range users {
		if _, err := r.Emit(session.Event{Name: "presence", From: u.User, Ephemeral: !u.Online}); err != nil {
			panic(err)
		}
	}
}

func (circle) Notified(r *session.Room, to *session.Member, n rooms.Notified) {
	r.SignalTo(to.User(), session.Signal{Name: "own", Payload: session.Bytes([]byte(n.FromKind + n.Event))})
}

func TestWatching(t *testing.T) {
	for _, sleep := range []bool{false, true} {
		m := &rooms.Module{}
		session.RegisterIn(m, "circle", func() session.Kind { return circle{} }, session.Options{})
		h := &parlorHost{Host: roomtest.New(t, roomtest.Options{Module: m, Kind: "circle"}), t: t, mode: mode{form: protocol.JSON}}
		ann := h.join("ann")
		h.SetOnline(`"bob"`, true)
		ann.read()
		ann.publish("watch", `"bob"`)
		if n := h.Notifies(); len(n) != 1 || n[0].User != "ann" || n[0].Event != "echo" || string(n[0].Data) != `"bob"` {
			t.Errorf("%+v", n)
		}
		heard := func() (got []string) {
			for _, m := range ann.read() {
				if e, ok := m.(*protocol.Event); ok {
					got = append(got, e.From)
				}
			}
			return got
		}
		if got := heard(); len(got) != 1 || got[0] != `"bob"` {
			t.Errorf("heard of %q", got)
		}
		if sleep {
			h.Sleep()
		}
		h.SetOnline(`"bob"`, false)
		if got := heard(); len(got) == 0 || got[0] != `"bob"` {
			t.Errorf("heard of %q", got)
		}
		ann.Notify("chat", "lobby", "mention", rooms.Text("x"))
		if got := ann.read(); len(got) != 1 || got[0].(*protocol.Signal).Name != "own" || string(got[0].(*protocol.Signal).Payload.Data) != "chatmention" {
			t.Errorf("got %+v", got)
		}
		ann.publish("leave", `"bob"`)
		if got := h.Watching(); len(got) != 0 {
			t.Errorf("the room watches %q", got)
		}
	}
}
