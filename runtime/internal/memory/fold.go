package memory

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// A fold is what a memory has that its image has not: a room that waits for its next
// event needs no more than that. It is only as long as the bytes that differ, while a
// view takes whole pages, of which a room of a Go guest changes a few bytes each.
//
// Layout: the memory's length in units of [PageSize], the number of globals and each of
// them, and then, up to the end, runs: how many bytes are as in the image, how many follow
// that differ, and these. All integers are uvarints.

// ErrFold: the bytes are no fold of this image.
var ErrFold = errors.New("not a fold of this memory image")

// minGap is how many equal bytes end a run of different ones: a new run costs two or
// three.
const minGap = 4

// Fold returns what m has that its image has not. m stays as it is.
func (m *Memory) Fold() []byte {
	im := m.image
	b := make([]byte, 0, 16<<10)
	b = binary.AppendUvarint(b, uint64(len(m.bytes)/PageSize))
	b = binary.AppendUvarint(b, uint64(len(m.Globals)))
	for _, g := range m.Globals {
		b = binary.AppendUvarint(b, g)
	}
	f := folder{b: b, bytes: m.bytes, image: im.bytes}
	im.backing.changed(m.bytes, f.span)
	return append(make([]byte, 0, len(f.b)), f.b...)
}

// folder appends runs.
type folder struct {
	b     []byte
	bytes []byte
	image []byte
	last  int // end of the last run
}

// span appends the runs of a range of bytes in which some differ.
func (f *folder) span(from, to int) {
	for from < to {
		at := from + f.equal(from, to)
		if at >= to {
			return
		}
		end, equal := at, 0
		for i := at; i < to && equal < minGap; i++ {
			if f.bytes[i] == f.original(i) {
				equal++
			} else {
				end, equal = i+1, 0
			}
		}
		f.b = binary.AppendUvarint(f.b, uint64(at-f.last))
		f.b = binary.AppendUvarint(f.b, uint64(end-at))
		f.b = append(f.b, f.bytes[at:end]...)
		f.last, from = end, end
	}
}

// original returns a byte of the image, which reads as zero behind its end.
func (f *folder) original(i int) byte {
	if i < len(f.image) {
		return f.image[i]
	}
	return 0
}

// equal returns how many bytes from a place on are as in the image.
func (f *folder) equal(from, to int) int {
	i := from
	for i < to {
		// Eight at a time, but not across the end of the image.
		if i+8 <= to && (i+8 <= len(f.image) || i >= len(f.image)) {
			var o uint64
			if i < len(f.image) {
				o = binary.LittleEndian.Uint64(f.image[i:])
			}
			if x := binary.LittleEndian.Uint64(f.bytes[i:]) ^ o; x != 0 {
				return i - from + bits.TrailingZeros64(x)/8
			}
			i += 8
			continue
		}
		if f.bytes[i] != f.original(i) {
			break
		}
		i++
	}
	return i - from
}

// Unfold returns a view with the bytes and globals of a fold.
func (im *Image) Unfold(fold []byte) (*Memory, error) {
	m, err := im.New()
	if err != nil {
		return nil, err
	}
	if !m.unfold(fold) {
		m.Release()
		return nil, ErrFold
	}
	return m, nil
}

func (m *Memory) unfold(b []byte) bool {
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 1 << 63
		}
		b = b[n:]
		return v
	}
	pages, globals := next(), next()
	if globals != uint64(len(m.Globals)) || pages > 1<<16 || pages*PageSize < uint64(len(m.bytes)) || !m.grow(pages*PageSize) {
		return false
	}
	for i := range m.Globals {
		m.Globals[i] = next()
	}
	at := uint64(0)
	for len(b) > 0 {
		skip, n := next(), next()
		if skip > uint64(len(m.bytes))-at || n > uint64(len(b)) || n > uint64(len(m.bytes))-at-skip {
			return false
		}
		at += skip
		copy(m.bytes[at:], b[:n])
		at += n
		b = b[n:]
	}
	return true
}
