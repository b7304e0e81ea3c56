package runtime_test

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

func TestClocks(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		r := newRuntime(t, o)
		m := load(t, r, guest(t))
		room := newRoom(t, m, "room")
		read := func(time uint64) (wall int64, since time.Duration) {
			t.Helper()
			s, err := askBatch(room, nil, batchAt(time, 1, "time"))
			if err != nil {
				t.Fatal(err)
			}
			var d string
			fmt.Sscan(s, &wall, &d)
			since, err = parseDuration(d)
			if err != nil {
				t.Fatal(err)
			}
			return wall, since
		}
		wall, first := read(5_000)
		if wall != 5_000 || first <= 0 || first > 5*time.Second {
			t.Errorf("wall %d, %v since the module began", wall, first)
		}
		_, second := read(6_000)
		if d := second - first; d != time.Second {
			t.Errorf("a second took %v", d)
		}
		// A caller's clock that goes back does not make the room's do so.
		if wall, third := read(1_000); wall != 1_000 || third < second {
			t.Errorf("wall %d, monotonic %v after %v", wall, third, second)
		}
		mustAsk(t, room, nil, "sleep 1", "ok") // a nap of 1 ms passes without anybody waiting
	})
}

// parseDuration reads the answer of the time command, which is a number of nanoseconds.
func parseDuration(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	return time.ParseDuration(s + "ns")
}

