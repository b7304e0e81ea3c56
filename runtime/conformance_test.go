package runtime_test

import (
	"sync"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/conformance"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
)

// conformanceModule builds the module of the conformance suite once.
var conformanceModule = sync.OnceValues(func() ([]byte, error) { return build("../rooms/conformance/module", "1") })

// conformanceDriver runs the suite's module on wazero.
type conformanceDriver struct {
	runtime *runtime.Runtime
	module  *runtime.Module
	next    *runtime.Module
}

func newConformanceDriver(t *testing.T, o runtime.Options) conformanceDriver {
	t.Helper()
	binary, err := conformanceModule()
	if err != nil {
		t.Fatal(err)
	}
	d := conformanceDriver{runtime: newRuntime(t, o)}
	for _, m := range []**runtime.Module{&d.module, &d.next} {
		if *m, err = d.runtime.Load(t.Context(), binary); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// Guest implements conformance.Driver.
func (d conformanceDriver) Guest(t testing.TB) host.Guest {
	room, err := d.module.NewRoom("conformance")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = room.Close() })
	return room
}

// Stops implements conformance.Driver: a guest under wazero can do no harm.
func (conformanceDriver) Stops(host.Cause) bool { return true }

// Replacement implements conformance.Replacer.
func (d conformanceDriver) Replacement(t testing.TB, g host.Guest) host.Guest {
	if err := g.(*runtime.Room).Replace(d.next); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestConformance runs the suite that every host must pass, with the fast memories and with
// the portable ones. Its largest turns need most of a turn's fuel, and time, which costs fuel, is
// dearer on a machine that runs other tests.
func TestConformance(t *testing.T) {
	for name, o := range map[string]runtime.Options{"copy-on-write": {}, "plain": {Plain: true}} {
		o.TurnFuel = 2 * runtime.DefaultTurnFuel
		t.Run(name, func(t *testing.T) { conformance.Run(t, newConformanceDriver(t, o)) })
	}
}
