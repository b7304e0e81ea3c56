package memory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// copyOnWrite makes views by mapping a memory file privately. Each view is one mapping
// of the whole limit, so that it never moves; what lies beyond the image reads as zero.
type copyOnWrite struct {
	size   int
	limit  uintptr
	budget *Budget

	mu sync.RWMutex // guards fd against close
	fd int          // -1 after close
}

// osPage is the unit of comparing and writing the image; a larger page of the system
// does no harm.
const osPage = 4096

func newCopyOnWrite(image []byte, limit uint64, budget *Budget) (*copyOnWrite, error) {
	fd, err := unix.MemfdCreate("oriel-image", unix.MFD_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("%w: memfd_create: %v", errors.ErrUnsupported, err)
	} else if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	c := &copyOnWrite{size: len(image), limit: uintptr(limit), budget: budget, fd: fd}
	if err := c.fill(image); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// fill writes the pages that are not zero: the others stay holes and cost nothing.
func (c *copyOnWrite) fill(image []byte) error {
	if err := unix.Ftruncate(c.fd, int64(c.limit)); err != nil {
		return fmt.Errorf("sizing the memory image: %w", err)
	}
	var zero [osPage]byte
	for at := 0; at < len(image); {
		end := at
		for end < len(image) && !bytes.Equal(image[end:end+osPage], zero[:]) {
			end += osPage
		}
		for at < end {
			n, err := unix.Pwrite(c.fd, image[at:end], int64(at))
			if err != nil {
				return fmt.Errorf("writing the memory image: %w", err)
			}
			at += n
		}
		at += osPage
	}
	return nil
}

func (c *copyOnWrite) alloc() ([]byte, error) {
	if c.limit == 0 {
		return []byte{}, nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.fd < 0 {
		return nil, ErrClosed
	}
	if !c.budget.take() {
		return nil, fmt.Errorf("%w: at most %d (raise vm.max_map_count)", ErrNoMappings, c.budget.max)
	}
	p, err := unix.MmapPtr(c.fd, 0, nil, c.limit, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		c.budget.give()
		if errors.Is(err, unix.ENOMEM) {
			return nil, fmt.Errorf("%w: mmap: %w", ErrNoMappings, err)
		}
		return nil, fmt.Errorf("mapping a room's memory: %w", err)
	}
	return unsafe.Slice((*byte)(p), c.limit)[:c.size], nil
}

// reset drops the private pages. The mapping stays: making and removing mappings takes
// a lock of the whole process.
func (c *copyOnWrite) reset(view []byte) ([]byte, bool) {
	if c.limit == 0 {
		return view, true
	}
	whole := view[:c.limit]
	if err := unix.Madvise(whole, unix.MADV_DONTNEED); err != nil {
		return view, false
	}
	return whole[:c.size], true
}

// changed asks the system which pages are private: /proc/self/pagemap has eight bytes for
// each, of which bits 63 and 62 say that it is there or swapped out, and bit 61 that it is the
// file's. Without it, all of the view may have changed.
func (c *copyOnWrite) changed(view []byte, span func(from, to int)) {
	const swapped, file = 1 << 62, 1 << 61
	const present = 1 << 63
	page := os.Getpagesize()
	entries := make([]byte, (len(view)+page-1)/page*8)
	f, err := os.Open("/proc/self/pagemap")
	if err == nil {
		defer f.Close()
		_, err = f.ReadAt(entries, int64(uintptr(unsafe.Pointer(unsafe.SliceData(view))))/int64(page)*8)
	}
	if err != nil {
		span(0, len(view))
		return
	}
	for from := 0; from < len(view); {
		to := from
		for to < len(view) {
			e := binary.LittleEndian.Uint64(entries[to/page*8:])
			if e&(present|swapped) == 0 || e&file != 0 {
				break
			}
			to += page
		}
		to = min(to, len(view))
		if to > from {
			span(from, to)
		}
		from = max(to, from+page)
	}
}

func (c *copyOnWrite) free(view []byte) {
	if cap(view) > 0 {
		// The only error is a wrong range, which would be a bug of this file.
		_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(view)), c.limit)
		c.budget.give()
	}
}

// close closes the file; mappings that are still there keep the image alive.
func (c *copyOnWrite) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fd := c.fd
	c.fd = -1
	if fd < 0 {
		return nil
	}
	return unix.Close(fd)
}
