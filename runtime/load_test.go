package runtime_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// TestRefused loads what is no room module and wants one readable line.
func TestRefused(t *testing.T) {
	change := func(f func(*wasmtest.Module)) []byte {
		m := raw(answering(0, 0))
		f(m)
		return m.Bytes()
	}
	body := func(instructions ...byte) []byte {
		return change(func(m *wasmtest.Module) { m.Functions[2].Body = append(instructions, answering(0, 0)...) })
	}
	plain := raw(answering(0, 0)).Bytes()
	const wasi = "wasi_snapshot_preview1"
	importing := func(module, name string, typ wasmtest.Type) []byte {
		return change(func(m *wasmtest.Module) {
			m.Imports = append(m.Imports, wasmtest.Import{Module: module, Name: name, Type: typ})
		})
	}
	for _, c := range []struct {
		name   string
		binary []byte
		err    error
		text   string
	}{
		{"nothing", nil, runtime.ErrNotWasm, "begin"},
		{"text", []byte("package main"), runtime.ErrNotWasm, "begin"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), runtime.ErrNotWasm, "version 1"},
		{"cut", plain[:len(plain)/2], runtime.ErrNotWasm, ""},
		{"empty module", plain[:8], runtime.ErrABI, "not a room module"},
		{"trailing", append(bytes.Clone(plain), 1), runtime.ErrNotWasm, ""},
		{"future version", importing("oriel_room_v7", "log", voidType), runtime.ErrABI, `it speaks "oriel_room_v7", this host speaks "oriel_room_v1"`},
		{"no version", change(func(m *wasmtest.Module) { m.Imports = nil }), runtime.ErrABI, "not a room module"},
		{"unknown function", importing(abi.ImportModule, "storage_put", voidType), runtime.ErrABI, `"oriel_room_v1"."storage_put"`},
		{"unknown module", importing("env", "memset", voidType), runtime.ErrABI, `"env"."memset"`},
		{"unknown WASI", importing(wasi, "path_open", voidType), runtime.ErrABI, `"path_open"`},
		{"wrong signature", importing(wasi, "sched_yield", voidType), runtime.ErrABI, "as (), it is () -> i32"},
		{"wrong log", importing(abi.ImportModule, "log", wasmtest.Type{Params: []byte{wasmtest.I64}}), runtime.ErrABI, "as (i64), it is (i32, i32, i32)"},
		{"no turn", change(func(m *wasmtest.Module) { m.Functions[2].Export = "turn" }), runtime.ErrABI, `does not export the function "oriel_turn"`},
		{"no manifest", change(func(m *wasmtest.Module) { m.Functions[0].Export = "" }), runtime.ErrABI, `"oriel_manifest"`},
		{"wrong turn", change(func(m *wasmtest.Module) {
			m.Functions[2].Type.Params = []byte{wasmtest.I64}
		}), runtime.ErrABI, "has the signature (i64) -> i64, want (i32) -> i64"},
		{"wrong initialize", change(func(m *wasmtest.Module) {
			m.Functions = append(m.Functions, wasmtest.Function{Export: "_initialize", Type: turnType, Body: answering(0, 0)})
		}), runtime.ErrABI, `"_initialize"`},
		{"no memory", change(func(m *wasmtest.Module) { m.NoExport = true }), runtime.ErrABI, `export its memory`},
		{"shared memory", change(func(m *wasmtest.Module) { m.Memory = []byte{1, 3, 1, 1} }), runtime.ErrUnsupported, "threads"},
		{"64-bit memory", change(func(m *wasmtest.Module) { m.Memory = []byte{1, 4, 1} }), runtime.ErrUnsupported, "64-bit"},
		{"two memories", change(func(m *wasmtest.Module) { m.Memory = []byte{2, 0, 1, 0, 1} }), runtime.ErrUnsupported, "2 memories"},
		{"huge table", change(func(m *wasmtest.Module) { m.Table = 1_000_001 }), runtime.ErrUnsupported, "1000001 entries"},
		{"many locals", change(func(m *wasmtest.Module) {
			m.Extra = nil
			m.Functions[2].Locals = bytes.Repeat([]byte{wasmtest.I32}, 50_001)
		}), runtime.ErrUnsupported, "50000 locals"},
		{"typed references", change(func(m *wasmtest.Module) { m.Functions[2].Locals = []byte{0x64} }), runtime.ErrUnsupported, "value type 0x64"},
		{"second memory's address", body(0x41, 0, 0x28, 0x42, 0, 0, opDrop), runtime.ErrUnsupported, "several memories"},
		{"much memory", change(func(m *wasmtest.Module) { m.Memory = wasmtest.Pages(1025) }), runtime.ErrTooLarge, "limit is 67108864"},
		{"absurd memory", change(func(m *wasmtest.Module) { m.Memory = wasmtest.Pages(1 << 30) }), runtime.ErrNotWasm, "pages"},
		{"table.set", body(0x41, 0, 0xd0, 0x70, 0x26, 0), runtime.ErrUnsupported, "table.set: a swap cannot restore a table"},
		{"table.grow", body(0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, opDrop), runtime.ErrUnsupported, "table.grow"},
		{"table.fill", body(0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 17, 0), runtime.ErrUnsupported, "table.fill"},
		{"table.copy", body(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 14, 0, 0), runtime.ErrUnsupported, "table.copy"},
		{"table.init", body(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 12, 0, 0), runtime.ErrUnsupported, "table.init"},
		{"elem.drop", body(0xfc, 13, 0), runtime.ErrUnsupported, "elem.drop"},
		{"data.drop", body(0xfc, 9, 0), runtime.ErrUnsupported, "data.drop: a swap cannot restore a segment"},
		{"tail call", body(0x12, 0), runtime.ErrUnsupported, "tail calls"},
		{"atomics", body(0xfe, 0), runtime.ErrUnsupported, "threads"},
		{"exceptions", body(0x06, 0x40), runtime.ErrUnsupported, "exceptions"},
		{"unknown instruction", body(0xff), runtime.ErrUnsupported, "0xff"},
		{"invalid code", body(0x6a), runtime.ErrNotWasm, ""},
		{"mutable reference", change(func(m *wasmtest.Module) {
			m.Globals = [][]byte{{0x70, 1, 0xd0, 0x70, 0x0b}}
		}), runtime.ErrUnsupported, "mutable funcref"},
		{"private name", change(func(m *wasmtest.Module) {
			m.Functions = append(m.Functions, wasmtest.Function{Export: "\x00oriel.fuel", Type: voidType})
		}), runtime.ErrUnsupported, "name begins"},
		{"start traps", change(func(m *wasmtest.Module) {
			m.Functions = append(m.Functions, wasmtest.Function{Type: voidType, Body: []byte{opUnreachable}})
			m.Start = rawNext + 1
		}), runtime.ErrStart, "its start function: panic"},
		{"start loops", change(func(m *wasmtest.Module) {
			m.Functions = append(m.Functions, wasmtest.Function{Type: voidType, Body: []byte{0x03, 0x40, 0x0c, 0, 0x0b}})
			m.Start = rawNext + 1
		}), runtime.ErrStart, "fuel"},
		{"start reads storage", change(func(m *wasmtest.Module) {
			m.Functions = append(m.Functions, wasmtest.Function{Export: "_initialize", Type: voidType, Body: wasmtest.Join(repeat(4, wasmtest.Const32(0)), []byte{0x10, rawGet, opDrop})})
		}), runtime.ErrStart, "outside of a turn"},
		{"manifest outside", change(func(m *wasmtest.Module) {
			m.Functions[0].Body = answering(65000, 1000)
		}), runtime.ErrStart, "manifest"},
		{"manifest too long", change(func(m *wasmtest.Module) {
			m.Memory = wasmtest.Pages(3)
			m.Functions[0].Body = answering(0, abi.MaxManifest+1)
		}), runtime.ErrStart, "too large"},
		{"manifest malformed", change(func(m *wasmtest.Module) {
			m.Functions[0].Body = answering(rawManifest, 3)
		}), runtime.ErrStart, "manifest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRuntime(t, runtime.Options{TurnFuel: 100_000})
			m, err := r.Load(t.Context(), c.binary)
			if err == nil {
				m.Close()
				t.Fatal("it was loaded")
			}
			moduleErr := &runtime.ModuleError{}
			if !errors.Is(err, c.err) || !errors.As(err, &moduleErr) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.err, c.text)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			if s := r.Stats(); s.Instances != 0 {
				t.Errorf("%d instances are left", s.Instances)
			}
		})
	}
}

