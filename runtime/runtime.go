package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/oriel-rooms/oriel/runtime/internal/memory"
)

// A Runtime runs rooms of any number of modules. Its methods may be called from many
// goroutines.
type Runtime struct {
	options Options
	wazero  wazero.Runtime
	cache   wazero.CompilationCache // nil without CacheDir
	tokens  *tokens
	counts  counters
	budget  *memory.Budget // of mappings, for the images of all modules
	// clock is the computing time of the thread, for which turns pay, too: see tank. nil if they do not.
	clock func() time.Duration

	mu      sync.Mutex // guards modules, closed
	modules map[*Module]struct{}
	closed  bool
}

// New returns a runtime. Close it when its rooms and modules are closed.
func New(ctx context.Context, o Options) (*Runtime, error) {
	o = o.withDefaults()
	config := wazero.NewRuntimeConfig()
	if o.Interpret {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	config = config.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	r := &Runtime{options: o, tokens: newTokens(o.Workers), budget: memory.SystemBudget(), modules: map[*Module]struct{}{}}
	if !o.Untimed && threadTime() > 0 {
		r.clock = threadTime
	}
	if o.CacheDir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("runtime: cache: %w", err)
		}
		r.cache = cache
		config = config.WithCompilationCache(cache)
	}
	r.wazero = wazero.NewRuntimeWithConfig(ctx, config)
	for _, h := range []hostModule{roomImports, wasiImports} {
		if err := h.instantiate(ctx, r.wazero); err != nil {
			r.closeEngine(ctx)
			return nil, fmt.Errorf("runtime: host functions: %w", err)
		}
	}
	return r, nil
}

// compile compiles a module that was rewritten. A cache that cannot be read or written
// (a full disk) is no reason to fail: broken entries are removed, and the second attempt
// finds in wazero's memory what the first could not write.
func (r *Runtime) compile(ctx context.Context, binary []byte) (wazero.CompiledModule, error) {
	ctx = experimental.WithCompilationWorkers(ctx, r.options.Workers)
	compiled, err := r.wazero.CompileModule(ctx, binary)
	switch {
	case err == nil:
		return compiled, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case r.cache != nil && strings.Contains(err.Error(), "compilationcache: "):
		if err := clearCache(r.options.CacheDir); err != nil {
			return nil, fmt.Errorf("runtime: clearing a broken cache: %w", err)
		}
		fallthrough
	case r.cache != nil && isFileError(err):
		compiled, err = r.wazero.CompileModule(ctx, binary)
	}
	if err != nil && isFileError(err) {
		return nil, fmt.Errorf("runtime: cache: %w", err)
	} else if err != nil {
		return nil, &ModuleError{Reason: firstLine(err.Error()), Err: ErrNotWasm}
	}
	return compiled, nil
}

func isFileError(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var number syscall.Errno
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &number)
}

// clearCache removes the entries of wazero's cache, whose names are SHA-256 sums in
// folders of their own, and nothing else.
func clearCache(dir string) error {
	entries, err := filepath.Glob(filepath.Join(dir, "wazero-*", strings.Repeat("[0-9a-f]", 64)))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Remove(entry); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close closes all modules and gives everything back. No turn may be running, and no
// room can be used afterwards.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	modules := make([]*Module, 0, len(r.modules))
	for m := range r.modules {
		modules = append(modules, m)
	}
	r.mu.Unlock()
	for _, m := range modules {
		m.kill()
	}
	return r.closeEngine(ctx)
}

func (r *Runtime) closeEngine(ctx context.Context) error {
	err := r.wazero.Close(ctx)
	if r.cache != nil {
		if cerr := r.cache.Close(ctx); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return fmt.Errorf("runtime: close: %w", err)
	}
	return nil
}

// Options returns the options with the defaults in place of zero values.
func (r *Runtime) Options() Options { return r.options }
