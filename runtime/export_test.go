package runtime

import (
	"context"
	"time"
)

// Swap swaps two awake rooms in and out of one instance, n times each.
func Swap(m *Module, a, b *Room, n int) error {
	in, err := m.acquire(context.Background(), false)
	if err != nil {
		return err
	}
	defer m.release(in, false)
	for range n {
		for _, r := range [...]*Room{a, b} {
			if err := in.enter(r.memory); err != nil {
				return err
			}
			if err := in.leave(r.memory); err != nil {
				return err
			}
		}
	}
	return nil
}

// Wake gives a room its memory and puts it under an instance once, without a turn.
func Wake(r *Room) error {
	in, err := r.module.acquire(context.Background(), false)
	if err != nil {
		return err
	}
	defer r.module.release(in, false)
	if r.memory, err = r.module.image.New(); err != nil {
		return err
	}
	if err := in.enter(r.memory); err != nil {
		return err
	}
	return in.leave(r.memory)
}

// Resumed reports whether a module's image is an earlier start's.
func Resumed(m *Module) bool { return m.resumed }

// KeptFor is how long an image is good.
const KeptFor = imageAge

// CodeImage decodes the body of an image's file and encodes it again; false if it is none.
func CodeImage(b []byte, limit uint64) ([]byte, bool) {
	f := decodeImage(b, limit)
	if f == nil {
		return nil, false
	}
	return f.encode(), true
}

// SetClock gives turns another clock of computing time. It must be called before the first turn.
func (r *Runtime) SetClock(clock func() time.Duration) { r.clock = clock }

// Pace says how slow the core is; Workload is what it measures, PaceTime what that takes on a fast one.
var Pace, Workload = pace, workload

const PaceTime = paceTime

// ThreadTime returns the computing time of the thread.
func ThreadTime() time.Duration { return threadTime() }

// StackSize returns the size of the WebAssembly stack of an instance.
func StackSize(m *Module) (int, error) {
	in, err := m.acquire(context.Background(), false)
	if err != nil {
		return 0, err
	}
	defer m.release(in, false)
	return stackSize(in.turn), nil
}
