package runtime_test

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// baseline is what figures are compared with: the plain module on plain wazero, one
// instance for each room, no fuel.
type baseline struct {
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
}

func newBaseline(b testing.TB, binary []byte) *baseline {
	b.Helper()
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	b.Cleanup(func() { r.Close(ctx) })
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		b.Fatal(err)
	}
	nothing := func(context.Context, []uint64) {}
	i := api.ValueTypeI32
	host := r.NewHostModuleBuilder(abi.ImportModule)
	for name, params := range map[string]int{abi.ImportStorageGet: 4, abi.ImportStorageList: 4, abi.ImportLog: 3} {
		results := []api.ValueType{i}
		if name == abi.ImportLog {
			results = nil
		}
		host.NewFunctionBuilder().WithGoFunction(api.GoFunc(nothing), []api.ValueType{i, i, i, i}[:params], results).Export(name)
	}
	if _, err := host.Instantiate(ctx); err != nil {
		b.Fatal(err)
	}
	compiled, err := r.CompileModule(experimental.WithCompilationWorkers(ctx, 2), binary)
	if err != nil {
		b.Fatal(err)
	}
	return &baseline{runtime: r, compiled: compiled}
}

// room makes an instance, ready for turns.
func (b *baseline) room(ctx context.Context) (*baselineRoom, error) {
	m, err := b.runtime.InstantiateModule(ctx, b.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions(abi.ExportInitialize))
	if err != nil {
		return nil, err
	}
	return &baselineRoom{module: m, inbox: m.ExportedFunction(abi.ExportInbox), turn: m.ExportedFunction(abi.ExportTurn)}, nil
}

type baselineRoom struct {
	module      api.Module
	inbox, turn api.Function
	stack       [1]uint64
}

func (r *baselineRoom) Turn(ctx context.Context, batch []byte) ([]byte, error) {
	r.stack[0] = uint64(len(batch))
	if err := r.inbox.CallWithStack(ctx, r.stack[:]); err != nil {
		return nil, err
	}
	r.module.Memory().Write(uint32(r.stack[0]), batch)
	r.stack[0] = uint64(len(batch))
	if err := r.turn.CallWithStack(ctx, r.stack[:]); err != nil {
		return nil, err
	}
	out, _ := r.module.Memory().Read(uint32(r.stack[0]>>32), uint32(r.stack[0]))
	return append([]byte(nil), out...), nil
}
