package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
)

// TestCompiles compiles the SDK and the kinds for WebAssembly.
func TestCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", filepath.Join(t.TempDir(), "module.wasm"), ".")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestKinds(t *testing.T) {
	m := rooms.Registered().Manifest()
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"probe", "plain", "small", "fragile"} {
		if _, ok := m.Kind(name); !ok {
			t.Errorf("the module has no kind %s", name)
		}
	}
}
