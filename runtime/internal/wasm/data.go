package wasm

import (
	"cmp"
	"slices"
)

// Go's linker makes one data segment of every few bytes between zeros: 35,000 in a module of 3 MB. Each is
// read, checked and copied by itself wherever the module is compiled or instantiated, and compresses
// badly.

// dataSegment are bytes that a memory begins with.
type dataSegment struct {
	offset uint32
	bytes  []byte
}

// dataGap is how many zeros are written out rather than to begin another segment: one costs about as
// much, and compresses worse.
const dataGap = 32

// parseData reads the data segments, WebAssembly Core 2.0, section 5.5.14. It keeps them, in the order
// of the memory, if all are active ones at constant offsets that do not overlap.
func (m *Module) parseData(r *reader) {
	n := r.vector("data segments", maxSegments)
	m.data = make([]dataSegment, 0, n)
	simple := true
	for range n {
		flags := r.u32()
		if r.err == nil && flags > 2 {
			r.unsupported("data segment flags %#x", flags)
		}
		if flags == 2 {
			r.u32() // memory
		}
		offset, constant := uint32(0), false
		if flags != 1 {
			offset, constant = r.offset()
		}
		b := r.bytes(r.u32())
		if r.err != nil {
			return
		}
		simple = simple && flags == 0 && constant
		m.data = append(m.data, dataSegment{offset, b})
	}
	slices.SortFunc(m.data, func(a, b dataSegment) int { return cmp.Compare(a.offset, b.offset) })
	for i := 1; i < len(m.data); i++ {
		before := m.data[i-1]
		simple = simple && uint64(before.offset)+uint64(len(before.bytes)) <= uint64(m.data[i].offset)
	}
	if !simple {
		m.data = nil
	}
}

// offset reads a constant expression, and returns its value if it is one number.
func (r *reader) offset() (v uint32, ok bool) {
	at := r.at
	r.skipConstant()
	if r.err != nil || r.b[at] != opI32Const {
		return 0, false
	}
	e := &reader{b: r.b, at: at + 1, end: r.at}
	var bits uint64
	shift := uint(0)
	for {
		c := e.byte()
		bits |= uint64(c&0x7f) << shift
		if shift += 7; c < 0x80 {
			if c&0x40 != 0 && shift < 64 {
				bits |= ^uint64(0) << shift
			}
			break
		}
	}
	return uint32(bits), e.byte() == opEnd && e.err == nil
}

// movable reports whether the data may be put into the memory in another way than by its segments. A
// module that counts them names them in its code.
func (m *Module) movable() bool {
	return len(m.data) > 0 && m.HasMemory && !slices.ContainsFunc(m.sections, func(s section) bool { return s.id == sectionDataCount })
}

// InitMemory writes the data that a rewriting with StripData has left out to a memory that is zero. It
// returns false if some of it lies outside.
func (m *Module) InitMemory(memory []byte) bool {
	if !m.movable() {
		return true
	}
	for _, d := range m.data {
		if uint64(d.offset)+uint64(len(d.bytes)) > uint64(len(memory)) {
			return false
		}
		copy(memory[d.offset:], d.bytes)
	}
	return true
}

// mergedData is the body of a data section with fewer segments.
func (m *Module) mergedData() []byte {
	var merged []dataSegment
	for _, d := range m.data {
		if n := len(merged) - 1; n >= 0 {
			last := &merged[n]
			if gap := uint64(d.offset) - uint64(last.offset) - uint64(len(last.bytes)); gap <= dataGap {
				last.bytes = append(append(last.bytes, make([]byte, gap)...), d.bytes...)
				continue
			}
		}
		merged = append(merged, dataSegment{d.offset, slices.Clone(d.bytes)})
	}
	b := appendU32(nil, uint32(len(merged)))
	for _, d := range merged {
		b = appendS64(append(b, 0, opI32Const), int64(int32(d.offset)))
		b = append(appendU32(append(b, opEnd), uint32(len(d.bytes))), d.bytes...)
	}
	return b
}
