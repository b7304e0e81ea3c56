package runtime

import (
	"context"
	"errors"
	"math"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
)

// warmMessages is how many messages [WarmUp] sends: FACTS' ten, by which the allocator of
// a Go guest has its size classes ready.
const warmMessages = 10

// WarmUp is a value for [Options.WarmUp], for modules that do not warm themselves up: for each kind a room that starts, takes two
// connections and some messages, and is forgotten. A caller that knows the protocol
// of its rooms does better with messages that they understand. Only shareable modules
// are warmed up: they keep nothing of a room that is forgotten.
func WarmUp(m *abi.Manifest) [][]byte {
	var batches [][]byte
	for i, k := range m.Kinds {
		b := abi.Batch{Handle: math.MaxUint64 - uint64(i), Time: 1}
		add := func(events ...abi.Event) {
			b.Events = events
			batches = append(batches, abi.AppendBatch(nil, &b))
		}
		protocol := ""
		if len(k.Protocols) > 0 {
			protocol = k.Protocols[0]
		}
		add(&abi.StartEvent{Kind: k.Name, Room: "warm-up", Reason: abi.StartCold, Term: "warm-up"})
		for id := range uint64(2) {
			add(&abi.ConnectEvent{Connection: abi.Connection{ID: id + 1, User: "warm-up", Protocol: protocol, Since: 1}})
		}
		for id := range uint64(warmMessages) {
			add(&abi.MessageEvent{Connection: id%2 + 1, Encoding: abi.Text, Data: []byte(`{"type":"ping"}`)})
		}
		add(&abi.ForgetEvent{})
	}
	return batches
}

// warm runs the warm-up on the memory that becomes the image. After an error the memory is as
// it was.
func (m *Module) warm(ctx context.Context, in *instance, mem *memory.Memory) error {
	if m.runtime.options.WarmUp == nil || !m.manifest.Shareable {
		return nil // what the warm-up's room leaves behind would be in every room
	}
	batches := m.runtime.options.WarmUp(m.manifest)
	if len(batches) == 0 {
		return nil
	}
	restore := mem.Save()
	if err := m.runtime.tokens.take(ctx, false); err != nil {
		return err
	}
	defer m.runtime.tokens.give()
	err := m.runBatches(ctx, in, mem, batches)
	if err == nil {
		err = m.tidy(ctx, in, mem)
	}
	if err != nil {
		in.renew()
		restore()
	}
	return err
}

func (m *Module) runBatches(ctx context.Context, in *instance, mem *memory.Memory, batches [][]byte) error {
	for _, batch := range batches {
		in.in.begin(ctx, nil)
		if err := in.in.header(batch); err != nil {
			return err
		}
		in.in.monotonic = in.in.time
		_, _, trap, err := in.run(mem, batch, startFuel*m.runtime.options.TurnFuel)
		in.in.journal = journal{}
		in.in.end()
		if err != nil {
			return err
		}
		if trap != nil {
			return &ModuleError{Reason: "warm-up: " + trap.Error(), Err: ErrStart}
		}
	}
	return nil
}

// tidy asks for the manifest once more, which ABI.md allows: the Go SDK collects its garbage
// then, and leaves a memory that is fit to be an image.
func (m *Module) tidy(ctx context.Context, in *instance, mem *memory.Memory) error {
	in.in.begin(ctx, nil)
	defer in.in.end()
	if err := in.enter(mem); err != nil {
		return err
	}
	in.tank.fill(startFuel * m.runtime.options.TurnFuel)
	defer in.tank.drain()
	in.stack[0] = 0
	if err := in.invoke(in.module.ExportedFunction(abi.ExportManifest)); err != nil {
		failed := m.startError(abi.ExportManifest, in, err)
		return errors.Join(failed, in.leave(mem))
	}
	return in.leave(mem)
}
