//go:build linux || darwin

package runtime_test

import (
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/runtime"
)

// BenchmarkFuel says how long a turn's fuel lasts in sorts of work that are far from one
// another, most of them written to cheat: the promise is about 20 ms.
func BenchmarkFuel(b *testing.B) {
	for _, clocked := range []bool{true, false} {
		name := "clock"
		if !clocked {
			name = "fuel-alone"
		}
		b.Run(name, func(b *testing.B) {
			r := newRuntime(b, runtime.Options{Untimed: !clocked})
			run := func(name string, binary []byte, events []byte) {
				b.Run(name, func(b *testing.B) {
					room := newRoom(b, load(b, r, binary), "room")
					best := time.Hour
					for b.Loop() {
						took, _ := burn(b, room, events)
						best = min(best, took)
					}
					b.ReportMetric(float64(best.Nanoseconds())/1e6, "cpu-ms")
					b.ReportMetric(float64(room.Fuel())/float64(best.Nanoseconds()), "units/ns")
				})
			}
			for _, command := range []string{goLike, "maps 100000000", "spin 1000000000", "loop", "empty-loop"} {
				run("go: "+command, guest(b), batch(command))
			}
			for _, c := range cheats() {
				run(c.name, c.module.Bytes(), batch())
			}
		})
	}
}
