package runtime_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/oriel-rooms/oriel/runtime"
)

// TestRewrittenIsKept: a second start takes the rewritten module from the cache; damaged, cut or
// foreign files in its place change nothing but the time.
func TestRewrittenIsKept(t *testing.T) {
	ctx, dir, binary := context.Background(), t.TempDir(), guest(t)
	load := func() (hash [32]byte, limit int) {
		t.Helper()
		r, err := runtime.New(ctx, runtime.Options{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(ctx)
		m, err := r.Load(ctx, binary)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Manifest().Kinds) == 0 {
			t.Fatal("no kinds")
		}
		return m.Hash(), m.ImageSize()
	}
	hash, size := load()
	files, err := filepath.Glob(filepath.Join(dir, "oriel-*.wasm"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), kept...)
	damaged[len(damaged)-1] ^= 1
	for name, content := range map[string][]byte{
		"as it was": kept, "damaged": damaged, "cut": kept[:len(kept)/2], "empty": {}, "foreign": []byte("something else altogether"),
	} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		if h, s := load(); h != hash || s != size {
			t.Errorf("%s: another module", name)
		}
		if now, err := os.ReadFile(files[0]); err != nil || string(now) != string(kept) {
			t.Errorf("%s: the file was not made anew: %v", name, err)
		}
	}
}
