package wasm_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

var (
	void   = wasmtest.Type{}
	number = wasmtest.Type{Params: []byte{wasmtest.I32}, Results: []byte{wasmtest.I32}}
)

// function returns a module with one exported function, f(i32) -> i32.
func function(body ...[]byte) *wasmtest.Module {
	return &wasmtest.Module{
		Memory:    wasmtest.Pages(1),
		Functions: []wasmtest.Function{{Export: "f", Type: number, Locals: []byte{wasmtest.I64, wasmtest.I32}, Body: wasmtest.Join(body...)}},
	}
}

// bodies are function bodies with all that the metering has to understand.
var bodies = map[string][][]byte{
	"straight":      {{0x20, 0}},
	"long":          {rep(300, []byte{0x20, 0, 0x41, 1, 0x6a, 0x21, 0}), {0x20, 0}},
	"loop":          {{0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 0}},
	"nested loops":  {{0x03, 0x40, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x20, 0, 0x0d, 0, 0x0b, 0x20, 0}},
	"if":            {{0x20, 0, 0x04, 0x7f, 0x41, 1, 0x05, 0x41, 2, 0x0b}},
	"if, no else":   {{0x20, 0, 0x04, 0x40, 0x41, 1, 0x21, 0, 0x0b, 0x20, 0}},
	"block, branch": {{0x02, 0x7f, 0x20, 0, 0x20, 0, 0x0d, 0, 0x1a, 0x41, 7, 0x0b}},
	"branch table":  {{0x02, 0x40, 0x02, 0x40, 0x02, 0x40, 0x20, 0, 0x0e, 2, 0, 1, 2, 0x0b, 0x41, 10, 0x0f, 0x0b, 0x41, 11, 0x0f, 0x0b, 0x41, 12}},
	"dead code":     {{0x20, 0, 0x0f}, rep(100, []byte{0x01}), {0x03, 0x40, 0x0c, 0, 0x0b, 0x00}},
	"dead if":       {{0x20, 0, 0x0f, 0x41, 1, 0x04, 0x40, 0x01, 0x05, 0x01, 0x0b, 0x00}},
	"dead bulk":     {{0x20, 0, 0x0f, 0xfc, 10, 0, 0, 0x00}},
	"early loop":    {{0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x45, 0x0d, 1, 0x20, 0, 0x41, 1, 0x6b, 0x21, 0, 0x0c, 0, 0x0b, 0x0b, 0x20, 0}},
	"copy":          {{0x41, 0, 0x41, 8, 0x20, 0, 0xfc, 10, 0, 0, 0x41, 0, 0x28, 2, 0}},
	"fill":          {{0x41, 0, 0x41, 1, 0x20, 0, 0xfc, 11, 0, 0x41, 0, 0x28, 2, 0}},
	"grow":          {{0x20, 0, 0x40, 0, 0x3f, 0, 0x6a}},
	"divide":        {{0x41, 0xe4, 0, 0x20, 0, 0x41, 1, 0x6a, 0x6d}},
	"constants":     {{0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x1a, 0x43, 0, 0, 0, 0, 0x1a, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0x1a, 0x20, 0}},
	"typed select":  {{0x41, 1, 0x41, 2, 0x20, 0, 0x1c, 1, 0x7f}},
	"vectors":       {{0xfd, 12}, rep(16, []byte{3}), {0xfd, 27, 1}, {0x41, 0, 0xfd, 0, 4, 0, 0xfd, 27, 0, 0x6a}},
	"references":    {{0xd0, 0x70, 0xd1, 0x20, 0, 0x6a}},
	"conversion":    {{0x20, 0, 0xb2, 0xfc, 0}},
	"traps":         {{0x41, 0x7f, 0x28, 2, 0}},
}

func rep(n int, b []byte) (out []byte) {
	for range n {
		out = append(out, b...)
	}
	return out
}

func rewrite(t testing.TB, binary []byte) ([]byte, wasm.Stats) {
	t.Helper()
	m, err := wasm.Parse(binary)
	if err != nil {
		t.Fatal(err)
	}
	out, stats, err := m.Rewrite(wasm.RewriteOptions{MaxPages: 2000, KeepNames: true})
	if err != nil {
		t.Fatal(err)
	}
	return out, stats
}

