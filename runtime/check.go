package runtime

import (
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
)

// abiPrefix begins the import module's name of every version of the ABI.
const abiPrefix = "oriel_room_"

// exportedFunctions are what a module must export, beside its memory.
var exportedFunctions = []struct {
	name     string
	optional bool
	typ      wasm.FuncType
}{
	{abi.ExportInitialize, true, wasm.FuncType{}},
	{abi.ExportManifest, false, wasm.FuncType{Results: i64}},
	{abi.ExportInbox, false, wasm.FuncType{Params: i32, Results: i32}},
	{abi.ExportTurn, false, wasm.FuncType{Params: i32, Results: i64}},
}

// checkABI says in one line what of a module does not fit, the version first: it
// explains most other faults.
func checkABI(m *wasm.Module, memoryLimit uint64) error {
	if err := checkVersion(m); err != nil {
		return err
	}
	for _, im := range m.Imports {
		if err := checkImport(im); err != nil {
			return err
		}
	}
	for _, e := range exportedFunctions {
		x, ok := m.Exports[e.name]
		if !ok {
			if e.optional {
				continue
			}
			return moduleError(ErrABI, "it does not export the function %q", e.name)
		}
		if x.Kind != wasm.ExportFunc {
			return moduleError(ErrABI, "its export %q is not a function", e.name)
		}
		if t, ok := m.FuncType(x.Index); !ok || !t.Equal(e.typ) {
			return moduleError(ErrABI, "its export %q has the signature %s, want %s", e.name, t, e.typ)
		}
	}
	if m.HasStart() {
		if t, ok := m.FuncType(m.StartFunction()); !ok || !t.Equal(wasm.FuncType{}) {
			return moduleError(ErrABI, "its start function has the signature %s, want ()", t)
		}
	}
	if x, ok := m.Exports[abi.ExportMemory]; !ok || x.Kind != wasm.ExportMemory || !m.HasMemory {
		return moduleError(ErrABI, "it does not export its memory as %q", abi.ExportMemory)
	}
	if need := uint64(m.MinPages) * wasm.PageSize; need > memoryLimit {
		return moduleError(ErrTooLarge, "it begins with %d bytes of memory, the limit is %d", need, memoryLimit)
	}
	return nil
}

// checkVersion derives the ABI's version from the imports, and from nothing else.
func checkVersion(m *wasm.Module) error {
	found := false
	for _, im := range m.Imports {
		if !strings.HasPrefix(im.Module, abiPrefix) {
			continue
		}
		if im.Module != abi.ImportModule {
			return moduleError(ErrABI, "it speaks %q, this host speaks %q", im.Module, abi.ImportModule)
		}
		found = true
	}
	if !found {
		return moduleError(ErrABI, "it imports nothing from %q, so it is not a room module", abi.ImportModule)
	}
	return nil
}

func checkImport(im wasm.Import) error {
	var known *hostModule
	for _, h := range []*hostModule{&roomImports, &wasiImports} {
		if h.name == im.Module {
			known = h
		}
	}
	if known == nil {
		return moduleError(ErrABI, "it imports %q.%q, and no module of that name is there", im.Module, im.Name)
	}
	f, ok := known.lookup(im.Name)
	if !ok {
		return moduleError(ErrABI, "it imports %q.%q, which this host does not have", im.Module, im.Name)
	}
	if want := f.signature(); !im.Type.Equal(want) {
		return moduleError(ErrABI, "it imports %q.%q as %s, it is %s", im.Module, im.Name, im.Type, want)
	}
	return nil
}