func TestModuleSizeLimit(t *testing.T) {
	binary := raw(answering(0, 0)).Bytes()
	if _, err := newRuntime(t, runtime.Options{MaxModule: len(binary) - 1}).Load(t.Context(), binary); !errors.Is(err, runtime.ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
	load(t, newRuntime(t, runtime.Options{MaxModule: len(binary)}), binary)
}

// TestStartSection runs the start function once, before the image is taken, and not for
// every instance.
func TestStartSection(t *testing.T) {
	m := raw(answering(0, 8))
	m.Functions = append(m.Functions,
		wasmtest.Function{Type: voidType, Body: storeAt(0, wasmtest.Join(loadAt(0), wasmtest.Const32(1), []byte{opAdd32}))},
		wasmtest.Function{Export: "_initialize", Type: voidType, Body: storeAt(4, wasmtest.Join(loadAt(0), wasmtest.Const32(1), []byte{opAdd32}))})
	m.Start = rawNext + 1
	r := newRuntime(t, runtime.Options{})
	module := load(t, r, m.Bytes())
	for range 3 {
		out, err := newRoom(t, module, "room").Turn(t.Context(), batch(), nil)
		if err != nil || string(out) != "\x01\x00\x00\x00\x02\x00\x00\x00" {
			t.Errorf("%x, %v", out, err)
		}
	}
}

// TestPassiveData copies a passive segment at any time: it is never dropped.
func TestPassiveData(t *testing.T) {
	m := raw(wasmtest.Const32(0), wasmtest.Const32(1), wasmtest.Const32(3), []byte{0xfc, 8, 0, 0}, answering(0, 3))
	m.Passive = []byte("-abc")
	module := load(t, newRuntime(t, runtime.Options{}), m.Bytes())
	for range 2 {
		out, err := newRoom(t, module, "room").Turn(t.Context(), batch(), nil)
		if err != nil || string(out) != "abc" {
			t.Errorf("%q, %v", out, err)
		}
	}
}

// TestGlobals are part of a room's state, whatever their type.
func TestGlobals(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		m := raw(
			[]byte{0x23, 1, 0x42, 1, 0x7c, 0x24, 1},                            // g1 += 1
			[]byte{0x23, 2, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0x24, 2}, // g2 += 1.0
			wasmtest.Const32(0), []byte{0x23, 1, 0x37, 3, 0}, wasmtest.Const32(8), []byte{0x23, 2, 0x39, 3, 0}, // stored
			wasmtest.Const32(16), []byte{0x23, 0, 0x36, 2, 0}, answering(0, 20))
		m.Globals = [][]byte{
			{0x7f, 0, 0x41, 5, 0x0b},
			append(append([]byte{0x7e, 1}, wasmtest.Const64(-1)...), 0x0b),
			{0x7c, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b},
		}
		module := load(t, newRuntime(t, o), m.Bytes())
		a, b := newRoom(t, module, "a"), newRoom(t, module, "b")
		for i, want := range []string{
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0\x3f\x05\x00\x00\x00",
			"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x05\x00\x00\x00",
		} {
			for _, room := range []*runtime.Room{a, b} {
				out, err := room.Turn(t.Context(), batch(), nil)
				if err != nil || string(out) != want {
					t.Errorf("turn %d: %x, %v", i, out, err)
				}
			}
		}
	})
}

