package runtime

import (
	goruntime "runtime"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
)

// Defaults of [Options].
const (
	// DefaultMemoryLimit is 64 MiB for each room.
	DefaultMemoryLimit = 64 << 20
	// DefaultMaxModule is 16 MiB. A Go module has 2 to 4 MB.
	DefaultMaxModule = 16 << 20
	// DefaultTurnFuel is about 20 ms: a server's core burns some 8 units in a nanosecond, in most
	// sorts of work, and 6 of them are what a nanosecond costs at least; see RATIONALE.
	DefaultTurnFuel = 160_000_000
	// DefaultFuelPerSecond is ten turns' worth: a fifth of a core.
	DefaultFuelPerSecond = 10 * DefaultTurnFuel
	// StartFuel is what a start may burn beside a turn's fuel for each connection that it lists:
	// nearly twice what a chat needs.
	StartFuel = 48_000
	// DefaultParked is how many instances of one module may wait for storage at once.
	DefaultParked = 128
)

// Options are the settings of a [Runtime]. The zero value is useful.
type Options struct {
	// CacheDir keeps compiled modules, and the memory with which their rooms begin, between processes:
	// about 15 MB for each Go module. It must not be writable by others: what is in it is
	// executed; nor readable: the image has seeds in it. Files are made for their owner only. Empty means
	// no cache.
	CacheDir string
	// Workers bounds the turns that compute at the same time. Default GOMAXPROCS.
	Workers int
	// MemoryLimit bounds each room's memory in bytes, rounded down to 64 KiB; at most
	// 4 GiB less 64 KiB. Default [DefaultMemoryLimit].
	MemoryLimit uint64
	// MaxModule bounds a module in bytes. Default [DefaultMaxModule].
	MaxModule int
	// TurnFuel is the most fuel one turn may burn. A unit stands for an eighth of a nanosecond of
	// computing: what the turn's instructions are known to take. Where the thread's computing
	// time can be read and memories are copied on write (Linux), a nanosecond costs 6 units at
	// least, unless it is this machine that is slow; see RATIONALE. Default [DefaultTurnFuel]; at
	// most 1<<56. A turn that starts a room has [StartFuel] more for each connection, and lets others
	// compute whenever it has burnt another turn's.
	TurnFuel int64
	// Untimed makes turns pay for their instructions only: whether a turn has enough fuel is then the
	// same each time and everywhere, and code that misses the caches all the time may take fifty times
	// its budget. For tests, and to repeat what was recorded.
	Untimed bool
	// FuelPerSecond is what a room may burn in a second, over time; see [Room.Throttle].
	// Default [DefaultFuelPerSecond].
	FuelPerSecond int64
	// Parked bounds, for each module, the instances that wait for storage while others
	// run. When it is reached, further turns of the module wait. Default [DefaultParked].
	Parked int
	// WarmUp returns the batches that are run once on a module's memory before it
	// becomes the image that all rooms begin with: what they touch need not be touched by
	// each room again. Their effects are thrown away. It is asked for shareable modules only.
	// nil means none: modules of the Go SDK rehearse by themselves before they say their manifest. With
	// a warm-up each process starts the module anew.
	// [WarmUp] is a general one.
	WarmUp func(*abi.Manifest) [][]byte
	// Log receives the lines that rooms log and what they write to standard output and
	// error. It is called after the turn, on the turn's goroutine, with the turn's token
	// given back. nil drops them.
	Log func(LogLine)
	// Plain copies memories where copy-on-write is at hand too: slower and larger; for
	// tests, and systems that forbid memory files.
	Plain bool
	// Interpret runs modules without compiling them, twenty times slower or worse. It is
	// chosen anyway where wazero has no compiler.
	Interpret bool
}

func (o Options) withDefaults() Options {
	if o.Workers <= 0 {
		o.Workers = goruntime.GOMAXPROCS(0)
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	o.MemoryLimit = min(o.MemoryLimit, 1<<32-memory.PageSize)
	o.MemoryLimit -= o.MemoryLimit % memory.PageSize
	if o.MaxModule <= 0 {
		o.MaxModule = DefaultMaxModule
	}
	if o.TurnFuel <= 0 {
		o.TurnFuel = DefaultTurnFuel
	}
	o.TurnFuel = min(o.TurnFuel, 1<<56)
	if o.FuelPerSecond <= 0 {
		o.FuelPerSecond = max(DefaultFuelPerSecond, o.TurnFuel)
	}
	o.FuelPerSecond = min(o.FuelPerSecond, 1<<56)
	if o.Parked <= 0 {
		o.Parked = DefaultParked
	}
	return o
}
