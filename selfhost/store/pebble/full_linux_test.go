package pebble

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestFullDisk fills a small file system of its own. The store stops, the process
// says so, and everything acknowledged is there once there is space again.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	ballast := dir + "/ballast"
	acked := make([]uint64, childRooms)
	for i := range 3 {
		if err := os.WriteFile(ballast, make([]byte, 12<<20), 0o600); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		p := spawn(t, dir+"/store")
		kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
		// The disk is filled by another once the store is at work, and kept full: the store could
		// live for ever on what its own compactions give back.
		ended := make(chan struct{})
		var filling sync.WaitGroup
		last := p.follow(t, acked, 200, func() { filling.Go(func() { fill(t, dir+"/more", ended) }) })
		close(ended)
		filling.Wait()
		kill.Stop()
		if !strings.HasPrefix(last, "stopped") || !strings.Contains(last, "no space left on device") {
			t.Fatalf("cycle %d: the child's last word is %q", i, last)
		}
		t.Log(last)
		for _, name := range []string{ballast, dir + "/more"} {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		verify(t, vfs.Default, dir+"/store", acked, 2000)
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("acknowledged %v", acked)
}

// fill takes all the space there is, again and again until the end.
func fill(t *testing.T, path string, end <-chan struct{}) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		if _, err := f.Write(make([]byte, 4096)); err == nil {
			continue
		}
		select {
		case <-end:
			return
		case <-again.C:
		}
	}
}