func TestManifest(t *testing.T) {
	binary := guest(t)
	m := load(t, newRuntime(t, runtime.Options{}), binary)
	if got := m.Manifest(); got.SDK != "test/1" || len(got.Kinds) != 1 || got.Kinds[0].Name != "test" {
		t.Errorf("%+v", got)
	}
	if m.Hash() != sha256.Sum256(binary) {
		t.Error("the hash is not the module's")
	}
}

// TestWarmUp fails in the warm-up: the module works all the same, from a colder image.
func TestWarmUp(t *testing.T) {
	warm := load(t, newRuntime(t, runtime.Options{}), guest(t))
	if err := warm.WarmUpError(); err != nil {
		t.Error(err)
	}
	failing := func(*abi.Manifest) [][]byte { return [][]byte{batch("count"), batch("panic on purpose")} }
	m := load(t, newRuntime(t, runtime.Options{WarmUp: failing}), guest(t))
	if err := m.WarmUpError(); err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("got %v", err)
	}
	mustAsk(t, newRoom(t, m, "room"), nil, "count", "1")
	counting := func(*abi.Manifest) [][]byte { return [][]byte{batch("count"), batch("count")} }
	m = load(t, newRuntime(t, runtime.Options{WarmUp: counting}), guest(t))
	mustAsk(t, newRoom(t, m, "room"), nil, "count", "3")
	never := func(*abi.Manifest) [][]byte { t.Error("a module that is not shareable was warmed up"); return nil }
	load(t, newRuntime(t, runtime.Options{WarmUp: never}), raw(answering(0, 0)).Bytes())
}