// TestDeterminism runs the same batches on fresh memories, also of another runtime's
// mode: what a room does hangs on its batches and nothing else.
func TestDeterminism(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	m := load(t, r, guest(t))
	run := func(seed byte) (out string) {
		room := newRoom(t, m, "room")
		for i := range 3 {
			s, err := askBatch(room, nil, batchAt(uint64(i+1)*1000, seed+byte(i), "random", "time", "count", "random"))
			if err != nil {
				t.Fatal(err)
			}
			out += s + "\n"
		}
		return out
	}
	a, b, c := run(1), run(1), run(2)
	if a != b {
		t.Errorf("the same batches gave\n%s and\n%s", a, b)
	}
	if a == c {
		t.Errorf("other seeds gave the same\n%s", a)
	}
	lines := strings.Split(a, "\n")
	if lines[0][:32] == lines[1][:32] {
		t.Error("two turns had the same randomness")
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("ORIEL_SECRET", "not for rooms")
	r := newRuntime(t, runtime.Options{})
	room := newRoom(t, load(t, r, guest(t)), "room")
	mustAsk(t, room, nil, "environment", "GOGC=25")
}

func TestLog(t *testing.T) {
	var lines []runtime.LogLine
	r := newRuntime(t, runtime.Options{Log: func(l runtime.LogLine) { lines = append(lines, l) }})
	room := newRoom(t, load(t, r, guest(t)), "chat/lobby")
	take := func(commands ...string) []runtime.LogLine {
		lines = nil
		_, err := room.Turn(t.Context(), batch(commands...), nil)
		if err != nil && !errors.Is(err, host.ErrTrap) {
			t.Fatal(err)
		}
		return lines
	}
	if got := take("log hello"); len(got) != 1 || got[0] != (runtime.LogLine{Room: "chat/lobby", Level: abi.LogWarn, Text: "hello"}) {
		t.Errorf("log: %+v", got)
	}
	if got := take("print to standard output"); len(got) != 1 || got[0].Text != "to standard output" || got[0].Trapped {
		t.Errorf("print: %+v", got)
	}
	got := take("log before", "panic words")
	if len(got) < 2 || got[0].Text != "before" || !got[0].Trapped || !strings.Contains(got[1].Text, "words") {
		t.Errorf("trap: %+v", got)
	}
	if got := take("log " + strings.Repeat("x", abi.MaxLogLine+1)); len(got) != 1 || len(got[0].Text) != abi.MaxLogLine {
		t.Errorf("a long line became %d lines", len(got))
	}
	if got := take("log-broken"); len(got) != 1 || got[0].Text != "\ufffd" {
		t.Errorf("not UTF-8: %+v", got)
	}
	if got := take("logs 256"); len(got) != 256 {
		t.Errorf("256 lines became %d", len(got))
	}
	if got := take("logs 257"); len(got) != 257 || got[256].Text != "1 log lines of this turn were dropped" {
		t.Errorf("257 lines became %d: %+v", len(got), got[len(got)-1])
	}
	if got := take("count"); len(got) != 0 {
		t.Errorf("lines of an earlier turn: %+v", got)
	}
}

func TestSleepingRoomIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(runtime.Room{}); n > 144 {
		t.Errorf("a room has %d bytes", n)
	}
	r := newRuntime(t, runtime.Options{})
	m := load(t, r, guest(t))
	const n = 2000
	rooms := make([]*runtime.Room, n)
	heap := func() uint64 {
		goruntime.GC()
		goruntime.GC()
		var s goruntime.MemStats
		goruntime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	for i := range rooms {
		rooms[i] = newSleeping(t, m)
	}
	each := (int64(heap()) - int64(before)) / n
	t.Logf("%d bytes of heap for each sleeping room", each)
	if each > 200 {
		t.Errorf("%d bytes of heap for each sleeping room, at most 200", each)
	}
	goruntime.KeepAlive(rooms)
	for _, room := range rooms {
		room.Close()
	}
}

// newSleeping returns a room that was awake.
func newSleeping(t *testing.T, m *runtime.Module) *runtime.Room {
	room, err := m.NewRoom("")
	if err != nil {
		t.Fatal(err)
	}
	mustAsk(t, room, nil, "count", "1")
	room.Sleep()
	if room.Awake() {
		t.Fatal("awake after Sleep")
	}
	return room
}

func TestFold(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		r := newRuntime(t, o)
		m := load(t, r, guest(t))
		room := newRoom(t, m, "room")
		room.Fold() // nothing to fold
		if room.Folded() != 0 || room.Awake() {
			t.Error("a sleeping room was folded")
		}
		mustAsk(t, room, nil, "hold 2000", "ok")
		for i := range 5 {
			mustAsk(t, room, nil, "count", itoa(i+1))
			room.Fold()
			room.Fold()
			if n := room.Folded(); n == 0 || n > 200<<10 || !room.Awake() {
				t.Errorf("folded into %d bytes", n)
			}
		}
		mustAsk(t, room, nil, "kept", "500")
		if room.Folded() != 0 {
			t.Error("still folded after a turn")
		}
		room.Fold()
		if _, err := ask(room, nil, "panic x"); !errors.Is(err, host.ErrTrap) || room.Awake() {
			t.Error(err)
		}
		mustAsk(t, room, nil, "count", "1")
		room.Fold()
		room.Sleep()
		mustAsk(t, room, nil, "count", "1")
		room.Fold()
		if err := room.Replace(m); err != nil {
			t.Error(err)
		}
		mustAsk(t, room, nil, "count", "1")
		room.Fold()
		if s := r.Stats(); s.Rooms != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestMemoryLimit grows a raw memory up to the limit, which works, and one page past it,
// which does not. A full memory can still be swapped.
func TestMemoryLimit(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		const pages = 20
		o.MemoryLimit = pages << 16
		r := newRuntime(t, o)
		// memory.grow(19) is stored at 0, memory.grow(1) at 4, memory.size at 8, and a
		// byte is written to the last page.
		grow := func(n int32) []byte { return wasmtest.Join(wasmtest.Const32(n), []byte{opGrow, 0}) }
		m := load(t, r, raw(
			storeAt(0, grow(pages-1)), storeAt(4, grow(1)), storeAt(8, []byte{opSize, 0}),
			storeAt(pages<<16-4, wasmtest.Join(loadAt(pages<<16-4), wasmtest.Const32(1), []byte{opAdd32})),
			storeAt(12, loadAt(pages<<16-4)),
			answering(0, 16)).Bytes())
		for range 2 {
			room := newRoom(t, m, "room")
			for i, want := range []string{
				"\x01\x00\x00\x00\xff\xff\xff\xff\x14\x00\x00\x00\x01\x00\x00\x00",
				"\xff\xff\xff\xff\xff\xff\xff\xff\x14\x00\x00\x00\x02\x00\x00\x00",
			} {
				out, err := room.Turn(t.Context(), batch(), nil)
				if err != nil || string(out) != want {
					t.Errorf("turn %d: %q, %v", i, out, err)
				}
			}
		}
		if _, err := newRuntime(t, runtime.Options{MemoryLimit: 1 << 16}).Load(t.Context(), func() []byte {
			m := raw(answering(0, 0))
			m.Memory = wasmtest.Pages(2)
			return m.Bytes()
		}()); !errors.Is(err, runtime.ErrTooLarge) {
			t.Errorf("a module that begins above the limit: %v", err)
		}
	})
}

