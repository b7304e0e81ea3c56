package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

// built is what TestMain has built.
var built struct {
	dir   string // temporary
	oriel string // the binary
	chat  string // the module of the kinds that ship
	cache string // of compiled modules, shared by all runs
	kinds string // testdata/kinds
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "oriel-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.dir, built.cache = dir, filepath.Join(dir, "cache")
	built.oriel = filepath.Join(dir, "oriel")
	if runtime.GOOS == "windows" {
		built.oriel += ".exe"
	}
	build := func() error {
		if err := goBuild(built.oriel, "../cmd/oriel", nil); err != nil {
			return err
		}
		if built.chat, err = module("chat", "../../rooms/shipped"); err != nil {
			return err
		}
		built.kinds, err = module("kinds", "./testdata/kinds")
		return err
	}
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// module builds a room module.
func module(name, pkg string, flags ...string) (string, error) {
	path := filepath.Join(built.dir, name+".wasm")
	flags = append([]string{"-buildmode=c-shared", "-trimpath"}, flags...)
	return path, goBuild(path, pkg, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, flags...)
}

func goBuild(out, pkg string, env []string, flags ...string) error {
	args := append([]string{"build", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, b)
	}
	return nil
}
