//go:build linux || darwin

package runtime_test

import (
	"context"
	"errors"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// burn runs a turn that has to trap, and returns the computing time that it took: what else the
// machine does meanwhile is not in it.
func burn(t testing.TB, room *runtime.Room, events []byte) (time.Duration, *host.Trap) {
	t.Helper()
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	began := runtime.ThreadTime()
	_, err := room.Turn(t.Context(), events, nil)
	took := runtime.ThreadTime() - began
	trap := &host.Trap{}
	if !errors.As(err, &trap) {
		t.Fatalf("the turn ended with %v", err)
	}
	return took, trap
}

// needsThreadTime skips a test where computing time cannot be measured.
func needsThreadTime(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	if runtime.ThreadTime() == 0 {
		t.Skip("no clock of the thread's computing time")
	}
}

// goLike is the command of a turn that does what rooms do (formats, allocates, copies) until its
// fuel ends.
const goLike = "strings 100000000"

// TestCheatsPay compares what a unit of fuel buys in code that is written to cheat with what it
// buys in compiled Go, in the same run, by instructions alone. What only the clock can see is left
// to TestCheatsEnd.
func TestCheatsPay(t *testing.T) {
	needsThreadTime(t)
	const (
		fuel = 20_000_000
		most = 3 // times as long as in Go's code
	)
	r := newRuntime(t, runtime.Options{TurnFuel: fuel, Untimed: true})
	room := func(binary []byte) *runtime.Room { return newRoom(t, load(t, r, binary), "room") }
	honest := room(guest(t))
	perUnit := func(room *runtime.Room, events []byte) float64 {
		took, trap := burn(t, room, events)
		if trap.Cause != host.CauseFuel {
			t.Fatalf("%v", trap)
		}
		return float64(took) / float64(room.Fuel())
	}
	for _, c := range cheats() {
		if c.slow {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			cheat := room(c.module.Bytes())
			best, plain := 1e9, 1e9
			for range 8 { // a busy machine makes either slower for a while
				plain = min(plain, perUnit(honest, batch(goLike)))
				best = min(best, perUnit(cheat, batch()))
				if best < most*plain {
					break
				}
			}
			t.Logf("%.3f ns for a unit, Go's code %.3f: %.2f times", best, plain, best/plain)
			if best >= most*plain {
				t.Errorf("a unit buys %.3f ns of it, and %.3f ns of Go's code", best, plain)
			}
		})
	}
}

// TestCheatsEnd: whatever a turn does, it ends after about 20 ms of computing, and its room is back.
func TestCheatsEnd(t *testing.T) {
	needsThreadTime(t)
	r := newRuntime(t, runtime.Options{})
	for _, c := range cheats() {
		t.Run(c.name, func(t *testing.T) { ends(t, r, c) })
	}
}

// ends runs a turn of a cheat. What is slow may take a third more than the budget; then there are the
// last slice and the trap, and most of that is the system's work for pages that are touched first, which
// is measured beside it.
func ends(t *testing.T, r *runtime.Runtime, c cheat) {
	t.Helper()
	m := load(t, r, c.module.Bytes())
	if !m.CopyOnWrite() {
		t.Skip("time does not count")
	}
	room := newRoom(t, m, "room")
	for attempt := 1; ; attempt++ {
		took, trap := burn(t, room, batch())
		switch trap.Cause {
		case host.CauseFuel, host.CauseStack:
		default:
			if c.name != "recursion, then a trap" {
				t.Fatalf("%v", trap)
			}
		}
		if room.Awake() {
			t.Fatal("the room kept its memory")
		}
		allowed := slowly(turnTime+5*time.Millisecond) + 2*touching(t, 16<<20)
		switch {
		case took < allowed:
			t.Logf("%v", took)
			return
		case attempt == 5:
			t.Fatalf("the turn took %v of computing, allowed are %v", took, allowed)
		}
	}
}

// turnTime is the most that a turn may compute. A turn that is as fast as most has burnt its fuel
// after three quarters of it.
const turnTime = runtime.DefaultTurnFuel / 6 * time.Nanosecond

// slowly returns what a time is on this core at this moment.
func slowly(d time.Duration) time.Duration {
	return time.Duration(float64(d) * runtime.Pace(runtime.ThreadTime))
}

// touching returns the computing time of the system for memory of n bytes that is mapped, touched and
// unmapped.
func touching(t *testing.T, n int) time.Duration {
	t.Helper()
	goruntime.LockOSThread()
	defer goruntime.UnlockOSThread()
	began := runtime.ThreadTime()
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < n; i += 4096 {
		b[i] = 1
	}
	if err := unix.Munmap(b); err != nil {
		t.Fatal(err)
	}
	return runtime.ThreadTime() - began
}

