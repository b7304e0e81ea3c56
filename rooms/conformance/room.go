package conformance

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// A room is a room of the conformance module with the smallest possible host around it: it keeps
// rows in memory and writes down what every client would see.
type room struct {
	t      testing.TB
	driver Driver
	guest  host.Guest
	model  *host.Room
	rows   rows
	table  host.Table // as delivered
	now    time.Time
	away   bool
	voids  int // commits that will fail
	result host.Result
	seen   []string
	closed map[uint64]abi.Code
}

// epoch is when all recordings and behaviors take place.
var epoch = time.UnixMilli(1_790_000_000_000).UTC()

func newRoom(t testing.TB, d Driver, kind string) *room {
	t.Helper()
	if kind == "" {
		kind = "probe"
	}
	r := &room{t: t, driver: d, guest: d.Guest(t), now: epoch, closed: map[uint64]abi.Code{}}
	r.model = host.New(r.config(kind))
	return r
}

func (r *room) config(kind string) host.Config {
	options := abi.KindOptions{Name: kind}.WithDefaults()
	if kind == "small" {
		options.Members = 2
	}
	handle, turn := uint64(0), byte(0)
	return host.Config{
		Kind: options, Name: "conformance", Term: "term-1", Guest: r.guest, Storage: &r.rows,
		Now:    func() time.Time { return r.now },
		Seed:   func(s *[abi.SeedSize]byte) { turn++; s[0] = turn },
		Handle: func() uint64 { handle++; return handle },
	}
}

// run hands events to the room as one batch and delivers what comes of them.
func (r *room) run(events ...abi.Event) {
	r.t.Helper()
	r.result = r.model.Run(context.Background(), r.away, events)
	var lost []abi.Event
	void := false
	for _, t := range r.result.Turns {
		switch {
		case t.Decision:
			r.deliver(t)
		case void || t.Durable() && (r.away || r.voids > 0):
			if !void {
				r.voids = max(0, r.voids-1)
			}
			void = true
			lost = append(lost, t.Lost()...)
		default:
			r.deliver(t)
		}
	}
	if void {
		r.model.Void(&r.table, r.rows.alarm, lost, abi.CodeStorageUnavailable)
		if r.model.Pending() && !r.away {
			r.run()
		}
	}
}

func (r *room) deliver(t *host.Turn) {
	r.rows.apply(t)
	for _, e := range t.Tells {
		r.see("tell %s/%s %s", e.Kind, e.Room, e.Data)
	}
	r.table.Deliver(t, func(e abi.Effect) {
		switch e := e.(type) {
		case *abi.SendEffect:
			if r.table.Has(e.Connection) {
				r.see("%d< %s", e.Connection, payload(e.Encoding, e.Key, e.Data))
			}
		case *abi.BroadcastEffect:
			r.table.Recipients(e, func(id uint64) { r.see("%d< %s", id, payload(e.Encoding, e.Key, e.Data)) })
		case *abi.CloseEffect:
			if r.closed[e.Connection] == 0 {
				r.closed[e.Connection] = e.Code
				r.see("%d closed %d %s", e.Connection, e.Code, e.Reason)
			}
		case *abi.RespondEffect:
			r.see("answer %d %d %s", e.Request, e.Status, e.Body)
		case *abi.TickEffect:
			r.see("ticks %d", e.Interval)
		}
	})
}

func payload(enc abi.Encoding, key string, data []byte) string {
	s := string(data)
	if len(s) > 200 {
		s = fmt.Sprintf("%d bytes", len(s))
	}
	if enc == abi.Binary {
		s = "binary " + s
	}
	if key != "" {
		s = "[" + key + "] " + s
	}
	return s
}

func (r *room) see(format string, args ...any) {
	r.seen = append(r.seen, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// want compares what was seen since the last call, and that nothing else went wrong.
func (r *room) want(lines ...string) {
	r.t.Helper()
	if r.result.Err != nil {
		r.t.Errorf("the run ended with %v", r.result.Err)
	}
	r.wantSeen(lines...)
}

func (r *room) wantSeen(lines ...string) {
	r.t.Helper()
	got, want := strings.Join(r.seen, "\n     "), strings.Join(lines, "\n     ")
	if got != want {
		r.t.Errorf("seen\n got %s\nwant %s", got, want)
	}
	r.seen = nil
}

// forget drops what was seen.
func (r *room) forget() { r.seen = nil }

// wantRejected compares the events that were rejected in the last run, by the causes of their
// traps, where the host can know them.
func (r *room) wantRejected(causes ...host.Cause) {
	r.t.Helper()
	if len(r.result.Rejections) != len(causes) {
		r.t.Errorf("%d rejections, want %d: %v", len(r.result.Rejections), len(causes), r.result.Rejections)
		return
	}
	for i, x := range r.result.Rejections {
		if x.Trap.Cause != causes[i] {
			r.t.Errorf("a trap for %q, want %q: %v", x.Trap.Cause, causes[i], x.Trap)
		}
	}
}

// connect connects a client whose query is commands.
func (r *room) connect(id uint64, commands string) { r.t.Helper(); r.run(connect(id, commands)) }

// say runs a message's commands.
func (r *room) say(id uint64, commands string) { r.t.Helper(); r.run(message(id, commands)) }

// sleep puts the room to sleep.
func (r *room) sleep() { r.model.Sleep() }

// pass moves the clock and fires the alarm if it is due.
func (r *room) pass(d time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(d)
	if at := r.rows.alarm; at != 0 && at <= uint64(r.now.UnixMilli()) {
		r.run(&abi.AlarmEvent{Scheduled: at})
	}
}

func connect(id uint64, commands string) *abi.ConnectEvent {
	return &abi.ConnectEvent{
		Connection: abi.Connection{ID: id, User: fmt.Sprint("user", id), Since: uint64(epoch.UnixMilli())},
		Query:      commands, Address: "192.0.2.1",
	}
}

func message(id uint64, commands string) *abi.MessageEvent {
	return &abi.MessageEvent{Connection: id, Encoding: abi.Text, Data: []byte(commands)}
}

func gone(id uint64) *abi.CloseEvent {
	return &abi.CloseEvent{Connection: id, Code: abi.CodeAbnormal, Reason: "broken"}
}

func request(id uint64, commands string) *abi.RequestEvent {
	return &abi.RequestEvent{ID: id, Method: "POST", Path: "/" + strings.ReplaceAll(commands, " ", "+"), User: "ann", Body: []byte("body")}
}

func told(id uint64, commands string) *abi.ToldEvent {
	return &abi.ToldEvent{FromKind: "probe", FromRoom: "other", ID: id, Data: []byte(commands)}
}
