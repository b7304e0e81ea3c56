package wasm_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

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

// TestFuelIsExact counts what a loop pays, and stops it at the next pass after its fuel has ended.
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
	// A subtraction, a local that is set, a conditional branch, and the pass.
	const pass = 1 + 1 + 2 + 8
	if each := (left1 - left1000) / 999; each != pass {
		t.Errorf("a pass of the loop pays %d", each)
	}
	need := plenty - left1000
	if left, err := run(1000, need); err != nil || left != 0 {
		t.Errorf("with just enough: %d left, %v", left, err)
	}
	// The last pass pays before it is over, and nothing looks at it.
	if left, err := run(1000, need-pass-1); err == nil || left != -1 {
		t.Errorf("with a pass less: %d left, %v", left, err)
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
		body = append(body, rep(9, []byte{0x20, 0, 0x45, 0x1a})...)
		body = append(body, 0x20, 0, 0x0d, 0)
		body = append(body, rep(100, []byte{0x20, 0, 0x45, 0x1a})...)
		body = append(body, 0x0b)
	}
	out, _ := rewrite(t, function(body, []byte{0x20, 0}).Bytes())
	m := instantiate(t, out)
	fuel := m.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
	for argument, ran := range map[uint64]int64{1: 50 * 10, 0: 50 * 110} {
		fuel.Set(1 << 30)
		if _, err := m.ExportedFunction("f").Call(t.Context(), argument); err != nil {
			t.Fatal(err)
		}
		// Where paths meet, what is unpaid on the worst of them is paid.
		if paid := 1<<30 - int64(fuel.Get()); paid < ran || paid > ran+50*64 {
			t.Errorf("%d units of work paid %d", ran, paid)
		}
	}
}

