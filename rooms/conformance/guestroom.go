package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// Guests is the [Driver] of hosts that stand on package host: it puts the smallest possible host around
// each room's guest, with rows in memory.
type Guests struct {
	// New returns the guest of a new room that has no memory yet. It is closed by the test's
	// Cleanup, if it needs closing.
	New func(t testing.TB) host.Guest
	// Next returns a guest of another version of the module for a room that runs now on g: g itself if
	// the host replaces a module in place. Default: the host cannot.
	Next func(t testing.TB, g host.Guest) host.Guest
	// Traps is [Driver].Stops. Default: the host stops everything.
	Traps func(cause host.Cause) bool
}

var _ Driver = Guests{}

// Replay implements [Driver].
func (d Guests) Replay(t testing.TB, steps []Step) []Answer { return replay(t, d.New(t), steps) }

// Room implements [Driver].
func (d Guests) Room(t testing.TB, kind string) Room {
	return d.room(t, d.New(t), kind, time.UnixMilli(Epoch).UTC())
}

// Stops implements [Driver].
func (d Guests) Stops(cause host.Cause) bool { return d.Traps == nil || d.Traps(cause) }

// maxAlarmAttempts is how often an alarm that traps is tried, as Durable Objects do.
const maxAlarmAttempts = 6

// A guestRoom is a room on such a host: it writes down what every client would see.
type guestRoom struct {
	t       testing.TB
	next    func(testing.TB, host.Guest) host.Guest
	guest   host.Guest
	model   *host.Room
	rows    rows
	table   host.Table // as delivered
	now     time.Time
	away    bool
	fail    bool   // commits fail
	rang    uint64 // the alarm that fired last
	attempt uint64 // of the alarm
	due     uint64 // the time of the next, if one failed
	result  Result
	closed  map[uint64]bool
}

var _ Room = (*guestRoom)(nil)

func (d Guests) room(t testing.TB, g host.Guest, kind string, now time.Time) *guestRoom {
	r := &guestRoom{t: t, next: d.Next, guest: g, now: now, closed: map[uint64]bool{}}
	r.model = host.New(r.config(kind))
	return r
}

func (r *guestRoom) config(kind string) host.Config {
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

// Run implements [Room].
func (r *guestRoom) Run(events ...abi.Event) Result {
	r.t.Helper()
	r.run(events...)
	return r.taken()
}

// Sleep implements [Room].
func (r *guestRoom) Sleep() { r.model.Sleep() }

// Pass implements [Room].
func (r *guestRoom) Pass(d time.Duration) Result {
	r.t.Helper()
	r.pass(d)
	return r.taken()
}

// Ring implements [Room].
func (r *guestRoom) Ring() Result {
	r.t.Helper()
	r.run(&abi.AlarmEvent{Scheduled: r.rang, Attempt: r.attempt})
	return r.taken()
}

// Storage implements [Room].
func (r *guestRoom) Storage(s StorageState) bool {
	r.fail, r.away, r.rows.fail, r.rows.page = s == CommitsFail, s == CommitsAway, s == ReadsFail, 0
	if s == ShortAnswers {
		r.rows.page = 7
	}
	return true
}

// Delete implements [Room].
func (r *guestRoom) Delete(key string) { delete(r.rows.byKey, key) }

// Replace implements [Room].
func (r *guestRoom) Replace() abi.StartReason {
	if r.next == nil {
		return 0
	}
	r.guest = r.next(r.t, r.guest)
	r.model.Replace(r.guest)
	return abi.StartReplaced
}

// taken returns what came since the last call.
func (r *guestRoom) taken() Result {
	got := r.result
	r.result = Result{}
	return got
}

// run hands events to the room as one batch and delivers what comes of them.
func (r *guestRoom) run(events ...abi.Event) {
	r.t.Helper()
	for _, e := range events {
		if c, ok := e.(*abi.ConnectEvent); ok {
			c.Connection.Since = uint64(r.now.UnixMilli())
		}
	}
	result := r.model.Run(context.Background(), r.away, events)
	for _, x := range result.Rejections {
		r.result.Rejected = append(r.result.Rejected, x.Trap.Cause)
	}
	var trap *host.Trap
	switch {
	case result.Err == nil:
	case errors.Is(result.Err, host.ErrStart):
		r.result.Undone = abi.CodeRoomUnavailable
	case errors.As(result.Err, &trap) && trap.Cause == host.CauseStorage:
		r.result.Undone = abi.CodeStorageUnavailable
	default:
		r.t.Errorf("the run ended with %v", result.Err)
	}
	if result.Err != nil && len(result.Unrun) != len(events) {
		r.t.Errorf("%d of %d events were not run: %v", len(result.Unrun), len(events), result.Err)
	}
	var lost []abi.Event
	void := false
	for _, t := range result.Turns {
		switch {
		case t.Decision:
			r.deliver(t)
		case void || t.Durable() && (r.away || r.fail):
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

func (r *guestRoom) deliver(t *host.Turn) {
	r.rows.apply(t)
	if t.AlarmSet {
		r.attempt, r.due = 0, 0
	}
	for _, e := range t.Tells {
		r.see("tell %s/%s %s", e.Kind, e.Room, e.Data)
	}
	r.table.Deliver(t, func(e abi.Effect) {
		switch e := e.(type) {
		case *abi.SendEffect:
			if r.table.Has(e.Connection) {
				r.see("%s", FrameLine(e.Connection, e.Encoding, e.Data))
			}
		case *abi.BroadcastEffect:
			r.table.Recipients(e, func(id uint64) { r.see("%s", FrameLine(id, e.Encoding, e.Data)) })
		case *abi.CloseEffect:
			if !r.closed[e.Connection] {
				r.closed[e.Connection] = true
				r.see("%s", CloseLine(e.Connection, e.Code, e.Reason))
			}
		case *abi.RespondEffect:
			r.see("answer %d %d %s", e.Request, e.Status, e.Body)
		case *abi.TickEffect:
			r.see("ticks %d", e.Interval)
		case *abi.WatchEffect:
			r.see("watch %s %t", e.User, e.On)
		case *abi.NotifyEffect:
			r.see("notify %s %s %s", e.User, e.Event, e.Data)
		}
	})
}

func (r *guestRoom) see(format string, args ...any) {
	r.result.Seen = append(r.result.Seen, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// connect connects a client whose query is commands.
func (r *guestRoom) connect(id uint64, commands string) { r.t.Helper(); r.run(connect(id, commands)) }

// say runs a message's commands.
func (r *guestRoom) say(id uint64, commands string) { r.t.Helper(); r.run(message(id, commands)) }

func (r *guestRoom) sleep() { r.model.Sleep() }

// pass moves the clock and fires the alarm if it is due.
func (r *guestRoom) pass(d time.Duration) {
	r.t.Helper()
	r.now = r.now.Add(d)
	at := r.rows.alarm
	now := uint64(r.now.UnixMilli())
	if at == 0 || max(at, r.due) > now {
		return
	}
	r.rang = at
	r.run(&abi.AlarmEvent{Scheduled: at, Attempt: r.attempt})
	if len(r.result.Rejected) > 0 { // a failed commit is not the room's fault, and counts nothing
		r.due = now + 2000<<r.attempt
		if r.attempt++; r.attempt == maxAlarmAttempts {
			r.due = math.MaxUint64
		}
	}
}
