package runtime

import (
	"bytes"
	"context"
	"iter"
	"math/rand/v2"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
)

// turnState is what the host functions of one turn need. It lives in the instance and
// is used again, so that a turn allocates nothing but its effects.
type turnState struct {
	ctx     context.Context
	storage host.Storage
	// time and monotonic are the guest's clocks, nanoseconds.
	time, monotonic uint64
	seed            [abi.SeedSize]byte
	random          *rand.ChaCha8 // made when it is first asked for
	starting        bool          // the module starts: there is no batch yet
	polls           int
	get, list       lastRead
	journal         journal
	output          []byte // standard output and error
	// trap is why a host function ended the turn; exited is set by proc_exit.
	trap     *host.Trap
	exited   bool
	exitCode uint32
}

// begin prepares for a turn.
func (t *turnState) begin(ctx context.Context, storage host.Storage) {
	t.ctx, t.storage = ctx, storage
	t.random, t.starting, t.polls = nil, false, 0
	t.output = t.output[:0]
	t.trap, t.exited, t.exitCode = nil, false, 0
}

// end lets go of what belongs to the caller.
func (t *turnState) end() {
	t.ctx, t.storage, t.trap = nil, nil, nil
	t.get.forget()
	t.list.forget()
}

// header reads the part of a batch that the runtime needs, and leaves the rest to the
// guest.
func (t *turnState) header(batch []byte) error {
	if len(batch) > abi.MaxBatch {
		return moduleError(ErrBatch, "%d bytes, at most %d", len(batch), abi.MaxBatch)
	}
	d := abi.NewDecoder(batch)
	d.Uvarint("batch.handle", 1<<64-1)
	t.time = d.Uvarint("batch.time", abi.MaxTime) * 1_000_000
	copy(t.seed[:], d.Fixed("batch.seed", abi.SeedSize))
	if err := d.Err(); err != nil {
		return &ModuleError{Reason: err.Error(), Err: ErrBatch}
	}
	return nil
}

// run runs one batch on a memory. It returns the effects, or the trap; used is the fuel
// that was burnt in either case. err is a fault of the host: the turn may not have run.
func (in *instance) run(m *memory.Memory, batch []byte, fuel int64) (effects []byte, used int64, trap *host.Trap, err error) {
	if err := in.enter(m); err != nil {
		return nil, 0, nil, err
	}
	in.tank.large = len(m.Bytes()) > largeMemory
	in.tank.fill(fuel)
	in.due = in.runtime.options.TurnFuel
	effects, trap = in.exchange(batch)
	in.tank.drain()
	used = in.tank.burnt()
	if err := in.leave(m); err != nil {
		return nil, used, trap, err
	}
	return effects, used, trap, nil
}

// exchange hands the batch to the guest and takes its effects.
func (in *instance) exchange(batch []byte) ([]byte, *host.Trap) {
	in.stack[0] = uint64(len(batch))
	if err := in.invoke(in.inbox); err != nil {
		return nil, in.classify(err)
	}
	ptr := uint32(in.stack[0])
	if ptr == 0 {
		return nil, &host.Trap{Cause: host.CauseMemory, Message: "the room has no space for its batch of events"}
	}
	inbox, ok := in.bytes(ptr, uint32(len(batch)))
	if !ok {
		return nil, &host.Trap{Cause: host.CauseGarbage, Message: "the inbox lies outside of the memory"}
	}
	copy(inbox, batch)
	in.stack[0] = uint64(len(batch))
	if err := in.invoke(in.turn); err != nil {
		return nil, in.classify(err)
	}
	ptr, length := uint32(in.stack[0]>>32), uint32(in.stack[0])
	if length > abi.MaxEffects {
		return nil, &host.Trap{Cause: host.CauseGarbage, Message: "the effects are larger than " + sizeOf(abi.MaxEffects)}
	}
	effects, ok := in.bytes(ptr, length)
	if !ok {
		return nil, &host.Trap{Cause: host.CauseGarbage, Message: "the effects lie outside of the memory"}
	}
	return bytes.Clone(effects), nil
}

// splitLines yields the lines of b without their ends; empty ones are left out.
func splitLines(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.SplitSeq(b, []byte{'\n'}) {
			if len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}
