package runtime

import (
	"context"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
)

// A hostFunction is one function that guests may import.
type hostFunction struct {
	name   string
	params []wasm.ValueType
	result []wasm.ValueType
	call   func(in *instance, stack []uint64)
}

func (f hostFunction) signature() wasm.FuncType {
	return wasm.FuncType{Params: f.params, Results: f.result}
}

// A hostModule is a set of host functions under one import name.
type hostModule struct {
	name      string
	functions []hostFunction
}

func (h hostModule) lookup(name string) (hostFunction, bool) {
	for _, f := range h.functions {
		if f.name == name {
			return f, true
		}
	}
	return hostFunction{}, false
}

func (h hostModule) instantiate(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder(h.name)
	for _, f := range h.functions {
		call := f.call
		fn := api.GoFunc(func(ctx context.Context, stack []uint64) { call(instanceOf(ctx), stack) })
		b.NewFunctionBuilder().WithGoFunction(fn, apiTypes(f.params), apiTypes(f.result)).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func apiTypes(ts []wasm.ValueType) []api.ValueType {
	out := make([]api.ValueType, len(ts))
	for i, t := range ts {
		out[i] = api.ValueType(t)
	}
	return out
}

var (
	i32  = []wasm.ValueType{wasm.I32}
	i64  = []wasm.ValueType{wasm.I64}
	i32s = func(n int) []wasm.ValueType {
		ts := make([]wasm.ValueType, n)
		for i := range ts {
			ts[i] = wasm.I32
		}
		return ts
	}
)

// roomImports are the functions of the ABI.
var roomImports = hostModule{abi.ImportModule, []hostFunction{
	{abi.ImportStorageGet, i32s(4), i32, storageGet},
	{abi.ImportStorageList, i32s(4), i32, storageList},
	{abi.ImportLog, i32s(3), nil, logLine},
}}

// readCost is what a read costs that the storage does not answer at once, in units of fuel.
const readCost = 50_000

// maxRequest is longer than any request of storage_list: two keys, a number and a flag.
const maxRequest = 2*abi.MaxKey + 64

// storageGet is storage_get(key, keyLen, dst, dstCap) -> length, or -1 if absent.
func storageGet(in *instance, stack []uint64) {
	in.mustBeInTurn(abi.ImportStorageGet)
	key, ok := in.bytes(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		in.halt(host.CauseGarbage, "storage_get: the key lies outside of the memory")
	}
	if len(key) > abi.MaxKey {
		in.halt(host.CauseGarbage, "storage_get: a key of %d bytes, at most %d", len(key), abi.MaxKey)
	}
	last := &in.in.get
	if !last.is(key) {
		in.pay(len(key))
		value, found := in.get(key)
		last.keep(key, value, found)
	}
	if !last.found {
		stack[0] = api.EncodeI32(-1)
		return
	}
	stack[0] = in.answer(abi.ImportStorageGet, last.answer, uint32(stack[2]), uint32(stack[3]))
}

// storageList is storage_list(request, requestLen, dst, dstCap) -> length.
func storageList(in *instance, stack []uint64) {
	in.mustBeInTurn(abi.ImportStorageList)
	request, ok := in.bytes(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		in.halt(host.CauseGarbage, "storage_list: the request lies outside of the memory")
	}
	if len(request) > maxRequest {
		in.halt(host.CauseGarbage, "storage_list: a request of %d bytes", len(request))
	}
	last := &in.in.list
	if !last.is(request) {
		in.pay(len(request))
		last.keep(request, in.list(request), true)
		in.pay(len(last.answer)) // the host has copied it, even if the guest never takes it
	}
	stack[0] = in.answer(abi.ImportStorageList, last.answer, uint32(stack[2]), uint32(stack[3]))
}

// mustBeInTurn ends the start of a module that reads storage: no room is there yet.
func (in *instance) mustBeInTurn(name string) {
	if in.in.starting {
		in.halt(host.CauseGarbage, "%s is called outside of a turn", name)
	}
}

// answer copies an answer to the guest if it fits, and returns its length.
func (in *instance) answer(name string, answer []byte, dst, capacity uint32) uint64 {
	if len(answer) > math.MaxInt32 {
		in.halt(host.CauseStorage, "%s: an answer of %d bytes", name, len(answer))
	}
	if uint64(len(answer)) <= uint64(capacity) {
		to, ok := in.bytes(dst, uint32(len(answer)))
		if !ok {
			in.halt(host.CauseGarbage, "%s: the buffer lies outside of the memory", name)
		}
		in.pay(len(answer))
		copy(to, answer)
	}
	return uint64(len(answer))
}

// lastRead is the newest answer of the turn: a guest whose buffer was too small asks
// for it a second time.
type lastRead struct {
	valid, found bool
	question     []byte
	answer       []byte
}

func (l *lastRead) is(question []byte) bool {
	return l.valid && string(l.question) == string(question)
}

func (l *lastRead) keep(question, answer []byte, found bool) {
	l.valid, l.found = true, found
	l.question = append(l.question[:0], question...)
	l.answer = answer
}

func (l *lastRead) forget() { l.valid, l.answer = false, nil }

// get reads a row. If the storage cannot answer at once, the token goes to another
// room while this one waits.
func (in *instance) get(key []byte) ([]byte, bool) {
	storage := in.in.storage
	if storage == nil {
		return nil, false
	}
	if cached, ok := storage.(host.CachedStorage); ok {
		if value, found, hit := cached.GetCached(key); hit {
			return value, found
		}
	}
	own := append([]byte(nil), key...)
	var value []byte
	var found bool
	in.wait(func(ctx context.Context) (err error) {
		value, found, err = storage.Get(ctx, own)
		return err
	})
	return value, found
}

func (in *instance) list(request []byte) []byte {
	q, err := abi.DecodeListRequest(append([]byte(nil), request...))
	if err != nil {
		in.halt(host.CauseGarbage, "storage_list: %v", err)
	}
	var answer abi.ListResponse
	if storage := in.in.storage; storage != nil {
		in.wait(func(ctx context.Context) (err error) {
			answer, err = storage.List(ctx, q)
			return err
		})
	}
	return abi.AppendListResponse(nil, &answer)
}

// wait parks the instance: the turn's token is given back while read waits.
func (in *instance) wait(read func(context.Context) error) {
	in.charge(readCost)
	r := in.runtime
	r.counts.parked.Add(1)
	r.counts.parks.Add(1)
	r.tokens.give()
	err := in.tank.wait(func() error {
		// A panic of the storage must find the turn with its token, too.
		defer func() {
			r.tokens.retake(false)
			r.counts.parked.Add(-1)
		}()
		return read(in.in.ctx)
	})
	if err != nil {
		in.haltWith(&host.Trap{Cause: host.CauseStorage, Message: clip("storage: "+err.Error(), maxMessage), Err: err})
	}
}

// logLine is log(level, ptr, len).
func logLine(in *instance, stack []uint64) {
	length := uint32(stack[2])
	text, ok := in.bytes(uint32(stack[1]), length)
	if !ok {
		in.halt(host.CauseGarbage, "log: the line lies outside of the memory")
	}
	text = text[:min(len(text), abi.MaxLogLine)]
	in.pay(len(text))
	in.in.journal.add(abi.LogLevel(int32(uint32(stack[0]))), text)
}
