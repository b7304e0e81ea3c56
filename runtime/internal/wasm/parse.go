package wasm

// Identifiers of sections, WebAssembly Core 2.0, section 5.5.2.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// sectionOrder is the place of each section in a module: the data count comes before
// the code.
var sectionOrder = [...]int{
	sectionType: 1, sectionImport: 2, sectionFunction: 3, sectionTable: 4, sectionMemory: 5,
	sectionGlobal: 6, sectionExport: 7, sectionStart: 8, sectionElement: 9,
	sectionDataCount: 10, sectionCode: 11, sectionData: 12,
}

// Parse reads a module. Strings are copied, sections alias b. The error is an *[Error].
func Parse(b []byte) (*Module, error) {
	r := newReader(b)
	if len(b) < 8 || string(b[:4]) != "\x00asm" {
		return nil, &Error{Reason: "it does not begin with the bytes of a WebAssembly module", Offset: -1, Err: ErrNotWasm}
	}
	if string(b[4:8]) != "\x01\x00\x00\x00" {
		return nil, &Error{Reason: "it is not of binary version 1 (a component?)", Offset: -1, Err: ErrNotWasm}
	}
	r.at = 8
	m := &Module{Exports: map[string]Export{}, start: -1, code: -1, MaxPages: 1 << 16}
	last := 0
	for r.more() {
		id := r.byte()
		size := r.u32()
		at := r.at
		body := r.bytes(size)
		if r.err != nil {
			break
		}
		if id != sectionCustom {
			if int(id) >= len(sectionOrder) {
				r.unsupported("section %d", id)
				break
			}
			if sectionOrder[id] <= last {
				r.fail("section %d is repeated or out of order", id)
				break
			}
			last = sectionOrder[id]
		}
		s := section{id: id, body: body, at: at}
		if id == sectionCode {
			m.code = len(m.sections)
		}
		m.sections = append(m.sections, s)
		sr := &reader{b: b, at: at, end: at + int(size)}
		m.parseSection(id, sr)
		if sr.err != nil {
			return nil, sr.err
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	if m.code < 0 && len(m.funcs) > 0 {
		return nil, &Error{Reason: "functions without code", Offset: -1, Err: ErrNotWasm}
	}
	return m, nil
}

func (m *Module) parseSection(id byte, r *reader) {
	switch id {
	case sectionType:
		m.parseTypes(r)
	case sectionImport:
		m.parseImports(r)
	case sectionFunction:
		m.parseFunctions(r)
	case sectionMemory:
		m.parseMemory(r)
	case sectionGlobal:
		m.parseGlobals(r)
	case sectionExport:
		m.parseExports(r)
	case sectionTable:
		m.parseTables(r)
	case sectionStart:
		m.start = int64(r.u32())
	case sectionElement:
		m.hostInTable = r.skipElements(len(m.Imports))
	case sectionData:
		m.parseData(r)
	case sectionDataCount:
		r.u32()
	default:
		return // code is read when it is rewritten, custom sections are not
	}
	if r.err == nil && r.at != r.end {
		r.fail("section %d has trailing bytes", id)
	}
}

func (m *Module) parseTypes(r *reader) {
	n := r.vector("types", maxTypes)
	m.types = make([]FuncType, 0, n)
	for range n {
		if form := r.byte(); r.err == nil && form != 0x60 {
			r.unsupported("type form %#x", form)
		}
		t := FuncType{Params: r.valueTypes()}
		t.Results = r.valueTypes()
		if r.err != nil {
			return
		}
		m.types = append(m.types, t)
	}
}

func (r *reader) valueTypes() []ValueType {
	b := r.bytes(uint32(r.vector("values", maxParams)))
	if len(b) == 0 {
		return nil
	}
	ts := make([]ValueType, len(b))
	for i, c := range b {
		ts[i] = r.checkValueType(c)
	}
	return ts
}

func (r *reader) checkValueType(c byte) ValueType {
	switch t := ValueType(c); t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t
	}
	r.unsupported("value type %#x", c)
	return 0
}

func (m *Module) parseImports(r *reader) {
	n := r.vector("imports", maxImports)
	for range n {
		module, name := r.name(), r.name()
		kind := r.byte()
		if r.err != nil {
			return
		}
		if kind != byte(ExportFunc) {
			r.unsupported("import %q.%q is not a function", module, name)
			return
		}
		t := r.u32()
		if r.err == nil && uint64(t) >= uint64(len(m.types)) {
			r.fail("import %q.%q has no type", module, name)
		}
		if r.err != nil {
			return
		}
		m.Imports = append(m.Imports, Import{Module: module, Name: name, Type: m.types[t]})
	}
}

func (m *Module) parseFunctions(r *reader) {
	n := r.vector("functions", maxFunctions)
	m.funcs = make([]uint32, 0, n)
	for range n {
		t := r.u32()
		if r.err == nil && uint64(t) >= uint64(len(m.types)) {
			r.fail("function without a type")
		}
		if r.err != nil {
			return
		}
		m.funcs = append(m.funcs, t)
	}
}

func (m *Module) parseMemory(r *reader) {
	n := r.vector("memories", 1<<16)
	if n > 1 {
		r.unsupported("%d memories", n)
	}
	if n == 0 || r.err != nil {
		return
	}
	flags := r.byte()
	switch {
	case r.err != nil:
		return
	case flags&2 != 0:
		r.unsupported("a shared memory (threads)")
	case flags&4 != 0:
		r.unsupported("a 64-bit memory")
	case flags > 1:
		r.unsupported("memory flags %#x", flags)
	}
	m.HasMemory = true
	m.MinPages = r.u32()
	if flags == 1 {
		m.MaxPages = r.u32()
	}
	if r.err == nil && (m.MaxPages > 1<<16 || m.MinPages > m.MaxPages) {
		r.fail("a memory of %d to %d pages", m.MinPages, m.MaxPages)
	}
}

func (m *Module) parseGlobals(r *reader) {
	n := r.vector("globals", maxGlobals)
	for i := range n {
		g := global{valueType: r.checkValueType(r.byte())}
		mut := r.byte()
		if r.err == nil && mut > 1 {
			r.fail("global %d has mutability %d", i, mut)
		}
		g.mutable = mut == 1
		if g.mutable && (g.valueType == V128 || g.valueType == FuncRef || g.valueType == ExternRef) {
			r.unsupported("global %d is a mutable %s, which a swap cannot restore", i, g.valueType)
		}
		r.skipConstant()
		if r.err != nil {
			return
		}
		m.globals = append(m.globals, g)
	}
}

// skipConstant skips a constant expression.
func (r *reader) skipConstant() {
	for r.err == nil {
		switch op := r.byte(); op {
		case opEnd:
			return
		case opI32Const:
			r.skipLEB(32)
		case opI64Const:
			r.skipLEB(64)
		case opF32Const:
			r.bytes(4)
		case opF64Const:
			r.bytes(8)
		case opGlobalGet, opRefFunc:
			r.u32()
		case opRefNull:
			r.skipReference()
		case opSIMD:
			if sub := r.u32(); sub != 12 {
				r.unsupported("vector instruction %d in a constant", sub)
			}
			r.bytes(16)
		default:
			if r.err == nil {
				r.unsupported("instruction %#x in a constant", op)
			}
		}
	}
}

func (m *Module) parseExports(r *reader) {
	n := r.vector("exports", maxExports)
	for range n {
		name := r.name()
		kind, index := r.byte(), r.u32()
		if r.err != nil {
			return
		}
		if kind > byte(ExportGlobal) {
			r.unsupported("export %q of kind %d", name, kind)
			return
		}
		if _, ok := m.Exports[name]; ok {
			r.fail("export %q is repeated", name)
			return
		}
		m.Exports[name] = Export{Kind: ExportKind(kind), Index: index}
	}
}
