package runtime_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
)

// guests builds each guest once for all tests.
var guests struct {
	dir   string
	first sync.Once
	bytes []byte
	err   error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "oriel-runtime-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	guests.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// build compiles a directory with a guest in it and returns the module.
func build(dir, version string) ([]byte, error) {
	out := filepath.Join(guests.dir, filepath.Base(dir)+"-"+version+".wasm")
	if b, err := os.ReadFile(out); err == nil {
		return b, nil
	}
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w -X main.version="+version, "-o", out, dir)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building %s: %v\n%s", dir, err, text)
	}
	return os.ReadFile(out)
}

// guest returns the module of testdata/guest.
func guest(t testing.TB) []byte {
	t.Helper()
	guests.first.Do(func() { guests.bytes, guests.err = build("./testdata/guest", "1") })
	if guests.err != nil {
		t.Fatal(guests.err)
	}
	return guests.bytes
}

// newRuntime returns a runtime that is closed when the test ends. It uses the cache that all
// tests share, if o names none.
func newRuntime(t testing.TB, o runtime.Options) *runtime.Runtime {
	t.Helper()
	if o.CacheDir == "" && !o.Interpret {
		o.CacheDir = filepath.Join(guests.dir, "cache")
	}
	r, err := runtime.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func load(t testing.TB, r *runtime.Runtime, binary []byte) *runtime.Module {
	t.Helper()
	m, err := r.Load(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newRoom(t testing.TB, m *runtime.Module, name string) *runtime.Room {
	t.Helper()
	room, err := m.NewRoom(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { room.Close() })
	return room
}

// batch encodes commands as messages of connection 1.
func batch(commands ...string) []byte {
	return batchAt(1_790_000_000_000, 7, commands...)
}

func batchAt(time uint64, seed byte, commands ...string) []byte {
	b := &abi.Batch{Handle: 1, Time: time}
	b.Seed[0] = seed
	for _, c := range commands {
		b.Events = append(b.Events, &abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte(c)})
	}
	return abi.AppendBatch(nil, b)
}

// ask runs one command and returns the answer.
func ask(room *runtime.Room, storage host.Storage, command string) (string, error) {
	return askBatch(room, storage, batch(command))
}

func askBatch(room *runtime.Room, storage host.Storage, b []byte) (string, error) {
	out, err := room.Turn(context.Background(), b, storage)
	if err != nil {
		return "", err
	}
	effects, err := abi.DecodeEffects(out)
	if err != nil {
		return "", err
	}
	s := ""
	for _, e := range effects {
		s += string(e.(*abi.SendEffect).Data)
	}
	return s, nil
}

// mustAsk is ask for turns that succeed.
func mustAsk(t testing.TB, room *runtime.Room, storage host.Storage, command, want string) {
	t.Helper()
	got, err := ask(room, storage, command)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	if got != want {
		t.Fatalf("%s = %q, want %q", command, got, want)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