// TestTimeIsPaid: turns that are too short to be asked for more fuel, but slow, pay for their time
// from the second on, so that the bucket of the room sees it.
func TestTimeIsPaid(t *testing.T) {
	needsThreadTime(t)
	const passes = 2000
	body := repeat(15, wasmtest.Const32(4095), []byte{opGet, locI32, opStore, 0, 0}) // over two pages
	m := raw([]byte{opLoop, void}, body, []byte{opGet, locAt}, wasmtest.Const32(1), []byte{opAdd32, opTee, locAt}, wasmtest.Const32(passes), []byte{0x48, opBrIf, 0, opEnd}, answering(0, 0))
	m.Functions[2].Locals = cheatLocals
	r := newRuntime(t, runtime.Options{})
	module := load(t, r, withMemory(m, 2).Bytes())
	if !module.CopyOnWrite() {
		t.Skip("time does not count")
	}
	room := newRoom(t, module, "room")
	paid := func() int64 {
		if _, err := room.Turn(t.Context(), batch(), nil); err != nil {
			t.Fatal(err)
		}
		return room.Fuel()
	}
	first, second := paid(), paid()
	t.Logf("%d units, and then %d", first, second)
	if second < 4*first {
		t.Errorf("the first turn paid %d, the second %d", first, second)
	}
}

// late answers each read after a while.
type late struct {
	rows
	wait time.Duration
}

func (l late) Get(ctx context.Context, key []byte) ([]byte, bool, error) {
	time.Sleep(l.wait)
	return l.rows.Get(ctx, key)
}

func (l late) GetCached([]byte) (value []byte, ok, hit bool) { return nil, false, false }

// TestWaitingIsNotPaid: a room does not pay for the time in which its storage is slow.
func TestWaitingIsNotPaid(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	room := newRoom(t, load(t, r, guest(t)), "room")
	storage := late{rows{"key": "late"}, 20 * time.Millisecond} // worth a whole turn
	for range 3 {                                               // the second would be timed
		mustAsk(t, room, storage, "get key", "late")
		if room.Fuel() > r.Options().TurnFuel/2 {
			t.Errorf("a turn that waited paid %d", room.Fuel())
		}
	}
}

// TestStackIsBounded: recursion ends before wazero's stack takes long to grow, and not only because that
// takes its time.
func TestStackIsBounded(t *testing.T) {
	r := newRuntime(t, runtime.Options{Untimed: true})
	for _, c := range callCheats() {
		switch c.name {
		case "recursion", "mutual recursion", "indirect recursion":
		default:
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			m := load(t, r, c.module.Bytes())
			if size, err := runtime.StackSize(m); err != nil || size == 0 {
				t.Fatalf("wazero's stack is not where it was: %d, %v", size, err)
			}
			room := newRoom(t, m, "room")
			_, err := room.Turn(t.Context(), batch(), nil)
			trap := &host.Trap{}
			if !errors.As(err, &trap) || trap.Cause != host.CauseStack {
				t.Fatalf("got %v, want a trap for the stack", err)
			}
		})
	}
}

// TestHostCallsPay: a call of the host pays for what the host does, even if the guest gets nothing
// of it.
func TestHostCallsPay(t *testing.T) {
	i := byte(wasmtest.I32)
	const call = 3 // behind the imports of every raw module
	r := newRuntime(t, runtime.Options{})
	stored := rows{}
	for n := range 100 {
		stored[itoa(n)] = strings.Repeat("x", 10_000)
	}
	request := abi.AppendListRequest(nil, &abi.ListRequest{Limit: 100})
	for _, c := range []struct {
		name string
		turn []byte
		pays int64
	}{
		{"vectors of no bytes", wasmtest.Join(wasmtest.Const32(1), wasmtest.Const32(4096), wasmtest.Const32(1024), wasmtest.Const32(0), []byte{opCall, call, opDrop}), 1024 * 16},
		{"a list that is too long for its buffer", wasmtest.Join(wasmtest.Const32(0), wasmtest.Const32(int32(len(request))), wasmtest.Const32(0), wasmtest.Const32(0), []byte{opCall, rawList, opDrop}), 100 * 10_000 / 8},
		{"a read of what is not at hand", wasmtest.Join(repeat(4, wasmtest.Const32(0)), []byte{opCall, rawGet, opDrop}), 10_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := raw(c.turn, answering(0, 0))
			m.Imports = append(m.Imports, wasmtest.Import{Module: "wasi_snapshot_preview1", Name: "fd_write", Type: wasmtest.Type{Params: []byte{i, i, i, i}, Results: []byte{i}}})
			m.Data = append(append([]byte{}, request...), make([]byte, rawManifest-len(request))...)
			m.Data, m.DataAt = append(m.Data, rawManifestText...), 0
			room := newRoom(t, load(t, r, m.Bytes()), "room")
			if _, err := room.Turn(t.Context(), batch(), late{rows: stored}); err != nil {
				t.Fatal(err)
			}
			if room.Fuel() < c.pays {
				t.Errorf("it paid %d, want at least %d", room.Fuel(), c.pays)
			}
		})
	}
}
