package main

import (
	"context"
	"os"
	"time"

	"github.com/oriel-rooms/oriel/runtime"
)

// start measures how long a module takes from its bytes to its first room.
func start(ctx context.Context, binary []byte) error {
	dir, err := os.MkdirTemp("", "oriel-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"module_start_from_nothing", "module_start_from_cache"} {
		began := time.Now()
		r, err := runtime.New(ctx, runtime.Options{CacheDir: dir})
		if err != nil {
			return err
		}
		if _, err := r.Load(ctx, binary); err != nil {
			return err
		}
		figure(name, float64(time.Since(began).Microseconds())/1000, "ms")
		if err := r.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}
