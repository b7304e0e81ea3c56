package runtime

import (
	"math"
	goruntime "runtime"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// A tank hands out the fuel of one turn in slices. When the guest has burnt a slice it asks for
// the next one (see wasm.RewriteOptions.Ask), and is in Go's hands for a moment: the scheduler
// may run somebody else, the collector may stop the world, and the tank looks at what instructions
// do not show. Caches that miss, pages that are touched first and subnormal numbers make code
// hundreds of times slower, so a slice costs what its instructions do, or what its time is
// worth, whatever is more.
//
// It belongs to an instance. Each fill is followed by a drain, on the same goroutine.
type tank struct {
	// fuel is what is left of the slice, as the guest sees and burns it.
	fuel api.MutableGlobal
	// clocked says that time counts.
	clocked bool
	// watched says that the first slice of a turn is timed, too, which takes two calls of the
	// system: its room's last turn took more than three times what its instructions paid. drain
	// sets it for the next one.
	watched bool
	// large says that the room has a large memory.
	large bool
	// stopped says that there is no further slice, whatever is left.
	stopped bool
	full    int64 // the turn's fuel
	left    int64 // fuel that is not handed out yet
	slice   int64 // what fuel was when the slice began
	over    int64 // what time has cost, more than instructions
	// begun is when the turn began, less what it has waited.
	begun time.Time
	// cpu is what the thread had computed when the slice began. The goroutine keeps its thread
	// while timed is set.
	timed bool
	cpu   time.Duration
}

const (
	// fuelPerNanosecond is what time is worth. Code as compilers write it burns a third more by
	// itself: so a turn does not pay for others that share its core, or for a core that is not
	// the newest, unless it is too much.
	fuelPerNanosecond = 6
	// A slice is minSlice and a part of what is left: the last ones are short, so that a turn
	// does not end much too late, and the first one is enough for most turns. Rooms with more than
	// largeMemory bytes get shorter ones: they may have many pages that nobody has touched, and
	// the system takes 1.5 us for the first touch of each.
	minSlice, sliceShift, largeShift = 1 << 13, 10, 12
	largeMemory                      = 16 << 20
	// suspicious is how long a turn may take before it matters what it was spent on.
	suspicious = 20 * time.Microsecond
)

// worth returns what a time is worth in fuel.
func worth(d time.Duration) int64 { return int64(d) * fuelPerNanosecond }

// fill begins a turn.
func (t *tank) fill(fuel int64) {
	t.full, t.left, t.over, t.stopped = fuel, fuel, 0, false
	t.fuel.Set(0)
	t.pour()
	if t.clocked {
		t.begun = time.Now()
		if t.watched {
			t.start()
		}
	}
}

// rest returns what is left of the turn's fuel. It is below zero when the turn has burnt too much.
func (t *tank) rest() int64 { return t.left + int64(t.fuel.Get()) }

// pour hands out a slice, or what is left.
func (t *tank) pour() {
	now := int64(t.fuel.Get())
	if !t.stopped {
		shift := sliceShift
		if t.large {
			shift = largeShift
		}
		n := min(t.left, minSlice+t.left>>shift-min(now, 0))
		t.left -= n
		now += n
		t.fuel.Set(uint64(now))
	}
	t.slice = now
}

// cut ends the slice at the guest's next charge.
func (t *tank) cut() {
	back := int64(t.fuel.Get()) + 1
	t.fuel.Set(math.MaxUint64) // -1
	t.slice -= back
	t.left += back
}

// start begins to take the time.
func (t *tank) start() {
	goruntime.LockOSThread()
	t.timed, t.cpu = true, threadTime()
}

// look charges for the slice's time, as far as its instructions have not paid for it.
func (t *tank) look() {
	cpu := threadTime()
	over := max(0, worth(cpu-t.cpu)-(t.slice-int64(t.fuel.Get())))
	t.left -= over
	t.over += over
	t.cpu = cpu
}

// refill ends a slice and hands out the next one. Afterwards the fuel is below zero if the turn
// has to end.
func (t *tank) refill() {
	switch {
	case t.timed:
		t.look()
	case t.clocked:
		t.start()
	}
	t.pour()
}

// wait runs f, which may block. Its time does not count.
func (t *tank) wait(f func() error) error {
	if !t.clocked {
		return f()
	}
	timed := t.timed
	t.stop()
	began := time.Now()
	defer func() {
		t.begun = t.begun.Add(time.Since(began))
		if timed {
			t.start()
		}
	}()
	return f()
}

// stop ends the taking of time.
func (t *tank) stop() {
	if t.timed {
		t.look()
		t.timed = false
		t.slice = int64(t.fuel.Get())
		goruntime.UnlockOSThread()
	}
}

// drain ends the turn and returns what is left of its fuel.
func (t *tank) drain() int64 {
	switch {
	case t.timed:
		t.stop()
	case t.clocked:
		if spent := time.Since(t.begun); spent > suspicious {
			t.watched = worth(spent) > 3*(t.full-t.rest())
			return t.rest()
		}
	}
	t.watched = t.over > 2*(t.full-t.rest()-t.over)
	return t.rest()
}
