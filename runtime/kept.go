package runtime

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// What a start works out is kept beside wazero's compiled code, in files of
//
//	what:16 bytes version:u32 crc32c:u32 body
//
// the sum being that of the body. What is in [Options.CacheDir] is trusted, as the compiled code there
// is; a file that is damaged, cut, old or of another version is made anew. A cache that cannot be
// written makes starts slower, and nothing else.
type kept struct {
	what    string // 16 bytes
	version uint32 // rises with every change of what is kept
	suffix  string
	age     time.Duration // for how long it is good; 0: for ever
}

const keptHead = 16 + 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// path is "" if there is no cache.
func (k *kept) path(m *Module) string {
	o := &m.runtime.options
	if o.CacheDir == "" {
		return ""
	}
	return filepath.Join(o.CacheDir, fmt.Sprintf("oriel-%s-%d-v%d.%s", hex.EncodeToString(m.hash[:]), o.MemoryLimit, k.version, k.suffix))
}

// read returns the body of a module's file, nil if there is none that can be used.
func (k *kept) read(m *Module) []byte {
	path := k.path(m)
	if path == "" {
		return nil
	}
	b, err := readFresh(path, k.age)
	if err != nil || len(b) < keptHead || string(b[:16]) != k.what || binary.LittleEndian.Uint32(b[16:]) != k.version {
		return nil
	}
	body := b[keptHead:]
	if binary.LittleEndian.Uint32(b[20:]) != crc32.Checksum(body, castagnoli) {
		return nil
	}
	return body
}

// readFresh reads a file that is not older than age, if age is not zero.
func readFresh(path string, age time.Duration) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if age > 0 && time.Since(info.ModTime()) > age {
		return nil, os.ErrNotExist
	}
	b := make([]byte, info.Size())
	_, err = io.ReadFull(f, b)
	return b, err
}

// write keeps a body, whole or not at all.
func (k *kept) write(m *Module, body []byte) {
	path := k.path(m)
	if path == "" {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".oriel-*")
	if err != nil {
		return
	}
	head := binary.LittleEndian.AppendUint32([]byte(k.what), k.version)
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(body, castagnoli))
	_, err = f.Write(head)
	if err == nil {
		_, err = f.Write(body)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
}
