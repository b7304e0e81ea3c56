package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// A Driver makes rooms of the conformance module on the host under test. [Guests] is the one of
// hosts that stand on package host.
type Driver interface {
	// Replay hands the steps of a recording to a new room without memory and with empty storage,
	// and returns one answer for each.
	Replay(t testing.TB, steps []Step) []Answer
	// Room returns a new room of a kind. It is closed by the test's Cleanup, if it needs closing.
	Room(t testing.TB, kind string) Room
	// Stops reports whether the host ends a turn that fails for this cause. A host that says no is
	// spared the behaviors that would end its process (a native host stops panics only) or
	// that cannot happen to it.
	Stops(cause host.Cause) bool
}

// An Answer is what a step gave: the encoded effects in hex, or a trap. That of a sleep is empty.
type Answer struct {
	Effects string     `json:"effects"`
	Trap    host.Cause `json:"trap"`
	Message string     `json:"message"` // the trap's, for people
}

// Epoch is when every behavior begins, milliseconds since 1970: so far ahead that no host's real alarm
// clock comes to the alarms of a room whose own clock the driver moves.
const Epoch = 4_000_000_000_000

// A Room is one room on the host under test, with its storage, its clock and its clients. The
// methods return when everything that came of them has been delivered, and fail the test if the host
// itself is broken. Connections are numbered from 1, in the order of their connect events, until the room
// sleeps.
type Room interface {
	// Run hands events to the room: as one batch if the host makes batches, else one after the other.
	Run(events ...abi.Event) Result
	// Sleep gives the room's memory back; its connections stay.
	Sleep()
	// Pass moves the room's clock, which stands still otherwise, and fires the alarm if it is due.
	Pass(d time.Duration) Result
	// Ring fires the alarm that fired last once more: hosts promise "at least once".
	Ring() Result
	// Storage brings the storage into a state. It returns false if the host has none like it.
	Storage(s StorageState) bool
	// Delete deletes a row without the room.
	Delete(key string)
	// Replace runs another version of the module from the next event on, and returns the reason of
	// the start that follows; 0 if the host cannot.
	Replace() abi.StartReason
}

// StorageState is how a room's storage does.
type StorageState int

// The states of a room's storage.
const (
	Sound        StorageState = iota
	ReadsFail                 // reads fail
	CommitsFail               // the host finds out when it commits a turn
	CommitsAway               // the host knows that nothing can be committed, and says so to the room
	ShortAnswers              // lists come in pages of seven rows
)

// A Result is what came of a call.
type Result struct {
	// Seen has a line for each frame and each close that a client got ([FrameLine], [CloseLine]). The lines
	// of one client are in order; those of different clients may stand in any.
	Seen []string
	// Rejected are the causes of the events that the room failed on, or that never reached it.
	Rejected []host.Cause
	// Undone is [abi.CodeStorageUnavailable] or [abi.CodeRoomUnavailable] if events did not
	// happen and may be sent again. The host may have closed the connections concerned with this code.
	Undone abi.Code
}

// native are the causes that a host stops that runs the module's Go code in its own process.
var native = []host.Cause{host.CausePanic, host.CauseGarbage, host.CauseStorage, host.CauseEvent}

// Native reports whether a host that runs the module natively stops a cause.
func Native(cause host.Cause) bool { return slices.Contains(native, cause) }

// Run runs the whole suite on a host.
func Run(t *testing.T, d Driver) {
	t.Run("recordings", func(t *testing.T) { runRecordings(t, d) })
	t.Run("behaviors", func(t *testing.T) {
		for _, b := range behaviors {
			t.Run(b.name, func(t *testing.T) {
				if b.needs != "" && !d.Stops(b.needs) {
					t.Skipf("the host does not stop %q", b.needs)
				}
				b.run(&trial{t: t, room: d.Room(t, kindOf(b.kind))})
			})
		}
	})
}

// kindOf is the kind that a behavior or scenario means.
func kindOf(kind string) string {
	if kind == "" {
		return "probe"
	}
	return kind
}
