package runtime

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
)

// States of a room.
const (
	roomIdle   = 0
	roomBusy   = 1
	roomClosed = 2
)

// deepFuel is what a turn must burn at least before its stacks are worth renewing: with
// less, they are smaller than a few megabytes.
const deepFuel = 4 << 20

// A Room is one room's memory and what is needed to run its turns. It implements
// [host.Guest]. One goroutine at a time may use it; a second one gets [ErrBusy].
//
// A room takes its memory with its first turn and gives it back when it traps, sleeps,
// is replaced or closed. Without memory it is about 100 bytes.
type Room struct {
	module *Module
	memory *memory.Memory // nil while it sleeps or is folded
	fold   []byte         // what memory was, while it is folded
	name   string
	bucket bucket
	// clock is the last value of the memory's monotonic clock, nanoseconds.
	clock uint64
	fuel  int64 // burnt by the last turn
	heat  int64 // what turns burnt lately: each weighs three quarters of the next one
	state atomic.Int32
	// watched says that the last turn was slower than its instructions: see tank.
	watched bool
}

var _ host.Guest = (*Room)(nil)

// NewRoom returns a room of the module. name is for errors and log lines. Close it.
func (m *Module) NewRoom(name string) (*Room, error) {
	if err := m.join(); err != nil {
		return nil, &RoomError{Op: "create", Room: name, Err: err}
	}
	m.runtime.counts.rooms.Add(1)
	return &Room{module: m, name: name}, nil
}

// lock makes the calling goroutine the one that uses the room.
func (r *Room) lock(op string) error {
	if r.state.CompareAndSwap(roomIdle, roomBusy) {
		return nil
	}
	if r.state.Load() == roomClosed {
		return &RoomError{Op: op, Room: r.name, Err: ErrClosed}
	}
	return &RoomError{Op: op, Room: r.name, Err: ErrBusy}
}

func (r *Room) unlock() { r.state.Store(roomIdle) }

// Turn runs one batch; see [host.Guest]. It waits until a worker is free.
//
// The guest's wall clock is the batch's time and stands still during the turn. Its
// monotonic clock begins at the batch's time and never goes back within one memory. What it reads of
// WASI's randomness is a function of the batch's seed. So the same batches on a fresh
// memory with the same storage give the same effects.
//
// ctx bounds the wait for a worker and the reads of storage, not the guest's code: the fuel
// does that.
func (r *Room) Turn(ctx context.Context, batch []byte, storage host.Storage) ([]byte, error) {
	if err := r.lock("turn"); err != nil {
		return nil, err
	}
	defer r.unlock()
	effects, err := r.turn(ctx, batch, storage)
	if err != nil {
		if trap, ok := err.(*host.Trap); ok {
			return nil, trap
		}
		return nil, &RoomError{Op: "turn", Room: r.name, Err: err}
	}
	return effects, nil
}

func (r *Room) turn(ctx context.Context, batch []byte, storage host.Storage) ([]byte, error) {
	m := r.module
	in, err := m.acquire(ctx, r.heat > heavyFuel)
	if err != nil {
		return nil, err
	}
	t := &in.in
	t.begin(ctx, storage)
	if err := t.header(batch); err != nil {
		m.release(in, false)
		return nil, err
	}
	if err := r.wake(); err != nil {
		m.release(in, false)
		return nil, err
	}
	t.monotonic = max(t.time, r.clock)
	// Code that is interpreted, and a memory that is copied when it grows, take long without any fault of
	// the room's.
	in.tank.clock, in.tank.watched = nil, r.watched
	if in.compiled && m.image.CopyOnWrite() {
		in.tank.clock = m.runtime.clock
	}
	effects, used, trap, err := in.run(r.memory, batch, m.runtime.turnFuel(batch))
	r.clock = t.monotonic
	r.fuel, r.watched = used, in.tank.watched
	r.heat = (3*r.heat + used) / 4
	r.bucket.burn(used)
	m.runtime.counts.turns.Add(1)
	m.runtime.counts.fuel.Add(used)
	journal := r.takeJournal(t)
	t.end()
	failed := trap != nil || err != nil
	if trap != nil || used > deepFuel {
		in.renew()
	}
	// A trap leaves nothing in the instance but memory, globals and stack, and all three
	// are exchanged. After a fault of the host nobody knows.
	m.release(in, err != nil)
	if failed {
		r.dropMemory()
	}
	if journal != nil {
		journal.flush(r.name, failed, m.runtime.options.Log)
	}
	if err != nil {
		return nil, err
	}
	if trap != nil {
		m.runtime.counts.traps.Add(1)
		return nil, trap
	}
	return effects, nil
}

