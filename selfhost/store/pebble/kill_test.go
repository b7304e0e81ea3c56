package pebble

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// childDir is the variable that makes the test binary a process that commits in its
// directory until it is killed. It says what was acknowledged.
const childDir = "ORIEL_STORE_TEST_CHILD"

const childRooms = 4

func child(dir string) {
	s, err := Open(dir, Options{MemTableBytes: 1 << 20})
	if err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	fmt.Println("open")
	var out sync.Mutex // guards standard output
	for i := range childRooms {
		r, err := s.Open(ctx, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		if err != nil {
			fmt.Println("fail", err)
			os.Exit(1)
		}
		var next func(n uint64) func(error)
		commit := func(n uint64) {
			w := []store.Write{
				put("last", fmt.Sprint(n)),
				put(fmt.Sprintf("row%06d", n), fmt.Sprintf("%02000d", n)),
				delRange("row", fmt.Sprintf("row%06d", max(n, 10)-10)),
			}
			r.Commit(store.Commit{Number: n, Time: n, Writes: w}, next(n))
		}
		next = func(n uint64) func(error) {
			return func(err error) {
				if err != nil {
					out.Lock()
					defer out.Unlock()
					fmt.Println("stop", err)
					return
				}
				out.Lock()
				fmt.Println("ack", i, n)
				out.Unlock()
				if n%3 == 0 { // three at a time
					for k := n + 1; k <= n+3; k++ {
						commit(k)
					}
				}
			}
		}
		first := r.State().Number + 1
		for first%3 != 1 {
			_ = wait(r, store.Commit{Number: first, Writes: []store.Write{put("last", fmt.Sprint(first)), put(fmt.Sprintf("row%06d", first), fmt.Sprintf("%02000d", first))}, Time: first})
			first++
		}
		for k := first; k < first+3; k++ {
			commit(k)
		}
	}
	<-s.Stopped()
	_ = s.Close()
	fmt.Println("stopped", s.Err())
	os.Exit(3)
}

// A process is a running child.
type process struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func spawn(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, lines: bufio.NewScanner(out)}
	if !p.lines.Scan() || p.lines.Text() != "open" {
		t.Fatalf("the child says %q", p.lines.Text())
	}
	return p
}

// follow reads what the child says until it ends, and after so many acknowledgements
// calls stop.
func (p *process) follow(t *testing.T, acked []uint64, after int, stop func()) (last string) {
	t.Helper()
	n := 0
	for p.lines.Scan() {
		last = p.lines.Text()
		var room int
		var number uint64
		if _, err := fmt.Sscanf(last, "ack %d %d", &room, &number); err != nil {
			continue
		}
		if number <= acked[room] {
			t.Errorf("room %d: %d acknowledged after %d", room, number, acked[room])
		}
		acked[room] = number
		if n++; n == after {
			stop()
		}
	}
	_ = p.cmd.Wait()
	return last
}

// TestKill kills a process that commits, again and again, and looks for everything
// that it had acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	cycles := 25
	if testing.Short() {
		cycles = 5
	}
	acked := make([]uint64, childRooms)
	end := time.Now().Add(8 * time.Second)
	for i := range cycles {
		p := spawn(t, dir)
		if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrLocked) {
			t.Errorf("opened beside another process: %v", err)
		}
		p.follow(t, acked, 1+rand.IntN(400), func() { _ = p.cmd.Process.Kill() })
		verify(t, vfs.Default, dir, acked, 2000)
		if t.Failed() {
			t.Fatalf("in cycle %d", i)
		}
		if time.Now().After(end) {
			t.Logf("%d cycles", i+1)
			break
		}
	}
	t.Logf("acknowledged %v", acked)
}
