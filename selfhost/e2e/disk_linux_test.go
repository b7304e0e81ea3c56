package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/client"
)

// TestFullDisk fills the disk under a server at work. The process ends with one clear line;
// once there is space and it runs again, everything acknowledged is there, clients have come
// back, and what they were waiting for goes on.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("needs the right to mount a file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	n := newNode(t, "--module", built.kinds)
	n.data = filepath.Join(dir, "data")
	n.start()

	const room, people = "journal/disk", 4
	l := &ledger{acks: make(chan struct{}, 4096)}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	var ear reader
	listener := n.client(room, "listener", ear.options)
	ready(t, listener)
	var mu sync.Mutex
	codes := map[abi.Code]int{}
	for i := range people {
		c := n.client(room, fmt.Sprint("user", i), func(o *client.Options) {
			o.Binary = i%2 == 1
			o.State = func(s client.State) {
				var e websocket.CloseError
				if s.Phase == client.Waiting && asError(s.Err, &e) {
					mu.Lock()
					codes[abi.Code(e.Code)]++
					mu.Unlock()
				}
			}
		})
		wg.Go(func() { publisher{name: fmt.Sprint("user", i), event: "message", open: 1}.run(ctx, t, c, l) })
	}
	acks := func(k int) {
		t.Helper()
		for range k {
			select {
			case <-l.acks:
			case <-time.After(patience):
				t.Fatal("nothing is acknowledged any more")
			}
		}
	}
	for cycle := range 3 {
		acks(100)
		p := n.process
		// The disk stays full: the store could live for ever on what its own compactions give back.
		ballast, full := filepath.Join(dir, "ballast"), make(chan struct{})
		go func() { defer close(full); fill(t, ballast, p.exited) }()
		code := p.wait(t)
		<-full
		said := p.log.String()
		if code != 1 || !strings.Contains(said, "no space left on device") || !strings.Contains(said, "the store has stopped") {
			t.Errorf("cycle %d: exit code %d, the last words are %s", cycle, code, tail(said, 1000))
		}
		last := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]
		if !strings.HasPrefix(last, "oriel: ") {
			t.Errorf("cycle %d: the last line is %q", cycle, last)
		}
		t.Logf("cycle %d: %s", cycle, last)
		// It does not start on a full disk either, and says why.
		if p := n.launch(); p.wait(t) != 1 || strings.Contains(p.log.String(), "panic") {
			t.Errorf("on a full disk it says %s", tail(p.log.String(), 1000))
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for len(l.acks) > 0 {
			<-l.acks
		}
		n.start()
	}
	acks(100)
	stop()
	wg.Wait()
	mu.Lock()
	for code, times := range codes {
		t.Logf("closed with %v: %d times", code, times)
		if code.Action() != abi.ActionRetry {
			t.Errorf("clients were closed with %v", code)
		}
	}
	if len(codes) == 0 {
		t.Error("nobody was told why")
	}
	mu.Unlock()
	got := history(t, n.addr, room, token(t, "auditor"))
	for _, f := range faults(got, l.claims) {
		t.Error(f)
	}
	ear.await(t, listener, uint64(len(got)))
	listener.Abandon()
	ear.check(t, "the listener", got)
}

// fill takes all the space there is, again and again until the end, and what is free then.
func fill(t *testing.T, path string, end <-chan struct{}) {
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for ended := false; ; {
		for size := 1 << 20; size >= 512; {
			if _, err := f.Write(make([]byte, size)); err != nil {
				size /= 2
			}
		}
		if ended {
			return
		}
		select {
		case <-end:
			ended = true
		case <-again.C:
		}
	}
}