// TestDeclaredMaximum keeps a module's own maximum, which is lower than the limit.
func TestDeclaredMaximum(t *testing.T) {
	m := raw(storeAt(0, wasmtest.Join(wasmtest.Const32(1), []byte{opGrow, 0})), storeAt(4, wasmtest.Join(wasmtest.Const32(1), []byte{opGrow, 0})), answering(0, 8))
	m.Memory = []byte{1, 1, 1, 2}
	r := newRuntime(t, runtime.Options{})
	out, err := newRoom(t, load(t, r, m.Bytes()), "room").Turn(t.Context(), batch(), nil)
	if err != nil || string(out) != "\x01\x00\x00\x00\xff\xff\xff\xff" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestThrottle(t *testing.T) {
	const perSecond = 4_000_000
	r := newRuntime(t, runtime.Options{FuelPerSecond: perSecond})
	room := newRoom(t, load(t, r, guest(t)), "room")
	now := time.Unix(1_790_000_000, 0)
	if d := room.Throttle(now); d != 0 {
		t.Errorf("a new room waits %v", d)
	}
	mustAsk(t, room, nil, "count", "1")
	if d := room.Throttle(now); d != 0 {
		t.Errorf("after a small turn: %v", d)
	}
	if _, err := ask(room, nil, "spin 400000"); err != nil {
		t.Fatal(err)
	}
	if room.Fuel() < perSecond {
		t.Fatalf("the turn burnt %d", room.Fuel())
	}
	// The bucket was full, but for what the small turn took.
	wait, want := room.Throttle(now), time.Duration(room.Fuel()-perSecond)*time.Second/perSecond
	if wait < want || wait > want+100*time.Millisecond {
		t.Errorf("after %d units of %d a second: %v, want %v", room.Fuel(), perSecond, wait, want)
	}
	if d := room.Throttle(now.Add(wait - time.Millisecond)); d <= 0 || d > 2*time.Millisecond {
		t.Errorf("a millisecond before: %v", d)
	}
	if d := room.Throttle(now.Add(wait)); d != 0 {
		t.Errorf("after the wait: %v", d)
	}
	if d := room.Throttle(now.Add(time.Hour)); d != 0 {
		t.Errorf("after an hour: %v", d)
	}
	if d := room.Throttle(now); d != 0 { // a clock that went back
		t.Errorf("an hour before: %v", d)
	}
}

func TestReplace(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	one := load(t, r, guest(t))
	second, err := build("./testdata/guest", "2")
	if err != nil {
		t.Fatal(err)
	}
	two := load(t, r, second)
	room, other := newRoom(t, one, "room"), newRoom(t, one, "other")
	mustAsk(t, room, nil, "version", "1")
	mustAsk(t, room, nil, "count", "1")
	if err := room.Replace(two); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, room, nil, "version", "2")
	mustAsk(t, room, nil, "count", "1")
	if one.Hash() == two.Hash() || room.Module() != two || one.Rooms() != 1 || two.Rooms() != 1 {
		t.Errorf("rooms: %d and %d", one.Rooms(), two.Rooms())
	}
	// The old version lives as long as a room runs it, and takes no new ones.
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, other, nil, "version", "1")
	if _, err := one.NewRoom("new"); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("a new room of a closed module: %v", err)
	}
	if err := room.Replace(one); !errors.Is(err, runtime.ErrClosed) {
		t.Errorf("back to a closed module: %v", err)
	}
	mustAsk(t, room, nil, "count", "2") // it stayed what it was
	// A version that does not start is refused, and nothing changes.
	broken := raw(answering(0, 0))
	broken.Functions[0].Body = []byte{opUnreachable}
	if _, err := r.Load(t.Context(), broken.Bytes()); !errors.Is(err, runtime.ErrStart) {
		t.Errorf("a module that does not start: %v", err)
	}
	mustAsk(t, room, nil, "count", "3")
	if err := other.Replace(two); err != nil {
		t.Fatal(err)
	}
	mustAsk(t, other, nil, "version", "2")
	if n := r.Modules(); n != 1 {
		t.Errorf("%d modules are left, want 1: the old one has no room", n)
	}
}

func TestClosedRoom(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	m := load(t, r, guest(t))
	room := newRoom(t, m, "room")
	mustAsk(t, room, nil, "count", "1")
	for range 2 {
		if err := room.Close(); err != nil {
			t.Error(err)
		}
	}
	room.Sleep()
	_, err := room.Turn(t.Context(), batch("count"), nil)
	if !errors.Is(err, runtime.ErrClosed) || !strings.Contains(err.Error(), "turn of room room") {
		t.Error(err)
	}
	if err := room.Replace(m); !errors.Is(err, runtime.ErrClosed) {
		t.Error(err)
	}
	if m.Rooms() != 0 {
		t.Errorf("%d rooms", m.Rooms())
	}
}

// TestBusyRoom uses a room from within its own turn.
func TestBusyRoom(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	m := load(t, r, guest(t))
	room := newRoom(t, m, "room")
	g := newGate()
	done := make(chan error)
	go func() { _, err := ask(room, g, "get key"); done <- err }()
	<-g.arrived
	if _, err := ask(room, nil, "count"); !errors.Is(err, runtime.ErrBusy) {
		t.Error(err)
	}
	if err := room.Close(); !errors.Is(err, runtime.ErrBusy) {
		t.Error(err)
	}
	if err := room.Replace(m); !errors.Is(err, runtime.ErrBusy) {
		t.Error(err)
	}
	room.Sleep() // does nothing
	close(g.open)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
