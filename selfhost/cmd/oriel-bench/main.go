// Command oriel-bench measures what the README claims: one line per figure, "name value unit",
// each beside what it is compared with, in one run. Machines differ and are noisy: read
// the ratios. `make bench` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	module := flag.String("module", "", "the .wasm file with the kind chat (required)")
	rooms := flag.Int("rooms", 20_000, "rooms for the figures of memory")
	publishers := flag.Int("publishers", 1_000, "publishers for group commit")
	sleepers := flag.Int("sleepers", 4_000, "rooms with a connection each, for what a sleeping room costs")
	oriel := flag.String("oriel", "", "the oriel binary, for the figures of a cluster (required)")
	members := flag.Int("members", 3_000, "members of the room of a cluster")
	only := flag.Bool("cluster", false, "the figures of a cluster, nothing else")
	benchmarks := flag.Bool("convert", false, "read the output of `go test -bench` and print it as figures, nothing else")
	flag.Parse()
	if *benchmarks {
		if err := convert(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "oriel-bench:", err)
			os.Exit(1)
		}
		return
	}
	binary, err := os.ReadFile(*module)
	if err != nil {
		fmt.Fprintln(os.Stderr, "oriel-bench: --module:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	runs := []func() error{
		// First, because it counts small differences of the heap.
		func() error { return sleeping(ctx, binary, *sleepers) },
		func() error { return start(ctx, binary) },
		func() error { return guest(ctx, binary) },
		func() error { return density(ctx, binary, *rooms) },
		func() error { return publish(ctx, binary, *publishers) },
	}
	if *only {
		runs = nil
	}
	for _, run := range append(runs, func() error { return cluster(ctx, *oriel, *members) }) {
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, "oriel-bench:", err)
			os.Exit(1)
		}
	}
}

// figure prints one line.
func figure(name string, value float64, unit string) {
	fmt.Printf("%-44s %12.3f %s\n", name, value, unit)
}

// p50 and p99 of samples, which they sort, in microseconds.
func percentile(samples []time.Duration, p int) float64 {
	slices.Sort(samples)
	d := samples[min(len(samples)*p/100, len(samples)-1)]
	return float64(d.Nanoseconds()) / 1000
}