// TestBrokenCache damages the entries of a cache: they are made anew.
func TestBrokenCache(t *testing.T) {
	dir := t.TempDir()
	binary := raw(answering(rawManifest, 2)).Bytes()
	bystander := filepath.Join(dir, "bystander")
	if err := os.WriteFile(bystander, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func([]byte) []byte{
		func(b []byte) []byte { return b }, // the first time there is none
		func(b []byte) []byte { return nil },
		func(b []byte) []byte { return b[:len(b)/2] },
		func(b []byte) []byte { b[0] ^= 0xff; return b },
		func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b },
	} {
		entries, _ := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
		for _, e := range entries {
			b, err := os.ReadFile(e)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(e, damage(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := runtime.New(t.Context(), runtime.Options{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		out, err := newRoom(t, load(t, r, binary), "room").Turn(t.Context(), batch(), nil)
		if err != nil || string(out) != `{"` {
			t.Errorf("%q, %v", out, err)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(bystander); err != nil || string(b) != "kept" {
		t.Error("a file that is none of the cache's was touched")
	}
}

// TestUnwritableCache is a cache whose folder is gone: the module is compiled all the same.
func TestUnwritableCache(t *testing.T) {
	dir := t.TempDir()
	r := newRuntime(t, runtime.Options{CacheDir: dir})
	entries, _ := filepath.Glob(filepath.Join(dir, "wazero-*"))
	for _, e := range entries {
		if err := os.RemoveAll(e); err != nil {
			t.Fatal(err)
		}
	}
	out, err := newRoom(t, load(t, r, raw(answering(rawManifest, 2)).Bytes()), "room").Turn(t.Context(), batch(), nil)
	if err != nil || string(out) != `{"` {
		t.Errorf("%q, %v", out, err)
	}
}

func TestCanceledLoad(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := newRuntime(t, runtime.Options{CacheDir: t.TempDir()}).Load(ctx, guest(t)); err == nil {
		m.Close()
	} else if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClosedRuntime(t *testing.T) {
	r, err := runtime.New(t.Context(), runtime.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Load(t.Context(), raw(answering(0, 0)).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	room, err := m.NewRoom("room")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.Turn(t.Context(), batch(), nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, err := room.Turn(t.Context(), batch(), nil); err == nil {
		t.Error("a turn ran on a closed runtime")
	}
	if _, err := m.NewRoom("new"); !errors.Is(err, runtime.ErrClosed) {
		t.Error(err)
	}
	if _, err := r.Load(t.Context(), raw(answering(0, 0)).Bytes()); err == nil {
		t.Error("a closed runtime loaded a module")
	}
	if err := room.Close(); err != nil {
		t.Error(err)
	}
	if s := r.Stats(); s.Instances != 0 || s.Rooms != 0 {
		t.Errorf("%+v", s)
	}
}
