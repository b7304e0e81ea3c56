package runtime_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
)

// TestHammerRooms runs many rooms of two versions on few instances, with traps, sleeps,
// slow reads, replacements and memories of many sizes, and checks that each room
// sees its own state and no other's.
func TestHammerRooms(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		o.Workers, o.Parked = 3, 2
		o.TurnFuel = 8_000_000
		if o.Interpret {
			o.TurnFuel = 2_000_000
		}
		r := newRuntime(t, o)
		one := load(t, r, guest(t))
		second, err := build("./testdata/guest", "2")
		if err != nil {
			t.Fatal(err)
		}
		modules := []*runtime.Module{one, load(t, r, second)}
		slow := newGate()
		close(slow.open)
		slow.arrived = make(chan struct{}, 1<<20)
		var wg sync.WaitGroup
		for id := range 8 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(id), 1))
				version := id % 2
				room, err := modules[version].NewRoom("room")
				if err != nil {
					t.Error(err)
					return
				}
				defer room.Close()
				count, held := 0, 0
				check := func(command, want string) {
					if got, err := ask(room, slow, command); err != nil || got != want {
						t.Errorf("room %d: %s = %q, %v; want %q", id, command, got, err, want)
					}
				}
				for range 150 {
					switch random.IntN(14) {
					case 0:
						room.Sleep()
						count, held = 0, 0
					case 1:
						command := []string{"panic x", "loop", "far", "exit 1", "deadlock", "wild"}[random.IntN(6)]
						if _, err := ask(room, nil, command); !errors.Is(err, host.ErrTrap) {
							t.Errorf("room %d: %s: %v", id, command, err)
						}
						count, held = 0, 0
					case 2:
						version = 1 - version
						if err := room.Replace(modules[version]); err != nil {
							t.Error(err)
						}
						count, held = 0, 0
					case 12, 13:
						room.Fold()
					case 3, 4:
						check("get key", "slow")
					case 5:
						if held < 20 {
							held++
							check("hold 64", "ok")
						}
					case 6:
						check("kept", itoa(held*16))
					case 7:
						check("version", itoa(version+1))
					default:
						count++
						check("count", itoa(count))
					}
				}
			})
		}
		wg.Wait()
		if s := r.Stats(); s.Parked != 0 || s.Instances > 2*(3+2) {
			t.Errorf("%+v", s)
		}
	})
}
