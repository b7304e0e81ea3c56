package runtime_test

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// Addresses in the memory of raw modules.
const (
	rawManifest = 1024
	rawInbox    = 2048
)

var rawManifestText = abi.AppendManifest(nil, &abi.Manifest{SDK: "raw", Kinds: []abi.KindOptions{{Name: "raw"}}})

// Indexes of functions in a raw module: the imports come first.
const (
	rawGet = iota
	rawList
	rawLog
	rawManifestFunc
	rawInboxFunc
	rawTurnFunc
	rawNext // the first function that a test adds
)

var (
	turnType = wasmtest.Type{Params: []byte{wasmtest.I32}, Results: []byte{wasmtest.I64}}
	voidType = wasmtest.Type{}
)

func packed(ptr, length uint32) int64 { return int64(uint64(ptr)<<32 | uint64(length)) }

// raw returns a module, assembled by hand, whose turn is the instructions given; they
// leave an i64.
func raw(turn ...[]byte) *wasmtest.Module {
	i := byte(wasmtest.I32)
	one := []byte{i}
	return &wasmtest.Module{
		Imports: []wasmtest.Import{
			{Module: abi.ImportModule, Name: abi.ImportStorageGet, Type: wasmtest.Type{Params: []byte{i, i, i, i}, Results: one}},
			{Module: abi.ImportModule, Name: abi.ImportStorageList, Type: wasmtest.Type{Params: []byte{i, i, i, i}, Results: one}},
			{Module: abi.ImportModule, Name: abi.ImportLog, Type: wasmtest.Type{Params: []byte{i, i, i}}},
		},
		Functions: []wasmtest.Function{
			{Export: abi.ExportManifest, Type: wasmtest.Type{Results: []byte{wasmtest.I64}}, Body: wasmtest.Const64(packed(rawManifest, uint32(len(rawManifestText))))},
			{Export: abi.ExportInbox, Type: wasmtest.Type{Params: one, Results: one}, Body: wasmtest.Const32(rawInbox)},
			{Export: abi.ExportTurn, Type: turnType, Locals: []byte{wasmtest.I64}, Body: wasmtest.Join(turn...)},
		},
		Memory: wasmtest.Pages(1),
		Data:   rawManifestText,
		DataAt: rawManifest,
	}
}

// answering returns the instructions of a turn that answers with a memory's bytes.
func answering(ptr, length uint32) []byte { return wasmtest.Const64(packed(ptr, length)) }

// storeAt returns instructions that store the i32 that value pushes.
func storeAt(address int32, value []byte) []byte {
	return wasmtest.Join(wasmtest.Const32(address), value, []byte{0x36, 2, 0})
}

// loadAt returns instructions that load an i32.
func loadAt(address int32) []byte {
	return wasmtest.Join(wasmtest.Const32(address), []byte{0x28, 2, 0})
}

// Opcodes that tests write.
const (
	opUnreachable = 0x00
	opAdd32       = 0x6a
	opDrop        = 0x1a
	opSize        = 0x3f
	opGrow        = 0x40
)
