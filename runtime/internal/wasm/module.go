package wasm

import "strings"

// PageSize is the unit of a memory's size, in bytes.
const PageSize = 65536

// A ValueType is a WebAssembly value type.
type ValueType byte

// The value types.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// String returns the text form, such as "i32".
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown"
}

// A FuncType is the signature of a function.
type FuncType struct{ Params, Results []ValueType }

// String returns a form such as "(i32, i32) -> i64".
func (t FuncType) String() string {
	list := func(ts []ValueType) string {
		s := make([]string, len(ts))
		for i, v := range ts {
			s[i] = v.String()
		}
		return strings.Join(s, ", ")
	}
	s := "(" + list(t.Params) + ")"
	switch len(t.Results) {
	case 0:
		return s
	case 1:
		return s + " -> " + t.Results[0].String()
	}
	return s + " -> (" + list(t.Results) + ")"
}

// Equal reports whether both signatures are the same.
func (t FuncType) Equal(o FuncType) bool {
	return string(valueBytes(t.Params)) == string(valueBytes(o.Params)) &&
		string(valueBytes(t.Results)) == string(valueBytes(o.Results))
}

func valueBytes(ts []ValueType) []byte {
	b := make([]byte, len(ts))
	for i, t := range ts {
		b[i] = byte(t)
	}
	return b
}

// An Import is an imported function. Nothing else can be imported.
type Import struct {
	Module, Name string
	Type         FuncType
}

// ExportKind says what an export names.
type ExportKind byte

// The kinds of exports.
const (
	ExportFunc   ExportKind = 0
	ExportTable  ExportKind = 1
	ExportMemory ExportKind = 2
	ExportGlobal ExportKind = 3
)

// An Export names something of the module.
type Export struct {
	Kind  ExportKind
	Index uint32
}

type global struct {
	valueType ValueType
	mutable   bool
}

// section is a section as it was read.
type section struct {
	id   byte
	body []byte // without id and length
	at   int    // offset of body in the binary
}

// A Module is a parsed module.
type Module struct {
	// Imports are in the order of their function indexes.
	Imports []Import
	// Exports by name.
	Exports map[string]Export
	// MinPages is the size of the memory at the start, MaxPages its declared maximum or
	// 65536. HasMemory is false if the module defines none.
	HasMemory          bool
	MinPages, MaxPages uint32

	types   []FuncType
	funcs   []uint32 // type of each function that the module defines
	globals []global
	// hostInTable says that an indirect call may be one of the host.
	hostInTable bool
	start       int64         // index of the start function, or -1
	data        []dataSegment // nil if they cannot be treated alike; see parseData
	sections    []section
	code        int // index in sections of the code section, or -1
}

// FuncType returns the signature of function index, imported or not.
func (m *Module) FuncType(index uint32) (FuncType, bool) {
	if uint64(index) < uint64(len(m.Imports)) {
		return m.Imports[index].Type, true
	}
	i := uint64(index) - uint64(len(m.Imports))
	if i >= uint64(len(m.funcs)) {
		return FuncType{}, false
	}
	return m.types[m.funcs[i]], true
}

// HasStart reports whether the module has a start section.
func (m *Module) HasStart() bool { return m.start >= 0 }

// StartFunction returns the index of the start section's function. HasStart must be
// true.
func (m *Module) StartFunction() uint32 { return uint32(m.start) }
