package wasm

// parseTables reads the sizes of the tables; nothing else of them matters here.
func (m *Module) parseTables(r *reader) {
	var all uint64
	for range r.vector("tables", maxTables) {
		r.checkValueType(r.byte())
		flags := r.byte()
		if r.err == nil && flags > 1 {
			r.unsupported("table flags %#x", flags)
		}
		all += uint64(r.u32())
		if flags == 1 {
			r.u32()
		}
		if all > maxTableSize {
			r.unsupported("tables of %d entries, at most %d", all, maxTableSize)
		}
		if r.err != nil {
			return
		}
	}
}

// skipElements reads the element segments, WebAssembly Core 2.0, section 5.5.12. It reports whether
// there may be one of the first functions, which are imports.
func (r *reader) skipElements(imports int) (host bool) {
	for range r.vector("element segments", maxSegments) {
		flags := r.u32()
		if r.err == nil && flags > 7 {
			r.unsupported("element segment flags %#x", flags)
		}
		passive, explicit, expressions := flags&1 != 0, flags&2 != 0, flags&4 != 0
		if !passive {
			if explicit {
				r.u32() // table
			}
			r.skipConstant()
		}
		if passive || explicit {
			if kind := r.byte(); expressions {
				r.checkValueType(kind)
			} else if r.err == nil && kind != 0 {
				r.unsupported("element kind %d", kind)
			}
		}
		for range r.vector("elements", maxTableSize) {
			if expressions {
				r.skipConstant()
				host = host || imports > 0
			} else if f := r.u32(); int64(f) < int64(imports) {
				host = true
			}
			if r.err != nil {
				return host
			}
		}
		if r.err != nil {
			return host
		}
	}
	return host
}

// functionNames returns a name section with nothing but the names of functions, or nil
// if there are none or they are malformed: names are a comfort.
func functionNames(body []byte) []byte {
	const name, functions = "\x04name", 1
	r := newReader(body)
	r.at = len(name)
	for r.more() {
		id, size := r.byte(), r.u32()
		sub := r.bytes(size)
		if r.err != nil || id != functions {
			continue
		}
		s := newReader(sub)
		for range s.vector("names", maxFunctions) {
			s.u32()
			s.bytes(s.u32())
			if s.err != nil {
				return nil
			}
		}
		if s.at != s.end {
			return nil
		}
		return append(appendU32(append([]byte(name), functions), size), sub...)
	}
	return nil
}
