package runtime_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/conformance"
	"github.com/oriel-rooms/oriel/rooms/conformance/kinds"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/runtime"
)

// conformanceModule builds the module of the conformance suite once.
var conformanceModule = sync.OnceValues(func() ([]byte, error) { return build("../rooms/conformance/module", "1") })

// conformanceDriver runs the suite's module on wazero, where a guest can do no harm.
func conformanceDriver(t *testing.T, o runtime.Options) conformance.Guests {
	t.Helper()
	binary, err := conformanceModule()
	if err != nil {
		t.Fatal(err)
	}
	o.Untimed = true // what a room does hangs on no machine
	r := newRuntime(t, o)
	module, next := load(t, r, binary), load(t, r, binary)
	return conformance.Guests{
		New: func(t testing.TB) host.Guest {
			room, err := module.NewRoom("conformance")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = room.Close() })
			return room
		},
		Next: func(t testing.TB, g host.Guest) host.Guest {
			if err := g.(*runtime.Room).Replace(next); err != nil {
				t.Fatal(err)
			}
			return g
		},
	}
}

// TestConformance runs the suite that every host must pass, with the fast memories and with
// the portable ones.
func TestConformance(t *testing.T) {
	for name, o := range map[string]runtime.Options{"copy-on-write": {}, "plain": {Plain: true}} {
		t.Run(name, func(t *testing.T) { conformance.Run(t, conformanceDriver(t, o)) })
	}
}

// TestConformanceRandom records made-up traffic from the module's Go code and repeats it on wazero, byte for byte.
func TestConformanceRandom(t *testing.T) {
	wasm := conformanceDriver(t, runtime.Options{})
	native := conformance.Guests{New: func(testing.TB) host.Guest { return roomtest.NewNative(kinds.Module(), nil) }}
	seed, n := rand.Uint64(), uint64(20)
	if testing.Short() {
		n = 5
	}
	for i := range n {
		t.Run(fmt.Sprint(seed+i), func(t *testing.T) {
			r := conformance.RecordRandom(t, native, seed+i, 60)
			r.Check(t, wasm)
		})
	}
}
