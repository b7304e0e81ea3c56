package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// modes are the ways to run rooms that must not differ in what they do.
func modes(t *testing.T, test func(t *testing.T, o runtime.Options)) {
	t.Run("copy-on-write", func(t *testing.T) { test(t, runtime.Options{}) })
	t.Run("plain", func(t *testing.T) { test(t, runtime.Options{Plain: true}) })
	t.Run("interpreter", func(t *testing.T) {
		if testing.Short() {
			t.Skip("slow")
		}
		test(t, runtime.Options{Plain: true, Interpret: true})
	})
}

// TestTraps lets a real module do everything that a room must not do. The turn has no
// effect, the room begins anew, and a neighbour on the same instance notices nothing.
func TestTraps(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		o.Workers = 1 // so that all rooms meet on one instance
		o.MemoryLimit = 16 << 20
		if o.Interpret {
			o.TurnFuel = runtime.DefaultTurnFuel / 2
		}
		r := newRuntime(t, o)
		m := load(t, r, guest(t))
		neighbour := newRoom(t, m, "neighbour")
		mustAsk(t, neighbour, nil, "count", "1")
		turns := 1
		for _, c := range []struct {
			command string
			cause   host.Cause
			text    string
		}{
			{"panic with its words", host.CausePanic, "the room's own words: with its words"},
			{"nil", host.CausePanic, "nil pointer dereference"},
			{"divide", host.CausePanic, "divide by zero"},
			{"loop", host.CauseFuel, "fuel"},
			{"empty-loop", host.CauseFuel, "fuel"},
			{"copy 1000000", host.CauseFuel, "fuel"},
			{"logs 100000000", host.CauseFuel, "fuel"},
			{"hoard", host.CauseMemory, "memory"},
			{"wild", host.CausePanic, "out of bounds memory access"},
			{"exit 3", host.CauseExit, "code 3"},
			{"exit 0", host.CauseExit, "code 0"},
			{"sleep 2", host.CauseBlocked, "sleeps"},
			{"naps 100", host.CauseBlocked, "sleeps"},
			{"deadlock", host.CauseBlocked, "asleep"},
			{"goexit", host.CauseBlocked, "deadlock"},
			{"far", host.CauseGarbage, "outside of the memory"},
			{"huge", host.CauseGarbage, "larger than"},
			{"get-far", host.CauseGarbage, "storage_get"},
			{"get-long 1", host.CauseGarbage, "at most 1024"},
			{"list-noise", host.CauseGarbage, "storage_list"},
			{"log-far", host.CauseGarbage, "log"},
		} {
			t.Run(strings.ReplaceAll(c.command, " ", "-"), func(t *testing.T) {
				room := newRoom(t, m, "room")
				mustAsk(t, room, nil, "count", "1")
				before := r.Stats()
				out, err := room.Turn(t.Context(), batch("count", c.command, "count"), nil)
				trap := &host.Trap{}
				if !errors.As(err, &trap) || out != nil {
					t.Fatalf("got %d bytes and %v, want a trap", len(out), err)
				}
				if trap.Cause != c.cause || !strings.Contains(trap.Message, c.text) || len(trap.Message) > 4<<10 {
					t.Errorf("cause %s, message %q; want %s with %q", trap.Cause, trap.Message, c.cause, c.text)
				}
				if !errors.Is(err, host.ErrTrap) {
					t.Error("the error does not wrap host.ErrTrap")
				}
				if room.Awake() {
					t.Error("the room kept its memory")
				}
				if used := room.Fuel(); used <= 0 || c.cause == host.CauseFuel && used < r.Options().TurnFuel {
					t.Errorf("the turn burnt %d units", used)
				}
				mustAsk(t, room, nil, "count", "1")
				turns++
				mustAsk(t, neighbour, nil, "count", itoa(turns))
				if after := r.Stats(); after.Traps != before.Traps+1 || after.Instances != before.Instances {
					t.Errorf("stats %+v, before %+v", after, before)
				}
			})
		}
	})
}

// TestRecursion ends by the fuel, the memory or the stack: whichever comes first.
func TestRecursion(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		r := newRuntime(t, o)
		m := load(t, r, guest(t))
		room := newRoom(t, m, "room")
		_, err := ask(room, nil, "recurse")
		trap := &host.Trap{}
		if !errors.As(err, &trap) {
			t.Fatalf("got %v, want a trap", err)
		}
		switch trap.Cause {
		case host.CauseFuel, host.CauseMemory, host.CauseStack:
		default:
			t.Errorf("cause %s: %s", trap.Cause, trap.Message)
		}
		mustAsk(t, room, nil, "count", "1")
	})
}

// TestWildWrites overwrites what a room can reach: its own memory, and nothing else.
func TestWildWrites(t *testing.T) {
	r := newRuntime(t, runtime.Options{Workers: 1})
	m := load(t, r, guest(t))
	neighbour, room := newRoom(t, m, "neighbour"), newRoom(t, m, "room")
	mustAsk(t, neighbour, nil, "count", "1")
	_, err := ask(room, nil, "wild-inside")
	if !errors.Is(err, host.ErrTrap) {
		// It may even survive what it did to itself, but not for long.
		t.Logf("the turn ended with %v", err)
	}
	room.Sleep()
	mustAsk(t, room, nil, "count", "1")
	mustAsk(t, neighbour, nil, "count", "2")
}

