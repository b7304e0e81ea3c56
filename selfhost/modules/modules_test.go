package modules_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/modules"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds is a module with the kinds journal, tiny and stream.
var kinds = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "oriel-modules-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kinds.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-o", path, "../e2e/testdata/kinds")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	return os.ReadFile(path)
})

// version returns the module as it would be after a change that changes nothing: with a custom
// section at its end.
func version(t *testing.T, n byte) []byte {
	t.Helper()
	b, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(b), 0, 3, 1, 'v', n)
}

func newRuntime(t *testing.T) *runtime.Runtime {
	t.Helper()
	r, err := runtime.New(context.Background(), runtime.Options{CacheDir: t.TempDir()})
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

// TestReload: a source that has not changed stays, one that has brings its kinds, one that is broken
// or gone is refused and the old version stays, with the rooms that it has.
func TestReload(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "kinds.wasm")
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(version(t, 1))
	s, err := modules.Load(ctx, newRuntime(t), modules.File(path))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	names := func() (names []string) {
		for _, k := range s.Kinds() {
			names = append(names, k.Name)
		}
		slices.Sort(names)
		return names
	}
	all := []string{"friends", "journal", "stream", "tiny"}
	if got := names(); !slices.Equal(got, all) {
		t.Fatal(got)
	}
	if k, ok := s.Kind("tiny"); !ok || k.Members != 2 || k.QueueBytes == 0 {
		t.Fatalf("%+v, %v", k, ok) // with defaults
	}
	if _, ok := s.Kind("nothing"); ok {
		t.Fatal("a kind that no module has")
	}
	if _, err := s.Guest("nothing", "one"); !errors.Is(err, abi.CodeUnknownKind) {
		t.Fatal(err)
	}
	old, err := s.Guest("tiny", "one")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for _, tc := range []struct {
		name    string
		change  func()
		changed bool
		fails   bool
	}{
		{"the same bytes", func() {}, false, false},
		{"a new version", func() { write(version(t, 2)) }, true, false},
		{"no module", func() { write([]byte("not wasm")) }, false, true},
		{"no file", func() { _ = os.Remove(path) }, false, true},
		{"back again", func() { write(version(t, 2)) }, false, false},
	} {
		tc.change()
		changed, err := s.Reload(ctx)
		slices.Sort(changed)
		if (err != nil) != tc.fails || tc.changed != slices.Equal(changed, all) || !tc.changed && len(changed) > 0 {
			t.Errorf("%s: %v, %v", tc.name, changed, err)
		}
		if got := names(); !slices.Equal(got, all) {
			t.Errorf("%s: kinds %v", tc.name, got)
		}
		g, err := s.Guest("tiny", "two")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		g.Close()
	}
}

func TestTwoModulesOfOneKind(t *testing.T) {
	read := func(n byte) modules.Source {
		return modules.Source{Name: string('0' + n), Read: func() ([]byte, error) { return version(t, n), nil }}
	}
	if s, err := modules.Load(context.Background(), newRuntime(t), read(1), read(2)); !errors.Is(err, modules.ErrKindTaken) {
		t.Fatal(s, err)
	}
}
