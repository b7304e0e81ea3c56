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
// hundreds of times slower, so a turn costs what its instructions do, or what its computing time is
// worth, whatever is more. It ends when its instructions have burnt its fuel, or when it has computed for
// what its fuel is worth on a core that is as slow as this one is now: see pace.
//
// It belongs to an instance. Each fill is followed by a drain, on the same goroutine.
type tank struct {
	// fuel is what is left of the slice, as the guest sees and burns it.
	fuel api.MutableGlobal
	// clock is the thread's computing time. With nil, time does not count.
	clock func() time.Duration
	// watched says that the first slice of a turn is timed, too, which takes two calls of the
	// system: its room's last turn took more than three times what its instructions paid. drain
	// sets it for the next one.
	watched bool
	// large says that the room has a large memory.
	large bool
	// stopped says that there is no further slice, whatever is left; late, that it is because of
	// the time.
	stopped, late bool
	full          int64 // the turn's fuel
	left          int64 // fuel that is not handed out yet
	slice         int64 // what fuel was when the slice began
	// begun is when the turn began, since epoch, and what it has waited.
	epoch time.Time
	begun time.Duration
	// cpu is what clock said when the slice began. The goroutine keeps its thread while timed is set.
	timed bool
	cpu   time.Duration
	// spent is the computing time of the slices that were timed. limit is what it may be worth.
	spent time.Duration
	limit int64
}

const (
	// fuelPerNanosecond is what time is worth. Code as compilers write it burns a third more by
	// itself.
	fuelPerNanosecond = 6
	// A slice is minSlice and a part of what is left: the last ones are short, so that a turn
	// does not end much too late, and the first one is enough for most turns. Rooms with more than
	// largeMemory bytes get shorter ones: they may have many pages that nobody has touched, and
	// the system takes 1.5 us for the first touch of each.
	minSlice, sliceShift, largeShift = 1 << 13, 10, 12
	largeMemory                      = 16 << 20
	// slowest bounds what counts of a slice's time: so many nanoseconds for each unit that its
	// instructions paid, which is 256 times what a unit stands for. What takes longer is a virtual machine
	// whose core was taken away. Only the first touch of many pages is slower still.
	slowest = 32
	// suspicious is how long a turn may take before it matters what it was spent on.
	suspicious = 20 * time.Microsecond
)

// worth returns what a time is worth in fuel.
func worth(d time.Duration) int64 { return int64(d) * fuelPerNanosecond }

// fill begins a turn.
func (t *tank) fill(fuel int64) {
	t.full, t.left, t.limit, t.spent = fuel, fuel, fuel, 0
	t.stopped, t.late = false, false
	t.fuel.Set(0)
	t.pour()
	if t.clock != nil {
		t.begun = time.Since(t.epoch)
		if t.watched {
			t.start()
		}
	}
}

// paid returns what the turn's instructions have burnt.
func (t *tank) paid() int64 { return t.full - t.left - int64(t.fuel.Get()) }

// burnt returns what the turn has cost.
func (t *tank) burnt() int64 { return max(t.paid(), worth(t.spent)) }

// empty says that the turn has burnt more than its fuel.
func (t *tank) empty() bool { return t.late || t.paid() > t.full }

// pour hands out a slice, or what is left.
func (t *tank) pour() {
	now := int64(t.fuel.Get())
	if !t.stopped {
		shift := sliceShift
		if t.large {
			shift = largeShift
		}
		part := max(0, min(t.left, t.limit-worth(t.spent))) >> shift
		n := min(t.left, minSlice+part-min(now, 0))
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
	t.timed, t.cpu = true, t.clock()
}

// look counts the slice's time.
func (t *tank) look() {
	cpu := t.clock()
	took := cpu - t.cpu
	if !t.large {
		took = min(took, slowest*time.Duration(t.slice-int64(t.fuel.Get())))
	}
	t.spent += took
	t.cpu = cpu
}

// judge stops the turn if it has computed for too long.
func (t *tank) judge() {
	if worth(t.spent) <= t.limit {
		return
	}
	t.limit = int64(float64(t.full) * pace(t.clock))
	if worth(t.spent) > t.limit {
		t.stopped, t.late = true, true
	}
	t.cpu = t.clock()
}

// refill ends a slice and hands out the next one. Afterwards the fuel is below zero if the turn
// has to end.
func (t *tank) refill() {
	switch {
	case t.timed:
		t.look()
		t.judge()
	case t.clock != nil:
		t.start()
	}
	t.pour()
}

// wait runs f, which may block. Its time does not count.
func (t *tank) wait(f func() error) error {
	if t.clock == nil {
		return f()
	}
	timed := t.timed
	t.stop()
	began := time.Now()
	defer func() {
		t.begun += time.Since(began)
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

// drain ends the turn.
func (t *tank) drain() {
	if t.timed || t.clock == nil {
		t.stop()
		t.watched = worth(t.spent) > 3*t.paid()
		return
	}
	spent := time.Since(t.epoch) - t.begun
	t.watched = spent > suspicious && worth(spent) > 3*t.paid()
}
