package roomtest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// Native is a [host.Guest] that runs a module's Go code in the test's own process. A panic of
// the room is a trap; fuel, memory caps and blocking are not checked, as only the
// WebAssembly hosts can.
type Native struct {
	module   *rooms.Module
	log      func(abi.LogLevel, string)
	instance *rooms.Instance
	bridge   *bridge
}

var _ host.Guest = (*Native)(nil)

// NewNative returns a guest of a module. log may be nil.
func NewNative(m *rooms.Module, log func(abi.LogLevel, string)) *Native {
	return &Native{module: m, log: log}
}

// Turn runs one batch.
func (n *Native) Turn(ctx context.Context, batch []byte, storage host.Storage) (effects []byte, err error) {
	if n.instance == nil {
		n.bridge = &bridge{log: n.log}
		n.instance = rooms.NewInstance(n.module, n.bridge)
	}
	n.bridge.ctx, n.bridge.storage = ctx, storage
	defer func() {
		n.bridge.storage = nil
		p := recover()
		if p == nil {
			return
		}
		n.instance = nil
		effects = nil
		if failed, ok := p.(storageFailure); ok {
			err = &host.Trap{Cause: host.CauseStorage, Message: failed.err.Error(), Err: failed.err}
			return
		}
		err = &host.Trap{Cause: host.CausePanic, Message: fmt.Sprintf("%v\n%s", p, debug.Stack())}
	}()
	return slices.Clone(n.instance.Turn(batch)), nil
}

// Sleep throws the memory away.
func (n *Native) Sleep() { n.instance = nil }

// bridge turns the SDK's imports into reads of the host's storage.
type bridge struct {
	ctx     context.Context
	storage host.Storage
	log     func(abi.LogLevel, string)
}

// storageFailure unwinds the room's code, as a host's trap does.
type storageFailure struct{ err error }

func (b *bridge) Get(key string) ([]byte, bool) {
	value, ok, err := b.storage.Get(b.ctx, []byte(key))
	if err != nil {
		panic(storageFailure{err})
	}
	return slices.Clone(value), ok
}

func (b *bridge) List(q abi.ListRequest) abi.ListResponse {
	// The compiled module's request goes through its encoding, with all its limits.
	if _, err := abi.DecodeListRequest(abi.AppendListRequest(nil, &q)); err != nil {
		panic("rooms: the host refused a list request: " + err.Error())
	}
	r, err := b.storage.List(b.ctx, q)
	if err != nil {
		panic(storageFailure{err})
	}
	return r
}

func (b *bridge) Log(level abi.LogLevel, line string) {
	if b.log != nil {
		b.log(level, line)
	}
}
