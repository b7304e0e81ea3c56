package pebble

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// patience bounds every wait. It is long because the machine may be busy; nothing waits for it to pass.
const patience = time.Minute

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	code := m.Run()
	if leaked := leaks(); code == 0 && leaked != "" {
		fmt.Fprintln(os.Stderr, "leaked goroutines:\n"+leaked)
		code = 1
	}
	os.Exit(code)
}

// leaks returns the stacks of goroutines of this package that go on. A store that
// stopped keeps the engine's where they were, also those on which this package called
// it, and that is as it should be; goleak cannot tell them apart. What a store closed
// in good order leaves is the matter of TestNoLeaks.
func leaks() (leaked string) {
	for deadline := time.Now().Add(patience); ; {
		buf := make([]byte, 64<<20)
		buf = buf[:runtime.Stack(buf, true)]
		leaked = ""
		for _, stack := range strings.Split(string(buf), "\n\n") {
			if strings.Contains(stack, "created by github.com/oriel-rooms") &&
				!strings.Contains(stack, "github.com/cockroachdb/pebble/v2") && !strings.Contains(stack, "store/pebble.park") {
				leaked += stack + "\n\n"
			}
		}
		if leaked == "" || time.Now().After(deadline) {
			return leaked
		}
		time.Sleep(20 * time.Millisecond) // goroutines that are about to end
	}
}

var ctx = context.Background()

var roomA = store.RoomID{Kind: "chat", Name: "a"}

func memory(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := OpenMemory(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openRoom(t testing.TB, s *Store, id store.RoomID) *room {
	t.Helper()
	r, err := s.Open(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return r.(*room)
}

// wait commits and returns the answer.
func wait(r store.Room, c store.Commit) error {
	answer := make(chan error, 1)
	r.Commit(c, func(err error) { answer <- err })
	return <-answer
}

func put(k, v string) store.Write {
	return store.Write{Op: store.Put, Key: []byte(k), Value: []byte(v)}
}

func del(k string) store.Write { return store.Write{Op: store.Delete, Key: []byte(k)} }

func delRange(a, b string) store.Write {
	return store.Write{Op: store.DeleteRange, Key: []byte(a), End: []byte(b)}
}

func get(t testing.TB, r store.Room, key string) string {
	t.Helper()
	v, ok, err := r.Get(ctx, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "-"
	}
	return string(v)
}
