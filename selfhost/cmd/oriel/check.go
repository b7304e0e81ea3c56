package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/config"
)

// check loads a module as a node would and prints its manifest.
func check(ctx context.Context, cmd *config.Command, w io.Writer) error {
	binary, err := os.ReadFile(cmd.Module)
	if err != nil {
		return err
	}
	r, err := runtime.New(ctx, runtime.Options{CacheDir: cmd.Config.CacheDir})
	if err != nil {
		return err
	}
	defer r.Close(ctx)
	m, err := r.Load(ctx, binary)
	if err != nil {
		return err
	}
	defer m.Close()
	manifest := *m.Manifest()
	for i, k := range manifest.Kinds {
		manifest.Kinds[i] = k.WithDefaults()
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(manifest)
}
