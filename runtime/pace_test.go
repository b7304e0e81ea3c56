//go:build linux || darwin

package runtime_test

import (
	"fmt"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/runtime"
)

// clockedRoom returns a room of an honest guest whose turns are timed by clock, and a command that burns
// three quarters of a turn's fuel.
func clockedRoom(t *testing.T, clock func() time.Duration) (room *runtime.Room, command string) {
	t.Helper()
	if runtime.ThreadTime() == 0 {
		t.Skip("no clock of the thread's computing time")
	}
	r := newRuntime(t, runtime.Options{})
	r.SetClock(nil)
	m := load(t, r, guest(t))
	if !m.CopyOnWrite() {
		t.Skip("time does not count")
	}
	room = newRoom(t, m, "room")
	const some = 1_000_000
	mustTurn(t, room, fmt.Sprint("spin ", some))
	command = fmt.Sprint("spin ", some*(r.Options().TurnFuel*3/4)/room.Fuel())
	mustTurn(t, room, command)
	if used := room.Fuel(); used < r.Options().TurnFuel*7/10 || used > r.Options().TurnFuel*8/10 {
		t.Fatalf("%s burns %d", command, used)
	}
	r.SetClock(clock)
	return room, command
}

func mustTurn(t *testing.T, room *runtime.Room, command string) {
	t.Helper()
	if _, err := room.Turn(t.Context(), batch(command), nil); err != nil {
		t.Fatalf("%s: %v", command, err)
	}
}

// TestSlowMachine: a turn that burns no more than its fuel ends well on a core that is five times slower,
// and one that takes long for other reasons ends there too.
func TestSlowMachine(t *testing.T) {
	slow := func() time.Duration { return 5 * runtime.ThreadTime() }
	room, command := clockedRoom(t, slow)
	for range 3 {
		mustTurn(t, room, command)
	}
	if room.Fuel() < runtime.DefaultTurnFuel {
		t.Errorf("%d units for what took more than the time of a turn: it was not timed", room.Fuel())
	}
	if testing.Short() {
		return
	}
	r := newRuntime(t, runtime.Options{})
	r.SetClock(slow)
	for _, c := range cheats() {
		if c.slow {
			t.Run(c.name, func(t *testing.T) { ends(t, r, c) })
		}
	}
}

// TestInterpretedIsUntimed: where wazero interprets, a turn pays for its instructions only. By itself it
// does that where the system forbids what a compiler needs, and this cannot be seen in the options.
func TestInterpretedIsUntimed(t *testing.T) {
	r := newRuntime(t, runtime.Options{Interpret: true})
	r.SetClock(func() time.Duration { return 100 * runtime.ThreadTime() })
	room := newRoom(t, load(t, r, guest(t)), "room")
	for range 2 { // a room that was slow is timed from the start
		mustTurn(t, room, "spin 1000000")
	}
	if room.Fuel() > runtime.DefaultTurnFuel/2 {
		t.Errorf("%d units", room.Fuel())
	}
}

// TestStolenCore: in a virtual machine whose core is taken away, computing time may jump. It is not the
// room's.
func TestStolenCore(t *testing.T) {
	stolen, calls := time.Duration(0), 0
	room, command := clockedRoom(t, func() time.Duration {
		if calls++; calls == 100 {
			stolen = time.Second
		}
		return runtime.ThreadTime() + stolen
	})
	calls = 0
	mustTurn(t, room, command)
	if calls < 200 {
		t.Errorf("the clock was read %d times only", calls)
	}
}

// TestPace: a clock that runs faster is a core that is slower.
func TestPace(t *testing.T) {
	if runtime.ThreadTime() == 0 {
		t.Skip("no clock of the thread's computing time")
	}
	if pace := runtime.Pace(runtime.ThreadTime); pace < 1 {
		t.Errorf("pace %v", pace)
	}
	fast := func() time.Duration { return runtime.ThreadTime() / 1000 }
	if pace := runtime.Pace(fast); pace != 1 {
		t.Errorf("pace %v on a fast core", pace)
	}
	frozen := time.Duration(0)
	jumps := func() time.Duration { frozen += time.Second; return frozen }
	if pace := runtime.Pace(jumps); pace > 100 {
		t.Errorf("pace %v is not bounded", pace)
	}
}

// BenchmarkPace prints what runtime.PaceTime is on this machine.
func BenchmarkPace(b *testing.B) {
	for b.Loop() {
		goruntime.KeepAlive(runtime.Workload(uint64(b.N)))
	}
	b.ReportMetric(runtime.Pace(runtime.ThreadTime), "pace")
}