// turnFuel returns what a batch may burn. One with a start that lists more than a few
// connections has more than a page.
func (r *Runtime) turnFuel(batch []byte) int64 {
	fuel := r.options.TurnFuel
	if len(batch) > 4096 {
		fuel += StartFuel * int64(abi.Restored(batch))
	}
	return fuel
}

// wake gives the room a memory if it has none: what was folded, or a new one.
func (r *Room) wake() (err error) {
	switch {
	case r.memory != nil:
	case r.fold != nil:
		if r.memory, err = r.module.image.Unfold(r.fold); err == nil {
			r.fold = nil
		}
	default:
		r.memory, err = r.module.image.New()
		r.clock = 0
	}
	return err
}

// Fold packs the memory of a room that waits for its next event into the bytes in which
// it differs from the module's image, often a tenth of the pages that it takes. The next
// turn unpacks it: it costs that turn about a microsecond for each changed page, and the room never
// knows. Folding costs about the same. It does nothing during a turn or to a room
// without memory.
func (r *Room) Fold() {
	if r.lock("fold") == nil {
		if r.memory != nil {
			r.fold = r.memory.Fold()
			r.memory.Release()
			r.memory = nil
		}
		r.unlock()
	}
}

// Folded returns the length of the room's folded memory in bytes, 0 if it is not folded. It
// must not be called during a turn.
func (r *Room) Folded() int { return len(r.fold) }

// takeJournal takes the turn's log lines out of the instance, if there are any that
// someone wants.
func (r *Room) takeJournal(t *turnState) *journal {
	if len(t.output) > 0 {
		t.logOutput()
	}
	if len(t.journal.lines) == 0 && t.journal.dropped == 0 {
		return nil
	}
	j := t.journal
	t.journal = journal{}
	if r.module.runtime.options.Log == nil {
		return nil
	}
	return &j
}

func (r *Room) dropMemory() {
	r.fold = nil
	if r.memory != nil {
		r.memory.Release()
		r.memory = nil
	}
}

// Sleep gives the room's memory back. It does nothing during a turn.
func (r *Room) Sleep() {
	if r.lock("sleep") == nil {
		r.dropMemory()
		r.unlock()
	}
}

// Awake reports whether the room has a memory, folded or not. It must not be called during a turn.
func (r *Room) Awake() bool { return r.memory != nil || r.fold != nil }

// Fuel returns what the last turn burnt. It must not be called during a turn.
func (r *Room) Fuel() int64 { return r.fuel }

// Throttle returns how long the room's next turn should wait, because its earlier turns
// burnt more than [Options.FuelPerSecond]; 0 if it may run at once. It is the caller
// who waits. now must not go back. It must not be called during a turn.
func (r *Room) Throttle(now time.Time) time.Duration {
	return r.bucket.wait(now, r.module.runtime.options.FuelPerSecond)
}

// Module returns the module that the room runs. It must not be called during a turn.
func (r *Room) Module() *Module { return r.module }

// Replace makes the room run another module, or another version of its own, from the
// next turn on. Its memory is given back, as in a sleep: the next batch begins with a
// start event. If m is closed, the room stays what it is.
func (r *Room) Replace(m *Module) error {
	if err := r.lock("replace"); err != nil {
		return err
	}
	defer r.unlock()
	if err := m.join(); err != nil {
		return &RoomError{Op: "replace", Room: r.name, Err: err}
	}
	r.dropMemory()
	old := r.module
	r.module = m
	old.part()
	return nil
}

// Close gives everything back. It returns [ErrBusy] during a turn.
func (r *Room) Close() error {
	if err := r.lock("close"); err != nil {
		if r.state.Load() == roomClosed {
			return nil
		}
		return err
	}
	r.dropMemory()
	r.module.runtime.counts.rooms.Add(-1)
	r.module.part()
	r.state.Store(roomClosed)
	return nil
}
