package rooms_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// emptyHost has no rows.
type emptyHost struct{}

func (emptyHost) Get(string) ([]byte, bool)             { return nil, false }
func (emptyHost) List(abi.ListRequest) abi.ListResponse { return abi.ListResponse{} }
func (emptyHost) Log(abi.LogLevel, string)              {}

// busy does a little of everything with whatever comes.
func busy() *funcs {
	return &funcs{
		start: func(r *rooms.Room) { r.SetTick(minute) },
		connect: func(r *rooms.Room, c *rooms.Connection) error {
			c.SetTags(c.User())
			c.Attach(c.Claims())
			r.Broadcast(rooms.Text("joined"))
			if c.Query() == "no" {
				return abi.CodeForbidden
			}
			return nil
		},
		message: func(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
			r.BroadcastTo(rooms.Audience{Except: []*rooms.Connection{c}}, m)
			r.Storage().Put("last", m.Data)
			if len(m.Data)%3 == 0 {
				c.Close(abi.CodeKicked, string(m.Data))
			}
		},
		close:    func(r *rooms.Room, c *rooms.Connection, _ abi.Code, _ string) { r.Storage().Delete("last") },
		alarm:    func(r *rooms.Room, a rooms.Alarm) { r.SetAlarm(a.Scheduled().Add(minute)) },
		request:  func(_ *rooms.Room, q *rooms.Request) { q.Respond(200, "text/plain", q.Body) },
		rejected: func(r *rooms.Room, _ abi.Code, e abi.Event) { r.Log(0, e.Type().String()) },
		told:     func(r *rooms.Room, m rooms.Told) { r.Tell(m.FromKind, m.FromRoom, m.Data) },
	}
}

// FuzzTurn runs two hostile batches on an instance. It panics only to say what the host did
// wrong, and what it answers is an encoding of effects within the limits.
func FuzzTurn(f *testing.F) {
	start := abi.Batch{Handle: 1, Time: 1, Events: []abi.Event{&abi.StartEvent{Kind: "busy", Room: "r", Reason: abi.StartCold, Connections: []abi.Connection{{ID: 4, User: "ann"}}}}}
	next := abi.Batch{Handle: 1, Time: 2, Events: []abi.Event{
		&abi.ConnectEvent{Connection: abi.Connection{ID: 5}, Query: "no"},
		&abi.ConnectEvent{Connection: abi.Connection{ID: 6}},
		&abi.MessageEvent{Connection: 6, Encoding: abi.Text, Data: []byte("abc")},
		&abi.CloseEvent{Connection: 6, Code: 1000},
		&abi.AlarmEvent{Scheduled: 5},
		&abi.TickEvent{},
		&abi.RequestEvent{ID: 7, Method: "GET"},
		&abi.RejectedEvent{Code: 4209, Event: abi.AppendEvent(nil, &abi.TickEvent{})},
		&abi.ToldEvent{FromKind: "k", FromRoom: "r"},
		&abi.PresenceEvent{Users: []abi.UserPresence{{User: "ann", Online: true}}},
		&abi.NotifiedEvent{Connection: 1, Event: "e", Encoding: abi.Text},
	}}
	f.Add(abi.AppendBatch(nil, &start), abi.AppendBatch(nil, &next))
	f.Add(abi.AppendBatch(nil, &next), abi.AppendBatch(nil, &abi.Batch{Handle: 1, Events: []abi.Event{&abi.ForgetEvent{}}}))
	f.Add(abi.AppendBatch(nil, &start), abi.AppendBatch(nil, &start))
	var m rooms.Module
	m.Register("busy", func() rooms.Kind { return busy() }, rooms.Options{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		i := rooms.NewInstance(&m, emptyHost{})
		for _, batch := range [][]byte{abi.AppendBatch(nil, &start), first, second} {
			out, fault := turn(i, batch)
			if fault != "" {
				if !strings.HasPrefix(fault, "rooms: the host ") && !strings.HasPrefix(fault, "rooms: ") {
					t.Fatalf("panicked with %s", fault)
				}
				return // the host throws the instance away
			}
			if _, err := abi.DecodeEffects(out); err != nil && !strings.Contains(err.Error(), "UTF-8") {
				t.Fatalf("%x: %v", out, err)
			}
		}
	})
}