// instantiate compiles with both of wazero's engines' validation and returns the module.
func instantiate(t testing.TB, binary []byte) api.Module {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { r.Close(ctx) })
	m, err := r.InstantiateWithConfig(ctx, binary, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRewriteKeepsMeaning runs each body before and after, on several arguments.
func TestRewriteKeepsMeaning(t *testing.T) {
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			binary := function(body...).Bytes()
			out, _ := rewrite(t, binary)
			for _, argument := range []uint64{0, 1, 2, 3, 1000} {
				if name == "loop" && argument == 0 || name == "nested loops" {
					argument = 5
				}
				before, after := instantiate(t, binary), instantiate(t, out)
				after.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal).Set(1 << 40)
				want, wantErr := before.ExportedFunction("f").Call(t.Context(), argument)
				got, gotErr := after.ExportedFunction("f").Call(t.Context(), argument)
				if (wantErr == nil) != (gotErr == nil) || wantErr == nil && want[0] != got[0] {
					t.Errorf("f(%d) = %v, %v; was %v, %v", argument, got, gotErr, want, wantErr)
				}
			}
		})
	}
}

// TestFuelIsExact counts what a loop pays, and stops at that and not one unit before.
func TestFuelIsExact(t *testing.T) {
	out, stats := rewrite(t, function(bodies["loop"]...).Bytes())
	if stats.Loops != 1 || stats.Functions != 1 {
		t.Errorf("%+v", stats)
	}
	m := instantiate(t, out)
	fuel := m.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
	run := func(n uint64, units int64) (left int64, err error) {
		fuel.Set(uint64(units))
		_, err = m.ExportedFunction("f").Call(t.Context(), n)
		return int64(fuel.Get()), err
	}
	const plenty = 1 << 30
	left1, err := run(1, plenty)
	if err != nil {
		t.Fatal(err)
	}
	left1000, err := run(1000, plenty)
	if err != nil {
		t.Fatal(err)
	}
	if each := (left1 - left1000) / 999; each != 8 {
		t.Errorf("a pass of the loop pays %d", each)
	}
	need := plenty - left1000
	if left, err := run(1000, need); err != nil || left != 0 {
		t.Errorf("with just enough: %d left, %v", left, err)
	}
	if left, err := run(1000, need-1); err == nil || left >= 0 {
		t.Errorf("with one unit less: %d left, %v", left, err)
	}
}

