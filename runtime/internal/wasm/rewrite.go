package wasm

import (
	"strconv"
	"strings"
)

// privatePrefix begins the names of the exports that [Module.Rewrite] adds. A module
// that uses it is refused.
const privatePrefix = "\x00oriel."

// Names of the exports that [Module.Rewrite] adds.
const (
	// FuelExport is a mutable i64. Code ends as unreachable when it sinks below zero.
	FuelExport = privatePrefix + "fuel"
	// StartExport is what was the start section's function; it is there only if there
	// was one.
	StartExport = privatePrefix + "start"
)

// GlobalExport returns the name under which the i-th mutable global is exported,
// counted among the mutable ones.
func GlobalExport(i int) string { return privatePrefix + "global." + strconv.Itoa(i) }

// RewriteOptions are the settings of [Module.Rewrite].
type RewriteOptions struct {
	// MaxPages becomes the memory's declared maximum.
	MaxPages uint32
	// Ask makes code whose fuel is below zero ask for a page of memory first, which a host that
	// hands out fuel in slices refuses and takes as a question. The code ends if the fuel is still
	// below zero then.
	Ask bool
	// KeepNames keeps the name section, for stack traces. All other custom sections go.
	KeepNames bool
	// StripData leaves the data out where that is possible: the host writes it with
	// [Module.InitMemory]. Otherwise neighboring segments are merged, where that is possible.
	StripData bool
}

// Stats counts what [Module.Rewrite] did.
type Stats struct {
	Functions int // functions with a body
	Loops     int // loops with a charge
	Payments  int // payments of a fixed amount, those of loops among them
	Checks    int // checks of what is left, those of loops among them
	Bulk      int // bulk operations charged by bytes
	Globals   int // mutable globals that were exported, without the fuel
}

// Rewrite returns the binary of the module with fuel inside, its mutable globals
// exported, its memory bounded, and no start section. The error is an *[Error].
func (m *Module) Rewrite(o RewriteOptions) ([]byte, Stats, error) {
	for name := range m.Exports {
		if strings.HasPrefix(name, privatePrefix) {
			return nil, Stats{}, &Error{Reason: "an export's name begins with " + strconv.Quote(privatePrefix), Offset: -1, Err: ErrUnsupported}
		}
	}
	fuel := m.fuelGlobal()
	code, stats, err := m.meterCode(o)
	if err != nil {
		return nil, Stats{}, err
	}
	size := len(code) + 4096
	for _, s := range m.sections {
		size += len(s.body)
	}
	out := append(make([]byte, 0, size), "\x00asm\x01\x00\x00\x00"...)
	globals, exports := false, false
	for _, s := range m.sections {
		body := s.body
		order := 0
		if s.id != sectionCustom {
			order = sectionOrder[s.id]
		}
		if !globals && order >= sectionOrder[sectionGlobal] {
			out = appendSection(out, sectionGlobal, m.rewriteGlobals())
			globals = true
		}
		if !exports && order >= sectionOrder[sectionExport] {
			exports = true
			var b []byte
			b, stats.Globals = m.rewriteExports(fuel)
			out = appendSection(out, sectionExport, b)
		}
		switch s.id {
		case sectionGlobal, sectionExport, sectionStart:
			continue
		case sectionCustom:
			if !o.KeepNames || !isNameSection(body) {
				continue
			}
			if body = functionNames(body); body == nil {
				continue
			}
		case sectionData:
			if m.movable() && o.StripData {
				continue
			} else if m.movable() {
				body = m.mergedData()
			}
		case sectionType:
			if len(m.funcs) == 0 {
				break
			}
			body = append(appendItem(body, len(m.types)), 0x60, 0, 0)
		case sectionFunction:
			if len(m.funcs) == 0 {
				break
			}
			body = appendU32(appendItem(body, len(m.funcs)), uint32(len(m.types)))
		case sectionMemory:
			body = m.rewriteMemory(o.MaxPages)
		case sectionCode:
			body = code
		}
		out = appendSection(out, s.id, body)
	}
	return out, stats, nil
}

// fuelGlobal is the index of the fuel, behind the module's own globals; asker that of the asker,
// behind its functions.
func (m *Module) fuelGlobal() uint32 { return uint32(len(m.globals)) }

func (m *Module) asker() uint32 { return uint32(len(m.Imports) + len(m.funcs)) }

// appendItem returns the body of a section of n items, that counts one more.
func appendItem(body []byte, n int) []byte {
	return append(appendU32(make([]byte, 0, len(body)+16), uint32(n)+1), afterCount(body)...)
}

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(body))), body...)
}

func isNameSection(body []byte) bool { return strings.HasPrefix(string(body), "\x04name") }

func (m *Module) rewriteMemory(maxPages uint32) []byte {
	if !m.HasMemory {
		return []byte{0}
	}
	b := appendU32([]byte{1, 1}, m.MinPages)
	return appendU32(b, maxPages)
}

// rewriteGlobals appends the fuel, so that the indexes of all others stay.
func (m *Module) rewriteGlobals() []byte {
	b := appendU32(nil, uint32(len(m.globals))+1)
	for _, s := range m.sections {
		if s.id == sectionGlobal {
			b = append(b, afterCount(s.body)...)
		}
	}
	return append(b, byte(I64), 1, opI64Const, 0, opEnd)
}

func (m *Module) rewriteExports(fuel uint32) (b []byte, globals int) {
	for i, g := range m.globals {
		if g.mutable {
			b = appendU32(append(appendName(b, GlobalExport(globals)), byte(ExportGlobal)), uint32(i))
			globals++
		}
	}
	b = appendU32(append(appendName(b, FuelExport), byte(ExportGlobal)), fuel)
	n := uint32(len(m.Exports) + globals + 1)
	if m.start >= 0 {
		b = appendU32(append(appendName(b, StartExport), byte(ExportFunc)), uint32(m.start))
		n++
	}
	out := appendU32(nil, n)
	for _, s := range m.sections {
		if s.id == sectionExport {
			out = append(out, afterCount(s.body)...)
		}
	}
	return append(out, b...), globals
}

// afterCount returns the items of a section that was parsed already.
func afterCount(body []byte) []byte {
	r := newReader(body)
	r.u32()
	return body[r.at:]
}
