package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// A trial is a behavior's room, with what was seen in it.
type trial struct {
	t    *testing.T
	room Room
	seen []string
	last Result
}

// run hands events to the room.
func (r *trial) run(events ...abi.Event) { r.t.Helper(); r.take(r.room.Run(events...)) }

// connect connects a client whose query is commands.
func (r *trial) connect(id uint64, commands string) { r.t.Helper(); r.run(connect(id, commands)) }

// say runs a message's commands.
func (r *trial) say(id uint64, commands string) { r.t.Helper(); r.run(message(id, commands)) }

// pass moves the clock and fires the alarm if it is due.
func (r *trial) pass(d time.Duration) { r.t.Helper(); r.take(r.room.Pass(d)) }

// storage brings the storage into a state, or skips the behavior.
func (r *trial) storage(s StorageState) {
	r.t.Helper()
	if !r.room.Storage(s) {
		r.t.Skip("the host's storage is never so")
	}
}

// repair makes the storage sound and lets the time pass that a host waits before it tries a room
// again that did not run.
func (r *trial) repair() {
	r.t.Helper()
	r.storage(Sound)
	r.pass(2 * time.Minute)
}

func (r *trial) take(result Result) {
	r.last = result
	r.seen = append(r.seen, result.Seen...)
}

// want compares what was seen since the last call, and that all events happened.
func (r *trial) want(lines ...string) { r.t.Helper(); r.wantEither(lines, lines) }

// wantEither is want where it shows whether the host put the events into one batch or ran them one by one.
func (r *trial) wantEither(batch, single []string) {
	r.t.Helper()
	if r.last.Undone != 0 {
		r.t.Errorf("events did not happen: %v", r.last.Undone)
	}
	r.wantSeen(batch, single)
}

func (r *trial) wantSeen(either ...[]string) {
	r.t.Helper()
	got := arranged(r.seen)
	r.seen = nil
	for _, lines := range either {
		if slices.Equal(got, arranged(lines)) {
			return
		}
	}
	r.t.Errorf("seen\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(arranged(either[0]), "\n     "))
}

// wantOf compares what one client saw since the last call; what others saw is forgotten.
func (r *trial) wantOf(id uint64, lines ...string) {
	r.t.Helper()
	r.seen = slices.DeleteFunc(r.seen, func(line string) bool { return clientOf(line) != id })
	r.want(lines...)
}

// wantUndone says that the last events did not happen and that nobody saw anything of them.
func (r *trial) wantUndone(code abi.Code) {
	r.t.Helper()
	if r.last.Undone != code {
		r.t.Errorf("undone for %v, want %v", r.last.Undone, code)
	}
	r.wantSeen(nil)
}

// forget drops what was seen.
func (r *trial) forget() { r.seen = nil }

// wantRejected compares the causes for which events were rejected in the last run.
func (r *trial) wantRejected(causes ...host.Cause) {
	r.t.Helper()
	if !slices.Equal(r.last.Rejected, causes) {
		r.t.Errorf("rejected for %q, want %q", r.last.Rejected, causes)
	}
}
