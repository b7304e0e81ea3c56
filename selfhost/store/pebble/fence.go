package pebble

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A fence is the file system that the engine sees. It lets everything through until the
// first operation that changes the disk fails. From then on nothing that would change
// the disk is done, and no caller that wants it returns.
//
// Pebble cannot live with a failed write: it exits the process (Logger.Fatalf), panics
// with a mutex in a state that makes the panic a fatal error of the Go runtime (rotation of
// the write-ahead log), or tries again without end (flushes, compactions). Parking its
// goroutines at the fault keeps the decision what happens next in this package.
type fence struct {
	vfs.FS
	// fail is called once or more, from any goroutine, also under the engine's locks.
	fail func(error)
	// mu is held shared during an operation that changes the disk, and exclusively to
	// learn that none is under way.
	mu      sync.RWMutex
	tripped atomic.Bool
}

// change does an operation that changes the disk. It returns only if that succeeds.
func (f *fence) change(op, name string, do func() error) {
	f.mu.RLock()
	if f.tripped.Load() {
		f.mu.RUnlock()
		park()
	}
	err := do()
	if err != nil {
		f.tripped.Store(true)
		f.mu.RUnlock()
		if !strings.Contains(err.Error(), name) {
			err = fmt.Errorf("%s %s: %w", op, name, err)
		}
		f.fail(err)
		park()
	}
	f.mu.RUnlock()
}

// close waits until no operation is under way; afterwards none begins.
func (f *fence) close() {
	f.tripped.Store(true)
	f.mu.Lock()
	defer f.mu.Unlock()
}

// park keeps a goroutine of the engine for ever.
func park() { select {} }

// Unwrap implements vfs.FS.
func (f *fence) Unwrap() vfs.FS { return f.FS }

func (f *fence) file(op, name string, open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	f.change(op, name, func() (err error) {
		file, err = open()
		return err
	})
	return &fencedFile{File: file, fence: f, name: name}, nil
}

// Create implements vfs.FS.
func (f *fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("create", name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// OpenReadWrite implements vfs.FS.
func (f *fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.file("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements vfs.FS.
func (f *fence) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.file("reuse", newname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

// OpenDir implements vfs.FS. A directory is opened to sync it.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	return f.file("open", name, func() (vfs.File, error) { return f.FS.OpenDir(name) })
}

// Link implements vfs.FS.
func (f *fence) Link(oldname, newname string) error {
	f.change("link", newname, func() error { return f.FS.Link(oldname, newname) })
	return nil
}

// Rename implements vfs.FS.
func (f *fence) Rename(oldname, newname string) error {
	f.change("rename", newname, func() error { return f.FS.Rename(oldname, newname) })
	return nil
}

// MkdirAll implements vfs.FS.
func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	f.change("mkdir", dir, func() error { return f.FS.MkdirAll(dir, perm) })
	return nil
}

// Remove implements vfs.FS. A file that cannot be removed costs space and nothing
// else, so its error goes to the engine, which logs it.
func (f *fence) Remove(name string) error { return f.remove(name, f.FS.Remove) }

// RemoveAll implements vfs.FS.
func (f *fence) RemoveAll(name string) error { return f.remove(name, f.FS.RemoveAll) }

func (f *fence) remove(name string, do func(string) error) error {
	var failed error
	f.change("remove", name, func() error {
		failed = do(name)
		return nil
	})
	return failed
}

// A fencedFile is a file that may be written, or a directory that may be synced.
type fencedFile struct {
	vfs.File
	fence *fence
	name  string
}

// Write implements vfs.File.
func (f *fencedFile) Write(p []byte) (int, error) {
	f.fence.change("write", f.name, func() error {
		n, err := f.File.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		return err
	})
	return len(p), nil
}

// WriteAt implements vfs.File.
func (f *fencedFile) WriteAt(p []byte, off int64) (int, error) {
	f.fence.change("write", f.name, func() error {
		n, err := f.File.WriteAt(p, off)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		return err
	})
	return len(p), nil
}

// Sync implements vfs.File.
func (f *fencedFile) Sync() error {
	f.fence.change("fsync", f.name, f.File.Sync)
	return nil
}

// SyncData implements vfs.File.
func (f *fencedFile) SyncData() error {
	f.fence.change("fsync", f.name, f.File.SyncData)
	return nil
}

// SyncTo implements vfs.File.
func (f *fencedFile) SyncTo(length int64) (full bool, err error) {
	f.fence.change("fsync", f.name, func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, nil
}

// Close implements vfs.File.
func (f *fencedFile) Close() error {
	f.fence.change("close", f.name, f.File.Close)
	return nil
}
