package runtime_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/oriel-rooms/oriel/runtime"
)

// module returns the module to measure: ORIEL_BENCH_MODULE, or the tests' guest.
func module(b testing.TB) []byte {
	path := os.Getenv("ORIEL_BENCH_MODULE")
	if path == "" {
		return guest(b)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return binary
}

// BenchmarkLoad measures the start of a module from nothing and from the cache, beside
// wazero's own compilation of the plain module.
func BenchmarkLoad(b *testing.B) {
	binary := module(b)
	ctx := context.Background()
	start := func(b *testing.B, dir string) {
		r, err := runtime.New(ctx, runtime.Options{CacheDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		m, err := r.Load(ctx, binary)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		t := m.LoadTimes()
		b.ReportMetric(float64(t.Rewrite.Microseconds())/1000, "rewrite-ms")
		b.ReportMetric(float64(t.Compile.Microseconds())/1000, "compile-ms")
		b.ReportMetric(float64(t.Start.Microseconds())/1000, "start-ms")
		r.Close(ctx)
		b.StartTimer()
	}
	b.Run("nothing", func(b *testing.B) {
		for b.Loop() {
			start(b, b.TempDir())
		}
	})
	b.Run("cache", func(b *testing.B) {
		dir := b.TempDir()
		start(b, dir)
		b.ResetTimer()
		for b.Loop() {
			start(b, dir)
		}
	})
	b.Run("wazero-alone", func(b *testing.B) {
		for b.Loop() {
			r := wazero.NewRuntime(ctx)
			if _, err := r.CompileModule(ctx, binary); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			r.Close(ctx)
			b.StartTimer()
		}
	})
}

// percentile returns the p-th percentile of samples, which it sorts.
func percentile(samples []time.Duration, p int) time.Duration {
	slices.Sort(samples)
	return samples[min(len(samples)*p/100, len(samples)-1)]
}

// BenchmarkSwap measures putting a room's memory under an instance and taking it out
// again, beside the call of a function that does nothing.
func BenchmarkSwap(b *testing.B) {
	r := newRuntime(b, runtime.Options{})
	m := load(b, r, module(b))
	one, two := newRoom(b, m, "one"), newRoom(b, m, "two")
	for _, room := range []*runtime.Room{one, two} {
		if _, err := room.Turn(b.Context(), batch(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	if err := runtime.Swap(m, one, two, (b.N+1)/2); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkTurn measures whole turns of the tests' guest, beside the same module on plain
// wazero: without fuel, swap, or any check. The difference is what all of it costs.
func BenchmarkTurn(b *testing.B) {
	plain := newBaseline(b, guest(b))
	r := newRuntime(b, runtime.Options{TurnFuel: 10 * runtime.DefaultTurnFuel})
	m := load(b, r, guest(b))
	for _, c := range []string{"", "count", "echo hello, this is a line of chat", "spin 1000000", "maps 10000", "strings 10000", "copy 100"} {
		events := batch()
		name := "nop"
		if c != "" {
			events = batch(c)
			name, _, _ = strings.Cut(c, " ")
		}
		b.Run(name+"/oriel", func(b *testing.B) {
			room := newRoom(b, m, "room")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := room.Turn(b.Context(), events, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(room.Fuel()), "fuel/op")
		})
		b.Run(name+"/wazero", func(b *testing.B) {
			room, err := plain.room(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := room.Turn(b.Context(), events); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCreate measures a new room up to the end of its first turn, and of that the
// part before the guest runs.
func BenchmarkCreate(b *testing.B) {
	r := newRuntime(b, runtime.Options{})
	m := load(b, r, module(b))
	events := batch()
	create := func(b *testing.B, turn bool) {
		var samples []time.Duration
		var rooms []*runtime.Room
		for b.Loop() {
			began := time.Now()
			room, err := m.NewRoom("")
			if err != nil {
				b.Fatal(err)
			}
			if turn {
				_, err = room.Turn(b.Context(), events, nil)
			} else {
				err = runtime.Wake(room)
			}
			if err != nil {
				b.Fatal(err)
			}
			samples = append(samples, time.Since(began))
			if rooms = append(rooms, room); len(rooms) == 10_000 {
				b.StopTimer()
				for _, room := range rooms {
					room.Close()
				}
				rooms = rooms[:0]
				b.StartTimer()
			}
		}
		for _, room := range rooms {
			room.Close()
		}
		b.ReportMetric(float64(percentile(samples, 50).Nanoseconds()), "p50-ns")
		b.ReportMetric(float64(percentile(samples, 99).Nanoseconds()), "p99-ns")
	}
	b.Run("memory", func(b *testing.B) { create(b, false) })
	b.Run("first-turn", func(b *testing.B) { create(b, true) })
	b.Run("instance-each", func(b *testing.B) {
		plain := newBaseline(b, module(b))
		var samples []time.Duration
		for b.Loop() {
			began := time.Now()
			room, err := plain.room(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			samples = append(samples, time.Since(began))
			room.module.Close(b.Context())
		}
		b.ReportMetric(float64(percentile(samples, 50).Nanoseconds()), "p50-ns")
	})
}
