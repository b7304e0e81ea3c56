package conformance

import (
	"slices"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/host"
)

// A Driver makes rooms of the conformance module on the host under test.
type Driver interface {
	// Guest returns the guest of a new room that has no memory yet. It is closed by the test's
	// Cleanup, if it needs closing.
	Guest(t testing.TB) host.Guest
	// Stops reports whether the host ends a turn that fails for this cause. A host that says no is
	// spared the behaviors that would end its process: a native host stops panics only.
	Stops(cause host.Cause) bool
}

// A Replacer is a Driver that can run another version of the module.
type Replacer interface {
	Driver
	// Replacement returns a guest of a second version of the module for a room that runs now on g.
	// If the host replaces a module in place, the result is g itself.
	Replacement(t testing.TB, g host.Guest) host.Guest
}

// native are the causes that a host stops that runs the module's Go code in its own process.
var native = []host.Cause{host.CausePanic, host.CauseGarbage, host.CauseStorage}

// Native reports whether a host that runs the module natively stops a cause: it is [Driver].Stops
// for such hosts.
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
				b.run(newRoom(t, d, b.kind))
			})
		}
	})
}