// TestNothingIsLeftUnpaid calls a function, and passes a loop, whose work is in places that a charge
// could forget: before a branch back, before an end.
func TestNothingIsLeftUnpaid(t *testing.T) {
	work := func(n int) []byte { return rep(n, []byte{0x20, 0, 0x45, 0x1a}) } // n units
	count := []byte{0x20, 2, 0x41, 1, 0x6a, 0x22, 2, 0x41, 0xe4, 0, 0x48}     // counts to 100
	loop := func(body ...[]byte) *wasmtest.Module {
		return function([]byte{0x03, 0x40}, wasmtest.Join(body...), []byte{0x0b}, []byte{0x20, 0})
	}
	call := func(callee ...[]byte) *wasmtest.Module {
		m := loop([]byte{0x10, 1}, count, []byte{0x0d, 0})
		m.Functions = append(m.Functions, wasmtest.Function{Type: void, Body: wasmtest.Join(callee...), Locals: []byte{wasmtest.I32}})
		return m
	}
	for _, c := range []struct {
		name   string
		module func(n int) *wasmtest.Module
	}{
		{"a conditional branch back", func(n int) *wasmtest.Module { return loop(work(n), count, []byte{0x0d, 0}) }},
		{"loops without a pass", func(n int) *wasmtest.Module { return loop(rep(n, []byte{0x03, 0x40, 0x0b}), count, []byte{0x0d, 0}) }},
		{"loops without a pass that hold some work", func(n int) *wasmtest.Module {
			return loop(rep(n, append([]byte{0x03, 0x40, 0x0b}, work(1)...)), count, []byte{0x0d, 0})
		}},
		{"work before loops without a pass", func(n int) *wasmtest.Module {
			return loop(rep(n, append(work(1), 0x03, 0x40, 0x0b)), count, []byte{0x0d, 0})
		}},
		{"loops in loops", func(n int) *wasmtest.Module {
			return loop(rep(n, append(work(1), 0x03, 0x40)), rep(n, []byte{0x0b}), count, []byte{0x0d, 0})
		}},
		{"a branch out of loops", func(n int) *wasmtest.Module {
			return loop([]byte{0x02, 0x40}, rep(n, append(work(1), 0x03, 0x40)), wasmtest.U32([]byte{0x0c}, uint32(n)), rep(n+1, []byte{0x0b}), count, []byte{0x0d, 0})
		}},
		{"a branch back out of loops", func(n int) *wasmtest.Module {
			return loop(rep(n, append(work(1), 0x03, 0x40)), count, wasmtest.U32([]byte{0x0d}, uint32(n)), rep(n, []byte{0x0b}))
		}},
		{"a return out of loops", func(n int) *wasmtest.Module {
			return call(rep(n, append(work(1), 0x03, 0x40)), []byte{0x0f}, rep(n, []byte{0x0b}))
		}},
		{"a branch out of a function and of loops", func(n int) *wasmtest.Module {
			return call(rep(n, append(work(1), 0x03, 0x40)), wasmtest.U32([]byte{0x0c}, uint32(n)), rep(n, []byte{0x0b}))
		}},
		{"a branch back out of an if", func(n int) *wasmtest.Module {
			return loop(count, []byte{0x04, 0x40}, work(n), []byte{0x0c, 1, 0x0b})
		}},
		{"a branch back by a table", func(n int) *wasmtest.Module {
			return loop([]byte{0x02, 0x40}, count, []byte{0x45, 0x0d, 0}, work(n), []byte{0x41, 0, 0x0e, 0, 1, 0x0b})
		}},
		{"a free leaf", func(n int) *wasmtest.Module { return call(work(min(n, 40))) }},
		{"the end of a function", func(n int) *wasmtest.Module { return call([]byte{0x03, 0x40, 0x0b}, work(n)) }},
		{"a return", func(n int) *wasmtest.Module { return call([]byte{0x03, 0x40, 0x0b}, work(n), []byte{0x0f}) }},
		{"a branch out of a function", func(n int) *wasmtest.Module {
			return call([]byte{0x03, 0x40, 0x0b}, work(n), []byte{0x41, 1, 0x0d, 0}, work(100))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			paid := func(n int) int64 {
				out, _ := rewrite(t, c.module(n).Bytes())
				m := instantiate(t, out)
				fuel := m.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
				fuel.Set(1 << 30)
				if _, err := m.ExportedFunction("f").Call(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				return (1<<30 - int64(fuel.Get())) / 100
			}
			for _, n := range []int{1, 5, 10, 20, 31, 33, 40, 63, 64, 65, 100, 200} {
				if c.name == "a free leaf" && n > 40 {
					continue
				}
				if got := paid(n); got < int64(n) {
					t.Errorf("%d units of work pay %d", n, got)
				}
			}
		})
	}
}

// asked is a memory that hands out fuel when it is asked for a page while the fuel is below zero.
type asked struct {
	bytes []byte
	fuel  func() api.MutableGlobal
	each  int64
	times int
}

func (a *asked) Reallocate(size uint64) []byte {
	if a.fuel != nil {
		if left := int64(a.fuel().Get()); left < 0 {
			for ; left < 0; left += a.each {
				a.times++
			}
			a.fuel().Set(uint64(left))
			return nil
		}
	}
	a.bytes = append(a.bytes, make([]byte, size-uint64(len(a.bytes)))...)
	return a.bytes
}

func (a *asked) Free() {}

// TestAsking runs each body on slices of fuel of which each is enough for hardly anything: it does
// the same as on one, burns the same, and gets no memory for its questions.
func TestAsking(t *testing.T) {
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			m, err := wasm.Parse(function(body...).Bytes())
			if err != nil {
				t.Fatal(err)
			}
			out, _, err := m.Rewrite(wasm.RewriteOptions{MaxPages: 2000, Ask: true})
			if err != nil {
				t.Fatal(err)
			}
			const plenty = 1 << 40
			run := func(slice int64, argument uint64) (results []uint64, failed bool, burnt int64, pages, times int) {
				memory := &asked{}
				ctx := experimental.WithMemoryAllocator(t.Context(), experimental.MemoryAllocatorFunc(
					func(uint64, uint64) experimental.LinearMemory { return memory }))
				r := wazero.NewRuntime(ctx)
				defer r.Close(ctx)
				in, err := r.InstantiateWithConfig(ctx, out, wazero.NewModuleConfig().WithStartFunctions())
				if err != nil {
					t.Fatal(err)
				}
				fuel := in.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
				memory.fuel, memory.each = func() api.MutableGlobal { return fuel }, slice
				fuel.Set(uint64(slice))
				results, err = in.ExportedFunction("f").Call(ctx, argument)
				given := slice * int64(1+memory.times)
				return results, err != nil, given - int64(fuel.Get()), len(memory.bytes), memory.times
			}
			for _, argument := range []uint64{1, 5, 1000} {
				want, wantFailed, wantBurnt, wantPages, _ := run(plenty, argument)
				got, gotFailed, gotBurnt, gotPages, times := run(1000, argument)
				if !slices.Equal(got, want) || gotFailed != wantFailed || gotPages != wantPages {
					t.Errorf("f(%d) in slices = %v (failed: %v) with %d pages, want %v (%v) with %d", argument, got, gotFailed, gotPages, want, wantFailed, wantPages)
				}
				// The header of a loop is paid again after a question.
				if !gotFailed && (gotBurnt < wantBurnt || gotBurnt > wantBurnt+int64(times)*64) {
					t.Errorf("f(%d) in %d slices burnt %d, want %d", argument, times, gotBurnt, wantBurnt)
				}
				if wantBurnt > 2000 && times == 0 {
					t.Errorf("f(%d) burnt %d and did not ask", argument, wantBurnt)
				}
			}
		})
	}
}

// TestAppendedIsOurs: a module cannot name the function and the global that are appended.
func TestAppendedIsOurs(t *testing.T) {
	long := rep(300, []byte{0x01})
	for name, body := range map[string][]byte{
		"call":                 {0x10, 1},
		"ref.func":             {0xd2, 1, 0x1a},
		"global.get":           append([]byte{0x23, 1, 0x1a}, long...), // no leaf
		"global.set":           append([]byte{0x42, 1, 0x24, 1}, long...),
		"global.set in a leaf": {0x42, 1, 0x24, 1},
		"global.set, as its index is not written": {0x42, 1, 0x24, 0x81, 0x00},
	} {
		module := function(body, []byte{0x20, 0})
		module.Globals = [][]byte{{wasmtest.I64, 1, 0x42, 0, 0x0b}}
		m, err := wasm.Parse(module.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Rewrite(wasm.RewriteOptions{MaxPages: 1}); !errors.Is(err, wasm.ErrNotWasm) {
			t.Errorf("%s: %v", name, err)
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
