package pebble

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A fence reports the first fault, lets its caller never go on, and nothing pass
// afterwards.
func TestFence(t *testing.T) {
	for _, name := range []string{"close", "write", "short write", "sync"} {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 9)
			f := &fence{FS: vfs.NewMem(), fail: func(err error) { failed <- err }}
			file := &fencedFile{File: brokenFile{}, fence: f, name: "x"}
			other, err := f.Create("y", "")
			if err != nil {
				t.Fatal(err)
			}
			went := make(chan string, 9)
			go func() {
				switch name {
				case "close":
					_ = file.Close()
				case "write":
					_, _ = file.Write([]byte("long"))
				case "short write":
					_, _ = file.WriteAt([]byte("long"), 0)
				case "sync":
					_ = file.SyncData()
				}
				went <- "the caller"
			}()
			if err := <-failed; name != "short write" && !errors.Is(err, syscall.EIO) {
				t.Errorf("got %v", err)
			}
			go func() {
				_, _ = other.Write([]byte("z"))
				went <- "another write"
			}()
			f.close()
			select {
			case who := <-went:
				t.Errorf("%s went on", who)
			case err := <-failed:
				t.Errorf("a second fault: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
		})
	}
}

type brokenFile struct{ vfs.File }

func (brokenFile) Close() error                       { return syscall.EIO }
func (brokenFile) Write([]byte) (int, error)          { return 0, syscall.EIO }
func (brokenFile) WriteAt([]byte, int64) (int, error) { return 1, nil }
func (brokenFile) SyncData() error                    { return syscall.EIO }
