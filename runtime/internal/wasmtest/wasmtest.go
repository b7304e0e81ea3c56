// Package wasmtest assembles small WebAssembly modules for tests: what no compiler
// would produce. It checks nothing. Nothing but tests imports it.
//
// Lifecycle: fill a [Module], call [Module.Bytes].
package wasmtest

// Value types.
const (
	I32 = 0x7f
	I64 = 0x7e
)

// A Type is a signature.
type Type struct{ Params, Results []byte }

// An Import is an imported function.
type Import struct {
	Module, Name string
	Type         Type
}

// A Function is a function with a body, exported if Export is not empty.
type Function struct {
	Export string
	Type   Type
	// Locals are the types of the locals, in groups of one.
	Locals []byte
	// Body holds the instructions, without the last end.
	Body []byte
}

// A Module is what to assemble. Functions are numbered after the imports.
type Module struct {
	Imports   []Import
	Functions []Function
	// Memory is the memory section's body, such as [Pages](1); nil for no memory.
	Memory []byte
	// NoExport leaves the export of the memory out.
	NoExport bool
	// Table is the size of a table of functions; 0 for none. It holds the first functions.
	Table uint32
	// Globals are the bodies of globals: type, mutability, constant expression with end.
	Globals [][]byte
	// Start is the start function's index plus one; 0 for none.
	Start uint32
	// Data is put at address DataAt when the module is instantiated.
	Data   []byte
	DataAt uint32
	// Passive is a passive data segment, the first one.
	Passive []byte
	// Extra is appended as it is.
	Extra []byte
}

// Pages returns the body of a memory section with a least size and no maximum.
func Pages(n uint32) []byte { return U32([]byte{1, 0}, n) }

// U32 appends v as an unsigned LEB128 integer.
func U32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// S64 appends v as a signed LEB128 integer.
func S64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// Const32 and Const64 return an instruction that pushes v.
func Const32(v int32) []byte { return S64([]byte{0x41}, int64(v)) }

// Const64 returns an instruction that pushes v.
func Const64(v int64) []byte { return S64([]byte{0x42}, v) }

// Join returns the instructions one after another.
func Join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func name(b []byte, s string) []byte { return append(U32(b, uint32(len(s))), s...) }

func section(b []byte, id byte, items int, body []byte) []byte {
	body = append(U32(nil, uint32(items)), body...)
	return append(U32(append(b, id), uint32(len(body))), body...)
}

func (t Type) encode() []byte {
	b := append(U32([]byte{0x60}, uint32(len(t.Params))), t.Params...)
	return append(U32(b, uint32(len(t.Results))), t.Results...)
}

// Bytes returns the binary.
func (m *Module) Bytes() []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	var types, imports, functions, exports, code []byte
	for i, im := range m.Imports {
		types = append(types, im.Type.encode()...)
		imports = append(name(name(imports, im.Module), im.Name), 0)
		imports = U32(imports, uint32(i))
	}
	exported := 0
	for i, f := range m.Functions {
		types = append(types, f.Type.encode()...)
		index := uint32(len(m.Imports) + i)
		functions = U32(functions, index)
		if f.Export != "" {
			exports = U32(append(name(exports, f.Export), 0), index)
			exported++
		}
		body := U32(nil, uint32(len(f.Locals)))
		for _, t := range f.Locals {
			body = append(body, 1, t)
		}
		body = append(append(body, f.Body...), 0x0b)
		code = append(U32(code, uint32(len(body))), body...)
	}
	if m.Memory != nil && !m.NoExport {
		exports = append(name(exports, "memory"), 2, 0)
		exported++
	}
	n := len(m.Imports) + len(m.Functions)
	b = section(b, 1, n, types)
	b = section(b, 2, len(m.Imports), imports)
	b = section(b, 3, len(m.Functions), functions)
	if m.Table > 0 {
		b = section(b, 4, 1, U32([]byte{0x70, 0}, m.Table))
	}
	if m.Memory != nil {
		b = append(U32(append(b, 5), uint32(len(m.Memory))), m.Memory...)
	}
	if len(m.Globals) > 0 {
		b = section(b, 6, len(m.Globals), Join(m.Globals...))
	}
	b = section(b, 7, exported, exports)
	if m.Start > 0 {
		start := U32(nil, m.Start-1)
		b = append(U32(append(b, 8), uint32(len(start))), start...)
	}
	if m.Table > 0 {
		elements := U32([]byte{0, 0x41, 0, 0x0b}, m.Table)
		for i := range m.Table {
			elements = U32(elements, i)
		}
		b = section(b, 9, 1, elements)
	}
	segments := 0
	var data []byte
	if m.Passive != nil {
		data = append(U32(append(data, 1), uint32(len(m.Passive))), m.Passive...)
		segments++
	}
	if m.Data != nil {
		data = append(append(append(data, 0), Const32(int32(m.DataAt))...), 0x0b)
		data = append(U32(data, uint32(len(m.Data))), m.Data...)
		segments++
	}
	if segments > 0 {
		b = append(b, 12, 1, byte(segments))
	}
	b = section(b, 10, len(m.Functions), code)
	if segments > 0 {
		b = section(b, 11, segments, data)
	}
	return append(b, m.Extra...)
}
