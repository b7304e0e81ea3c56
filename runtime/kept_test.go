package runtime_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/runtime/internal/wasmtest"
)

// process loads a module as a process of its own would, and hands it to use.
func process(t *testing.T, o runtime.Options, binary []byte, use func(*runtime.Module)) {
	t.Helper()
	r, err := runtime.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close(context.Background())
	m, err := r.Load(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	if use != nil {
		use(m)
	}
}

// counting is a module whose start leaves 7 in its memory and 60 in a global, and whose turns add one to
// that; counted is what a first turn says.
func counting() *wasmtest.Module {
	m := raw([]byte{0x23, 0x00, 0x42, 1, 0x7c, 0x24, 0x00}, // the global += 1
		wasmtest.Const32(8), []byte{0x23, 0x00, 0x37, 3, 0}, answering(0, 16))
	m.Globals = [][]byte{append(append([]byte{0x7e, 1}, wasmtest.Const64(40)...), 0x0b)}
	m.Functions = append(m.Functions, wasmtest.Function{Export: "_initialize", Type: voidType, Body: wasmtest.Join(
		storeAt(0, wasmtest.Join(loadAt(0), wasmtest.Const32(7), []byte{opAdd32})), wasmtest.Const64(60), []byte{0x24, 0x00})})
	return m
}

const counted = "\x07\x00\x00\x00\x00\x00\x00\x00\x3d\x00\x00\x00\x00\x00\x00\x00"

// wantResumed loads a counting module, and says whether its image is to be an earlier start's. Its rooms
// are the same in any case.
func wantResumed(t *testing.T, o runtime.Options, binary []byte, want bool) {
	t.Helper()
	process(t, o, binary, func(m *runtime.Module) {
		t.Helper()
		if got := runtime.Resumed(m); got != want {
			t.Errorf("resumed: %v, want %v", got, want)
		}
		for range 2 {
			if out, err := newRoom(t, m, "room").Turn(t.Context(), batch(), nil); err != nil || string(out) != counted {
				t.Errorf("%x, %v", out, err)
			}
		}
	})
}

// keptFile returns the only file of a sort in a cache.
func keptFile(t *testing.T, dir, suffix string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "oriel-*."+suffix))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	return files[0]
}

// TestKeptFilesAreChecked: a second start takes the rewritten module and the image from the cache;
// damaged, cut or foreign files in their places change nothing but the time, and are made anew.
func TestKeptFilesAreChecked(t *testing.T) {
	o, binary := runtime.Options{CacheDir: t.TempDir()}, counting().Bytes()
	wantResumed(t, o, binary, false)
	wantResumed(t, o, binary, true)
	for _, suffix := range []string{"wasm", "image"} {
		path := keptFile(t, o.CacheDir, suffix)
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		change := func(at int) []byte {
			b := bytes.Clone(kept)
			b[at] ^= 1
			return b
		}
		for name, content := range map[string][]byte{
			"damaged at its end": change(len(kept) - 1), "damaged in its middle": change(len(kept) / 2),
			"of another sort": change(0), "of another version": change(16), "with another sum": change(20),
			"cut": kept[:len(kept)/2], "cut after its head": kept[:24], "cut in its head": kept[:10], "empty": {},
			"longer": append(bytes.Clone(kept), 0), "foreign": []byte("something else altogether, and long enough"),
		} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Log(suffix, name)
			wantResumed(t, o, binary, suffix == "wasm")
			if b, err := os.ReadFile(path); err != nil || bytes.Equal(b, content) {
				t.Errorf("%s, %s: the file was not made anew: %v", suffix, name, err)
			}
			wantResumed(t, o, binary, true)
		}
	}
}

// TestImageAges: the randomness in an image is not used for ever.
func TestImageAges(t *testing.T) {
	o, binary := runtime.Options{CacheDir: t.TempDir()}, counting().Bytes()
	wantResumed(t, o, binary, false)
	path := keptFile(t, o.CacheDir, "image")
	age := func(d time.Duration) {
		t.Helper()
		then := time.Now().Add(-d)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	age(runtime.KeptFor - time.Hour)
	wantResumed(t, o, binary, true)
	age(runtime.KeptFor + time.Hour)
	wantResumed(t, o, binary, false)
	wantResumed(t, o, binary, true) // the new one
}

// TestImageBelongsToItsOptions: another module, another limit, or a warm-up have images of their own.
func TestImageBelongsToItsOptions(t *testing.T) {
	dir, module := t.TempDir(), counting()
	binary := module.Bytes()
	wantResumed(t, runtime.Options{CacheDir: dir}, binary, false)
	other := runtime.Options{CacheDir: dir, MemoryLimit: 32 << 20}
	wantResumed(t, other, binary, false)
	wantResumed(t, other, binary, true)
	module.Passive = []byte("a newer one")
	wantResumed(t, runtime.Options{CacheDir: dir}, module.Bytes(), false)

	warm := runtime.Options{CacheDir: dir, WarmUp: runtime.WarmUp}
	for range 2 {
		wantResumed(t, warm, binary, false)
	}
	wantResumed(t, runtime.Options{CacheDir: dir}, binary, true) // it was left alone
	process(t, runtime.Options{}, binary, func(m *runtime.Module) {
		if runtime.Resumed(m) {
			t.Error("there is no cache")
		}
	})
}

// TestResumed runs rooms on an image that another process has left: they are as they would be after a
// start of their own, but that nothing of the module has run.
func TestResumed(t *testing.T) {
	modes(t, func(t *testing.T, o runtime.Options) {
		o.CacheDir = t.TempDir()
		var size int
		var manifest string
		commands := []string{"count", "count", "environment", "maps 100", "strings 100", "churn 3", "time", "random", "get key", "count"}
		run := func(m *runtime.Module) string {
			a, b := newRoom(t, m, "a"), newRoom(t, m, "b")
			var said []string
			for _, c := range commands {
				for _, room := range []*runtime.Room{a, b} {
					out, err := ask(room, nil, c)
					if err != nil {
						t.Fatalf("%s: %v", c, err)
					}
					said = append(said, out)
				}
			}
			if _, err := ask(a, nil, "panic on purpose"); err == nil {
				t.Error("it did not panic")
			}
			mustAsk(t, a, nil, "count", "1")
			mustAsk(t, b, nil, "count", "4")
			return strings.Join(said, "\n")
		}
		var first string
		process(t, o, guest(t), func(m *runtime.Module) {
			first, size, manifest = run(m), m.ImageSize(), m.Manifest().SDK
		})
		process(t, o, guest(t), func(m *runtime.Module) {
			if !runtime.Resumed(m) || m.ImageSize() != size || m.Manifest().SDK != manifest || m.CopyOnWrite() == o.Plain {
				t.Errorf("resumed %v, %d bytes, %s", runtime.Resumed(m), m.ImageSize(), m.Manifest().SDK)
			}
			if again := run(m); again != first {
				t.Errorf("the rooms say\n%s\nnot\n%s", again, first)
			}
		})
	})
}

// FuzzImage decodes anything. What is an image is the same one after another round.
func FuzzImage(f *testing.F) {
	const limit = 4 * 65536
	block := bytes.Repeat([]byte{7}, 4096)
	f.Add(append([]byte("\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00{}!12345678\x01\x00\x00\x00\x01\x00\x00\x00"), block...))
	f.Add([]byte("\xff\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, ok := runtime.CodeImage(b, limit)
		if !ok {
			return
		}
		twice, ok := runtime.CodeImage(once, limit)
		if !ok || !bytes.Equal(once, twice) {
			t.Error("an image is another one after a round")
		}
	})
}
