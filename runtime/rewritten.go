package runtime

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// A rewritten module is kept beside wazero's compiled code, because reading, checking and rewriting
// 4 MB takes a fifth of a start from the cache. What is in [Options.CacheDir] is trusted, as
// the compiled code there is; a file that is damaged or of another version is made anew.
//
//	"oriel rewritten " version:u32 globals:u32 limit:u64 crc32c:u32 module
const (
	rewrittenMagic   = "oriel rewritten "
	rewrittenVersion = 3 // rises with every change of what wasm.Rewrite or checkABI do
	rewrittenHead    = len(rewrittenMagic) + 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// rewrittenPath is "" if there is no cache.
func (m *Module) rewrittenPath() string {
	dir := m.runtime.options.CacheDir
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("oriel-%s-%d-v%d.wasm", hex.EncodeToString(m.hash[:]), m.runtime.options.MemoryLimit, rewrittenVersion))
}

// readRewritten returns the module that an earlier start has rewritten, nil if there is none.
func (m *Module) readRewritten() []byte {
	path := m.rewrittenPath()
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil || len(b) < rewrittenHead || string(b[:len(rewrittenMagic)]) != rewrittenMagic {
		return nil
	}
	head, module := b[len(rewrittenMagic):rewrittenHead], b[rewrittenHead:]
	if binary.LittleEndian.Uint32(head) != rewrittenVersion || binary.LittleEndian.Uint32(head[16:]) != crc32.Checksum(module, castagnoli) {
		return nil
	}
	m.globals = int(binary.LittleEndian.Uint32(head[4:]))
	m.limit = binary.LittleEndian.Uint64(head[8:])
	return module
}

// writeRewritten keeps a rewritten module. A cache that cannot be written makes starts slower, and
// nothing else.
func (m *Module) writeRewritten(module []byte) {
	path := m.rewrittenPath()
	if path == "" {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".oriel-*")
	if err != nil {
		return
	}
	head := []byte(rewrittenMagic)
	head = binary.LittleEndian.AppendUint32(head, rewrittenVersion)
	head = binary.LittleEndian.AppendUint32(head, uint32(m.globals))
	head = binary.LittleEndian.AppendUint64(head, m.limit)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(module, castagnoli))
	_, err = f.Write(append(head, module...))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path) // whole, or not at all
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}
