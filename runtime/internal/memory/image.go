package memory

import (
	"errors"
	"fmt"
	"sync"
)

// PageSize is the unit in which a linear memory grows, in bytes.
const PageSize = 65536

// maxFree bounds the released views that an image keeps for the next room.
const maxFree = 1024

// ErrClosed is returned by an image that is closed.
var ErrClosed = errors.New("the memory image is closed")

// backing makes the bytes of views: copy-on-write mappings or plain copies.
type backing interface {
	// alloc returns a view of the image: its length is what can be used now, its
	// capacity how far it can grow in place.
	alloc() ([]byte, error)
	// reset makes a view what alloc returned, or returns false if it cannot be used again.
	reset(view []byte) ([]byte, bool)
	// changed calls span with ranges of a view, in order, outside of which it is as the
	// image, or zero behind its end.
	changed(view []byte, span func(from, to int))
	// free gives a view back to the system.
	free(view []byte)
	// close gives the image back. No view is left.
	close() error
}

// Options are the settings of an image.
type Options struct {
	// Limit is how far a view may grow, in bytes: a multiple of [PageSize].
	Limit uint64
	// Plain asks for plain copies where copy-on-write is at hand too.
	Plain bool
	// Budget bounds the mappings of all images that share it; nil means no bound but the
	// system's.
	Budget *Budget
}

// An Image is the memory and the globals with which every room of a module begins.
// Its methods may be called from many goroutines.
type Image struct {
	limit   uint64
	bytes   []byte // what a view begins with; not changed
	globals []uint64
	backing backing
	cow     bool

	mu     sync.Mutex // guards free, views, closed
	free   []*Memory
	views  int
	closed bool
}

// NewImage makes an image of the bytes of a memory and the values of its mutable
// globals. Both are copied.
func NewImage(bytes []byte, globals []uint64, o Options) (*Image, error) {
	if uint64(len(bytes)) > o.Limit || len(bytes)%PageSize != 0 || o.Limit%PageSize != 0 {
		return nil, fmt.Errorf("an image of %d bytes under a limit of %d", len(bytes), o.Limit)
	}
	im := &Image{limit: o.Limit, bytes: append([]byte(nil), bytes...), globals: append([]uint64(nil), globals...)}
	if !o.Plain {
		b, err := newCopyOnWrite(bytes, o.Limit, o.Budget)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return nil, err
		}
		if err == nil {
			im.backing, im.cow = b, true
			return im, nil
		}
	}
	im.backing = newPlain(im.bytes)
	return im, nil
}

// Size returns the length of the image in bytes.
func (im *Image) Size() int { return len(im.bytes) }

// CopyOnWrite reports whether views share the pages that they do not change.
func (im *Image) CopyOnWrite() bool { return im.cow }

// Views returns the number of views that are in use.
func (im *Image) Views() int {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.views
}

// New returns a view that begins as the image. The error says so if the system has no
// mapping left.
func (im *Image) New() (*Memory, error) {
	im.mu.Lock()
	if im.closed {
		im.mu.Unlock()
		return nil, ErrClosed
	}
	im.views++
	if n := len(im.free); n > 0 {
		m := im.free[n-1]
		im.free[n-1] = nil
		im.free = im.free[:n-1]
		im.mu.Unlock()
		copy(m.Globals, im.globals)
		return m, nil
	}
	im.mu.Unlock()
	view, err := im.backing.alloc()
	if err != nil {
		im.mu.Lock()
		im.views--
		im.mu.Unlock()
		return nil, err
	}
	return &Memory{image: im, bytes: view, Globals: append([]uint64(nil), im.globals...)}, nil
}

func (im *Image) release(m *Memory) {
	view, ok := im.backing.reset(m.bytes)
	im.mu.Lock()
	im.views--
	if ok && !im.closed && len(im.free) < maxFree {
		m.bytes = view
		im.free = append(im.free, m)
		im.mu.Unlock()
		return
	}
	im.mu.Unlock()
	if view == nil {
		view = m.bytes
	}
	im.backing.free(view)
	m.bytes = nil
}

// Close gives the image back. Views that are still in use keep their bytes until they
// are released.
func (im *Image) Close() error {
	im.mu.Lock()
	if im.closed {
		im.mu.Unlock()
		return nil
	}
	im.closed = true
	free := im.free
	im.free = nil
	im.mu.Unlock()
	for _, m := range free {
		im.backing.free(m.bytes)
	}
	return im.backing.close()
}

// A Memory is one room's memory and the values of its globals while it does not run.
// It is not safe for concurrent use. The zero value, from [New], belongs to no image: it
// is a plain memory that starts empty.
type Memory struct {
	// Globals are the values of the mutable globals, in their order.
	Globals []uint64

	image *Image
	bytes []byte
	limit uint64 // without an image
}

// NewPlain returns an empty memory of no image that can grow to limit bytes.
func NewPlain(limit uint64) *Memory { return &Memory{limit: limit} }

// Bytes returns what the room can address now.
func (m *Memory) Bytes() []byte { return m.bytes }

// Save returns a function that puts back the bytes and globals of now.
func (m *Memory) Save() (restore func()) {
	bytes, globals := append([]byte(nil), m.bytes...), append([]uint64(nil), m.Globals...)
	return func() {
		clear(m.bytes)
		m.bytes = m.bytes[:copy(m.bytes, bytes)]
		copy(m.Globals, globals)
	}
}

// grow makes the memory size bytes long, or returns false if that is above the limit.
func (m *Memory) grow(size uint64) bool {
	limit := m.limit
	if m.image != nil {
		limit = m.image.limit
	}
	if size > limit {
		return false
	}
	if size <= uint64(cap(m.bytes)) {
		m.bytes = m.bytes[:size]
		return true
	}
	// A plain copy moves; doubling keeps the cost of many small steps linear.
	bigger := make([]byte, size, min(limit, max(size, 2*uint64(cap(m.bytes)))))
	copy(bigger, m.bytes)
	m.bytes = bigger
	return true
}

// Release gives the memory back to its image for the next room. It must not be used
// any more, and no [Slot] may hold it.
func (m *Memory) Release() {
	if m.image != nil {
		m.image.release(m)
	}
}