// TestBulkIsPaidByBytes is about lengths that only the running code knows.
func TestBulkIsPaidByBytes(t *testing.T) {
	out, stats := rewrite(t, function(bodies["fill"]...).Bytes())
	if stats.Bulk != 1 {
		t.Errorf("%+v", stats)
	}
	m := instantiate(t, out)
	fuel := m.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
	used := func(n uint64) int64 {
		fuel.Set(1 << 30)
		if _, err := m.ExportedFunction("f").Call(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		return 1<<30 - int64(fuel.Get())
	}
	if d := used(64<<10) - used(0); d != 64<<10>>wasm.BulkShift {
		t.Errorf("64 KiB cost %d more than nothing", d)
	}
	fuel.Set(1 << 20)
	// A length of 4 GiB is not negative.
	if _, err := m.ExportedFunction("f").Call(t.Context(), 0xffffffff); err == nil || int64(fuel.Get()) >= 0 {
		t.Errorf("4 GiB cost nothing: %v", err)
	}
}

// TestEveryPathPays follows paths that jump over the long stretches.
func TestEveryPathPays(t *testing.T) {
	// Blocks that are left at their beginning, each with a long rest behind the branch.
	var body []byte
	for range 50 {
		body = append(body, 0x02, 0x40)
		body = append(body, rep(9, []byte{0x20, 0, 0x1a})...)
		body = append(body, 0x20, 0, 0x0d, 0)
		body = append(body, rep(100, []byte{0x20, 0, 0x1a})...)
		body = append(body, 0x0b)
	}
	out, _ := rewrite(t, function(body, []byte{0x20, 0}).Bytes())
	m := instantiate(t, out)
	fuel := m.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
	for argument, ran := range map[uint64]int64{1: 50 * 20, 0: 50 * 220} {
		fuel.Set(1 << 30)
		if _, err := m.ExportedFunction("f").Call(t.Context(), argument); err != nil {
			t.Fatal(err)
		}
		if paid := 1<<30 - int64(fuel.Get()); paid < ran/2 || paid > 2*ran {
			t.Errorf("%d instructions paid %d", ran, paid)
		}
	}
}

func TestNamesAreKept(t *testing.T) {
	m := function([]byte{0x20, 0})
	m.Extra = append([]byte{0, 11}, "\x04name\x01\x04\x01\x00\x01f"...)
	m.Extra = append(append(m.Extra, 0, 6), "\x05other"...)
	out, _ := rewrite(t, m.Bytes())
	if got := instantiate(t, out).ExportedFunction("f").Definition().Name(); got != "f" {
		t.Errorf("the name is %q", got)
	}
	parsed, err := wasm.Parse(out)
	if err != nil || parsed.MaxPages != 2000 {
		t.Errorf("%+v, %v", parsed, err)
	}
}

// TestHugeClaims are lengths that promise more than there is: they cost nothing.
func TestHugeClaims(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	for id := byte(0); id < 14; id++ {
		for _, claim := range [][]byte{huge, append([]byte{5}, huge...), append([]byte{6, 1}, huge...)} {
			b := append([]byte("\x00asm\x01\x00\x00\x00"), id)
			b = append(b, claim...)
			allocated := testing.AllocsPerRun(1, func() {
				m, err := wasm.Parse(b)
				if err == nil {
					_, _, err = m.Rewrite(wasm.RewriteOptions{MaxPages: 1})
				}
				if err != nil && !errors.Is(err, wasm.ErrNotWasm) && !errors.Is(err, wasm.ErrUnsupported) {
					t.Errorf("section %d: %v", id, err)
				}
			})
			if allocated > 100 {
				t.Errorf("section %d: %v allocations", id, allocated)
			}
		}
	}
}

// FuzzRewrite feeds anything. Nothing panics; an error is an *Error; and what wazero
// accepts before the rewriting it accepts after it.
func FuzzRewrite(f *testing.F) {
	for _, body := range bodies {
		f.Add(function(body...).Bytes())
	}
	start := function([]byte{0x20, 0})
	start.Functions = append(start.Functions, wasmtest.Function{Type: void})
	start.Start, start.Table, start.Data, start.Passive = 2, 2, []byte("data"), []byte("passive")
	start.Globals = [][]byte{{0x7f, 1, 0x41, 0, 0x0b}, {0x7e, 0, 0x42, 0, 0x0b}}
	f.Add(start.Bytes())
	f.Add(withData(active(0, "a"), active(9, "b"), active(70, "c")).Bytes())
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(64))
	f.Cleanup(func() { r.Close(ctx) })
	f.Fuzz(func(t *testing.T, binary []byte) {
		m, err := wasm.Parse(binary)
		var out, stripped []byte
		if err == nil {
			out, _, err = m.Rewrite(wasm.RewriteOptions{MaxPages: max(m.MinPages, 63), KeepNames: true})
		}
		if err == nil {
			stripped, _, err = m.Rewrite(wasm.RewriteOptions{MaxPages: max(m.MinPages, 63), StripData: true})
			m.InitMemory(make([]byte, min(m.MinPages, 4)*wasm.PageSize))
		}
		if err != nil {
			if e := (&wasm.Error{}); !errors.As(err, &e) || e.Err == nil {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		before, err := r.CompileModule(ctx, binary)
		if err != nil {
			return
		}
		defer before.Close(ctx)
		for _, out := range [][]byte{out, stripped} {
			after, err := r.CompileModule(ctx, out)
			if err != nil {
				t.Fatalf("wazero accepts the module, but not what became of it: %v", err)
			}
			after.Close(ctx)
		}
	})
}
