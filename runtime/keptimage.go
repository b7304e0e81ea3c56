package runtime

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
)

// The image of a module is kept, with its manifest, so that the next process need not start the module
// and let it rehearse. Its body is
//
//	globals:u32 pages:u32 manifest:u32 manifest, the globals as u64, and then
//	at:u32 n:u32 and n blocks of 4 KiB, wherever the memory is not zero
//
// It rises in version with every change of what a module sees while it starts. How old it may get bounds
// how long the randomness in it is used: see RATIONALE.
var keptImage = kept{what: "oriel image     ", version: 2, suffix: "image", age: imageAge}

const imageAge = 7 * 24 * time.Hour

const imageBlock = 4096

// An imageFile is what is kept of a module that has started.
type imageFile struct {
	manifest []byte
	globals  []uint64
	memory   []byte
}

func (f *imageFile) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, len(f.memory)+len(f.manifest)+8*len(f.globals)+64)
	b = le.AppendUint32(b, uint32(len(f.globals)))
	b = le.AppendUint32(b, uint32(len(f.memory)/memory.PageSize))
	b = le.AppendUint32(b, uint32(len(f.manifest)))
	b = append(b, f.manifest...)
	for _, g := range f.globals {
		b = le.AppendUint64(b, g)
	}
	var zero [imageBlock]byte
	for at := 0; at < len(f.memory); at += imageBlock {
		end := at
		for end < len(f.memory) && !bytes.Equal(f.memory[end:end+imageBlock], zero[:]) {
			end += imageBlock
		}
		if end > at {
			b = le.AppendUint32(le.AppendUint32(b, uint32(at/imageBlock)), uint32((end-at)/imageBlock))
			b = append(b, f.memory[at:end]...)
			at = end
		}
	}
	return b
}

// decodeImage returns nil if b is no image of a memory of at most limit bytes.
func decodeImage(b []byte, limit uint64) *imageFile {
	le := binary.LittleEndian
	if len(b) < 12 {
		return nil
	}
	globals, size, manifest := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:]))*memory.PageSize, uint64(le.Uint32(b[8:]))
	b = b[12:]
	if size > limit || manifest+8*globals > uint64(len(b)) {
		return nil
	}
	f := &imageFile{manifest: b[:manifest], globals: make([]uint64, globals), memory: make([]byte, size)}
	b = b[manifest:]
	for i := range f.globals {
		f.globals[i], b = le.Uint64(b), b[8:]
	}
	for len(b) > 0 {
		if len(b) < 8 {
			return nil
		}
		at, n := uint64(le.Uint32(b))*imageBlock, uint64(le.Uint32(b[4:]))*imageBlock
		if b = b[8:]; n > uint64(len(b)) || at+n > size {
			return nil
		}
		copy(f.memory[at:], b[:n])
		b = b[n:]
	}
	return f
}

// A keptStart is what an earlier start came to.
type keptStart struct {
	manifest *abi.Manifest
	image    *memory.Image
}

// readImage returns nil if there is no image that can be used.
func (m *Module) readImage() *keptStart {
	if m.runtime.options.WarmUp != nil {
		return nil // what it gives may be different today
	}
	f := decodeImage(keptImage.read(m), m.limit)
	if f == nil || len(f.globals) != m.globals {
		return nil
	}
	manifest, err := abi.DecodeManifest(f.manifest)
	if err != nil {
		return nil
	}
	image, err := m.newImage(f.memory, f.globals)
	if err != nil {
		return nil
	}
	return &keptStart{manifest: manifest, image: image}
}

func (m *Module) writeImage(manifest, bytes []byte, globals []uint64) {
	if m.runtime.options.WarmUp == nil && m.runtime.options.CacheDir != "" {
		keptImage.write(m, (&imageFile{manifest: manifest, globals: globals, memory: bytes}).encode())
	}
}

// drop gives back what nobody takes up.
func (k *keptStart) drop() {
	if k != nil {
		_ = k.image.Close() // the file's data is gone anyway
	}
}
