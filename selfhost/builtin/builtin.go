// Package builtin carries the module of the kinds that ship (rooms/shipped) inside the binary,
// so that `oriel serve` needs no file beside it. `make rooms` puts it there; a build
// without it says so when it is asked for.
package builtin

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// ErrNotBuilt means that the binary was built without the module.
var ErrNotBuilt = errors.New("this binary was built without the rooms that ship: run `make rooms` before `go build`, or give --module")

// dist holds oriel.wasm after `make rooms`, and in a fresh clone only a .gitignore, which keeps
// the folder in place for the embedding.
//
//go:embed all:dist
var dist embed.FS

// Module returns the bytes of the module.
func Module() ([]byte, error) {
	b, err := dist.ReadFile("dist/oriel.wasm")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}
	if err != nil {
		return nil, fmt.Errorf("builtin: %w", err)
	}
	return b, nil
}