func turn(i *rooms.Instance, batch []byte) (out []byte, fault string) {
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Sprint(p)
		}
	}()
	return i.Turn(batch), ""
}

func TestHostFaults(t *testing.T) {
	var m rooms.Module
	m.Register("busy", func() rooms.Kind { return busy() }, rooms.Options{})
	startOf := func(handle uint64, kind string, connections ...abi.Connection) []byte {
		return abi.AppendBatch(nil, &abi.Batch{Handle: handle, Events: []abi.Event{&abi.StartEvent{Kind: kind, Room: "r", Reason: abi.StartCold, Connections: connections}}})
	}
	of := func(e abi.Event) []byte { return abi.AppendBatch(nil, &abi.Batch{Handle: 1, Events: []abi.Event{e}}) }
	for _, tt := range []struct {
		name    string
		batches [][]byte
		want    string
	}{
		{"garbage", [][]byte{{1, 2, 3}}, "rooms: the host sent a bad batch: abi: malformed"},
		{"no start", [][]byte{of(&abi.TickEvent{})}, "rooms: the host sent an event to a room that has not started"},
		{"two starts", [][]byte{startOf(1, "busy"), startOf(1, "busy")}, "rooms: the host started a handle twice"},
		{"unknown kind", [][]byte{startOf(1, "idle")}, "rooms: the host started a kind that is not in the module: idle"},
		{"listed twice", [][]byte{startOf(1, "busy", abi.Connection{ID: 1}, abi.Connection{ID: 1})}, "rooms: the host lists a connection twice"},
		{"connected twice", [][]byte{startOf(1, "busy", abi.Connection{ID: 1}), of(&abi.ConnectEvent{Connection: abi.Connection{ID: 1}})}, "rooms: the host connected the same connection twice"},
		{"rejected nothing", [][]byte{startOf(1, "busy"), of(&abi.RejectedEvent{Code: 1, Event: []byte{1}})}, "rooms: the host rejected something that is not an event"},
		{"after forget", [][]byte{startOf(1, "busy"), of(&abi.ForgetEvent{}), of(&abi.TickEvent{})}, "rooms: the host sent an event to a room that has not started"},
	} {
		i, last := rooms.NewInstance(&m, emptyHost{}), ""
		for k, b := range tt.batches {
			_, last = turn(i, b)
			if last != "" && k < len(tt.batches)-1 {
				t.Errorf("%s: batch %d: %s", tt.name, k, last)
			}
		}
		if !strings.HasPrefix(last, tt.want) {
			t.Errorf("%s: %s", tt.name, last)
		}
	}
}

// One instance runs many rooms: their state is behind their handles, and forgetting one frees it.
func TestManyRoomsInOneInstance(t *testing.T) {
	var m rooms.Module
	m.Register("sum", func() rooms.Kind {
		n := 0
		return &funcs{message: func(r *rooms.Room, _ *rooms.Connection, _ rooms.Message) {
			n++
			r.Broadcast(rooms.Text(fmt.Sprint(r.Name(), n)))
		}}
	}, rooms.Options{})
	i := rooms.NewInstance(&m, emptyHost{})
	run := func(handle uint64, events ...abi.Event) []abi.Effect {
		out, err := abi.DecodeEffects(i.Turn(abi.AppendBatch(nil, &abi.Batch{Handle: handle, Events: events})))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	message := &abi.MessageEvent{Connection: 1, Encoding: abi.Text}
	for handle := uint64(1); handle <= 3; handle++ {
		run(handle, &abi.StartEvent{Kind: "sum", Room: fmt.Sprint("r", handle, "-"), Reason: abi.StartCold, Connections: []abi.Connection{{ID: 1}}})
	}
	run(1, message)
	run(1, message)
	if e := run(2, message)[0].(*abi.BroadcastEffect); string(e.Data) != "r2-1" {
		t.Errorf("%s", e.Data)
	}
	if e := run(1, message)[0].(*abi.BroadcastEffect); string(e.Data) != "r1-3" {
		t.Errorf("%s", e.Data)
	}
	if out := run(2, &abi.ForgetEvent{}); len(out) != 0 || i.Rooms() != 2 {
		t.Errorf("%d effects, %d rooms", len(out), i.Rooms())
	}
}
