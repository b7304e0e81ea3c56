package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
)

// An instance is one wazero instance of a module. Rooms run on it one after another; a
// room's memory is put under it for one turn. One goroutine uses it at a time.
type instance struct {
	runtime *Runtime
	slot    memory.Slot
	module  api.Module
	memory  api.Memory
	tank    tank
	globals []api.MutableGlobal
	inbox   api.Function
	turn    api.Function
	stack   [1]uint64
	// compiled says that turns are not interpreted.
	compiled bool
	due      int64 // what the turn may have burnt before it lets others compute

	call callContext
	// in is what the host functions of the turn that runs need.
	in turnState
}

// callContext is the context that host functions get: by its type they find their
// instance without a lookup. The caller's context is turnState.ctx.
type callContext struct {
	context.Context
	instance *instance
}

// Value answers wazero's questions for its experimental features: none is on.
func (*callContext) Value(any) any { return nil }

func instanceOf(ctx context.Context) *instance { return ctx.(*callContext).instance }

// newInstance instantiates a module. first is the memory that wazero writes the data
// segments to; afterwards the instance is parked.
func (r *Runtime) newInstance(ctx context.Context, compiled wazero.CompiledModule, globals int, first *memory.Memory) (*instance, error) {
	in := &instance{runtime: r}
	in.call = callContext{Context: context.Background(), instance: in}
	in.slot.Set(first)
	allocator := experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory {
		in.slot.Reallocate(0) // completes Set
		return &in.slot
	})
	// The module must outlive the context of the call that happens to create it.
	ctx = experimental.WithMemoryAllocator(context.WithoutCancel(ctx), allocator)
	// No name, so that there may be many; no start functions: Load calls them once.
	module, err := r.wazero.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	in.module, in.memory = module, module.Memory()
	in.renew()
	in.compiled = isCompiled(in.turn)
	in.tank.fuel = module.ExportedGlobal(wasm.FuelExport).(api.MutableGlobal)
	in.tank.epoch = time.Now()
	in.slot.Ask = in.ask
	for i := range globals {
		in.globals = append(in.globals, module.ExportedGlobal(wasm.GlobalExport(i)).(api.MutableGlobal))
	}
	r.counts.instances.Add(1)
	return in, nil
}

// renew gives the instance new WebAssembly stacks: a room that recursed deep may have
// grown them to tens of megabytes, and they never shrink.
func (in *instance) renew() {
	in.inbox, in.turn = in.module.ExportedFunction(abi.ExportInbox), in.module.ExportedFunction(abi.ExportTurn)
}

// enter puts a room's memory under the instance.
func (in *instance) enter(m *memory.Memory) error {
	if err := in.swap(m); err != nil {
		return err
	}
	for i, g := range in.globals {
		g.Set(m.Globals[i])
	}
	return nil
}

// leave keeps the globals and parks the instance, so that the memory can be given back
// at any time.
func (in *instance) leave(m *memory.Memory) error {
	for i, g := range in.globals {
		m.Globals[i] = g.Get()
	}
	return in.swap(nil)
}

// swap makes wazero read base and length of its memory again. A module's declared
// maximum is one page above the real limit, so that a full memory can be swapped too.
func (in *instance) swap(m *memory.Memory) error {
	in.slot.Set(m)
	if _, ok := in.memory.Grow(1); !ok {
		return errSwap
	}
	return nil
}

var errSwap = errors.New("the memory under an instance could not be exchanged")

// invoke calls a function of the guest with the fuel that is left in the instance.
func (in *instance) invoke(f api.Function) error {
	return f.CallWithStack(&in.call, in.stack[:])
}

// bytes returns length bytes of the guest's memory at ptr.
func (in *instance) bytes(ptr, length uint32) ([]byte, bool) {
	b := in.slot.Bytes()
	end := uint64(ptr) + uint64(length)
	if end > uint64(len(b)) {
		return nil, false
	}
	return b[ptr:end:end], true
}

// ask is called when a guest asks for memory. If its fuel is below zero, it is fuel that it asks
// for. If not, it will do so right after it got the memory, so that the size of its next slice is
// that of a room with so much memory.
func (in *instance) ask() bool {
	if int64(in.tank.fuel.Get()) >= 0 {
		in.tank.cut()
		return false
	}
	in.refill()
	return true
}

// refill hands out the next slice of fuel, if the turn may go on. If not, the fuel is below zero
// afterwards.
func (in *instance) refill() {
	if max(stackSize(in.turn), stackSize(in.inbox)) > maxStack && in.in.trap == nil {
		in.in.trap = &host.Trap{Cause: host.CauseStack, Message: "the room recursed too deep"}
		in.tank.stopped = true
	}
	in.tank.large = len(in.slot.Bytes()) > largeMemory
	in.tank.refill()
	if in.tank.burnt() >= in.due {
		in.due += in.runtime.options.TurnFuel
		in.yield()
	}
}

// yield lets others compute before the turn goes on: only a start has more than a turn's fuel.
func (in *instance) yield() {
	in.runtime.tokens.give()
	_ = in.tank.wait(func() error {
		in.runtime.tokens.retake(true)
		return nil
	})
}

// pay charges a host call for bytes that it moves.
func (in *instance) pay(bytes int) {
	in.charge(int64(bytes >> wasm.BulkShift))
}

// charge charges a host call for what it does.
func (in *instance) charge(units int64) {
	left := int64(in.tank.fuel.Get()) - units
	in.tank.fuel.Set(uint64(left))
	if left < 0 {
		if in.refill(); int64(in.tank.fuel.Get()) < 0 {
			panic(errHalt) // classified as fuel, which is below zero, or by the trap that is set
		}
	}
}

// errHalt unwinds the guest from within a host function. The reason is in turnState.
var errHalt = errors.New("the host ended the turn")

// halt ends the turn from within a host function.
func (in *instance) halt(cause host.Cause, format string, args ...any) {
	in.haltWith(&host.Trap{Cause: cause, Message: fmt.Sprintf(format, args...)})
}

func (in *instance) haltWith(t *host.Trap) {
	in.in.trap = t
	panic(errHalt)
}

func (in *instance) close() {
	in.runtime.counts.instances.Add(-1)
	// A module without resources of its own has nothing that can fail.
	_ = in.module.Close(context.Background())
}
