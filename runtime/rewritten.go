package runtime

import "encoding/binary"

// A rewritten module is kept, because reading, checking and rewriting 4 MB takes a fifth of a start from
// the cache. Its body is
//
//	globals:u32 limit:u64 module
var rewrittenModule = kept{what: "oriel rewritten ", version: 5, suffix: "wasm"}

const rewrittenHead = 12

// readRewritten returns the module that an earlier start has rewritten, nil if there is none.
func (m *Module) readRewritten() []byte {
	b := rewrittenModule.read(m)
	if len(b) < rewrittenHead {
		return nil
	}
	m.globals = int(binary.LittleEndian.Uint32(b))
	m.limit = binary.LittleEndian.Uint64(b[4:])
	return b[rewrittenHead:]
}

func (m *Module) writeRewritten(module []byte) {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, rewrittenHead+len(module)), uint32(m.globals))
	b = binary.LittleEndian.AppendUint64(b, m.limit)
	rewrittenModule.write(m, append(b, module...))
}