// TestGarbageEffects are bytes that are no effects: the runtime hands them on, the host
// package refuses them.
func TestGarbageEffects(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	room := newRoom(t, load(t, r, guest(t)), "room")
	out, err := room.Turn(t.Context(), batch("noise"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := abi.DecodeEffects(out); err == nil {
		t.Errorf("%x was decoded", out)
	}
}

// TestRawTraps are faults that no Go guest makes.
func TestRawTraps(t *testing.T) {
	recursive := raw([]byte{0x10, rawNext}, answering(0, 0))
	recursive.Functions = append(recursive.Functions, wasmtest.Function{Type: voidType, Body: []byte{0x10, rawNext}})
	mutual := raw([]byte{0x10, rawNext}, answering(0, 0))
	mutual.Functions = append(mutual.Functions,
		wasmtest.Function{Type: voidType, Body: []byte{0x10, rawNext + 1}},
		wasmtest.Function{Type: voidType, Body: []byte{0x10, rawNext}})
	indirect := raw(wasmtest.Const32(rawNext), []byte{0x11, rawNext, 0}, answering(0, 0))
	indirect.Table = rawNext + 1
	indirect.Functions = append(indirect.Functions, wasmtest.Function{Type: voidType, Body: wasmtest.Join(wasmtest.Const32(rawNext), []byte{0x11, rawNext, 0})})
	// A tree of calls without recursion and without loops: 2^40 leaves.
	tree := raw([]byte{0x10, rawNext}, answering(0, 0))
	for i := range 40 {
		next := byte(rawNext + 1 + i)
		tree.Functions = append(tree.Functions, wasmtest.Function{Type: voidType, Body: []byte{0x10, next, 0x10, next}})
	}
	tree.Functions = append(tree.Functions, wasmtest.Function{Type: voidType})
	fill := raw([]byte{0x03, 0x40}, wasmtest.Const32(0), wasmtest.Const32(0), wasmtest.Const32(65536), []byte{0xfc, 11, 0, 0x0c, 0, 0x0b}, answering(0, 0))
	noInbox := raw(answering(0, 0))
	noInbox.Functions[1].Body = wasmtest.Const32(0)
	farInbox := raw(answering(0, 0))
	farInbox.Functions[1].Body = wasmtest.Const32(65530)
	loopingInbox := raw(answering(0, 0))
	loopingInbox.Functions[1].Body = []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x00}
	for _, c := range []struct {
		name   string
		module *wasmtest.Module
		cause  host.Cause
		text   string
	}{
		{"recursion", recursive, "", ""},
		{"mutual recursion", mutual, "", ""},
		{"indirect recursion", indirect, "", ""},
		{"tree of calls", tree, host.CauseFuel, ""},
		{"bulk", fill, host.CauseFuel, ""},
		{"unreachable", raw([]byte{opUnreachable}), host.CausePanic, "unreachable"},
		{"past the end", raw(answering(65536, 1)), host.CauseGarbage, "outside"},
		{"wrapped", raw(answering(0xffffffff, 0x1000)), host.CauseGarbage, "outside"},
		{"too long", raw(answering(0, abi.MaxEffects+1)), host.CauseGarbage, "larger"},
		{"no inbox", noInbox, host.CauseMemory, "batch"},
		{"far inbox", farInbox, host.CauseGarbage, "inbox"},
		{"looping inbox", loopingInbox, host.CauseFuel, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRuntime(t, runtime.Options{})
			m := load(t, r, c.module.Bytes())
			room := newRoom(t, m, "room")
			for range 2 {
				_, err := room.Turn(t.Context(), batch("x"), nil)
				trap := &host.Trap{}
				if !errors.As(err, &trap) {
					t.Fatalf("got %v, want a trap", err)
				}
				if c.cause == "" { // the fuel or the stack, whichever comes first
					if trap.Cause != host.CauseFuel && trap.Cause != host.CauseStack {
						t.Errorf("cause %s: %s", trap.Cause, trap.Message)
					}
				} else if trap.Cause != c.cause || !strings.Contains(trap.Message, c.text) {
					t.Errorf("cause %s, message %q", trap.Cause, trap.Message)
				}
			}
		})
	}
}

// TestResultLimits are results that just fit.
func TestResultLimits(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	for _, c := range []struct {
		name        string
		ptr, length uint32
	}{{"empty at the end", 65536, 0}, {"last byte", 65535, 1}, {"all of the memory", 0, 65536}} {
		room := newRoom(t, load(t, r, raw(answering(c.ptr, c.length)).Bytes()), c.name)
		out, err := room.Turn(t.Context(), batch(), nil)
		if err != nil || len(out) != int(c.length) {
			t.Errorf("%s: %d bytes, %v", c.name, len(out), err)
		}
	}
}

func TestBadBatches(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	room := newRoom(t, load(t, r, guest(t)), "room")
	mustAsk(t, room, nil, "count", "1")
	for name, b := range map[string][]byte{
		"empty":     nil,
		"short":     batch()[:20],
		"bad time":  append([]byte{1}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}...),
		"too large": make([]byte, abi.MaxBatch+1),
	} {
		if _, err := room.Turn(t.Context(), b, nil); !errors.Is(err, runtime.ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	mustAsk(t, room, nil, "count", "2")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := room.Turn(ctx, batch("count"), nil); err != nil {
		t.Errorf("a free worker is not waited for, but: %v", err)
	}
	mustAsk(t, room, nil, "count", "4")
}
