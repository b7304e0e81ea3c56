package runtime

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime/internal/memory"
	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
)

// startFuel is how many turns' fuel a module may burn while it starts.
const startFuel = 50

// A Module is a loaded module: compiled, started once, its memory kept as the image that
// every room begins with. Its methods may be called from many goroutines.
//
// A module counts its rooms. After Close it makes no new ones, and its memory and
// code are given back when the last one has left.
type Module struct {
	runtime  *Runtime
	hash     [sha256.Size]byte
	manifest *abi.Manifest
	compiled wazero.CompiledModule
	globals  int // mutable globals, without the fuel
	limit    uint64
	pool     *pool
	image    *memory.Image
	resumed  bool // the image is an earlier start's
	warmUp   error
	took     LoadTimes

	mu     sync.Mutex // guards rooms, closed, gone
	rooms  int
	closed bool
	gone   bool
}

// LoadTimes says what [Runtime.Load] spent its time on.
type LoadTimes struct {
	// Rewrite is reading, checking and rewriting the binary; Compile is wazero's work,
	// from the cache or not; Start is starting the module and its warm-up, or taking up the image
	// of an earlier start.
	Rewrite, Compile, Start time.Duration
}

// Load checks, compiles and starts a module. The error is a *[ModuleError] if the
// module is at fault. The bytes are not kept.
func (r *Runtime) Load(ctx context.Context, binary []byte) (*Module, error) {
	if len(binary) > r.options.MaxModule {
		return nil, moduleError(ErrTooLarge, "%d bytes, the limit is %d", len(binary), r.options.MaxModule)
	}
	began := time.Now()
	m := &Module{runtime: r, hash: sha256.Sum256(binary)}
	rewritten, err := m.prepare(binary)
	if err != nil {
		return nil, err
	}
	m.took.Rewrite = time.Since(began)
	began = time.Now()
	// Nearly all of compiling from the cache is one goroutine's work.
	resuming := make(chan *keptStart, 1)
	go func() { resuming <- m.readImage() }()
	m.compiled, err = r.compile(ctx, rewritten)
	start := <-resuming
	if err != nil {
		start.drop()
		return nil, err
	}
	m.took.Compile = time.Since(began)
	began = time.Now()
	m.pool = newPool(r.options.Workers+r.options.Parked, r.options.Workers+8)
	if start != nil {
		err = m.resume(ctx, start)
	} else {
		err = m.begin(ctx, binary)
	}
	if err != nil {
		m.free()
		return nil, err
	}
	m.took.Start = time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		m.free()
		return nil, moduleError(ErrClosed, "the runtime")
	}
	r.modules[m] = struct{}{}
	return m, nil
}

// prepare parses, checks and rewrites the binary, unless an earlier start has done so.
func (m *Module) prepare(binary []byte) ([]byte, error) {
	if kept := m.readRewritten(); kept != nil {
		return kept, nil
	}
	parsed, err := wasm.Parse(binary)
	if err != nil {
		return nil, asModuleError(err)
	}
	limit := m.runtime.options.MemoryLimit
	if err := checkABI(parsed, limit); err != nil {
		return nil, err
	}
	m.limit = min(limit, uint64(parsed.MaxPages)*wasm.PageSize, 1<<32-wasm.PageSize)
	// One page more than any room gets: see instance.swap.
	rewritten, stats, err := parsed.Rewrite(wasm.RewriteOptions{MaxPages: uint32(m.limit/wasm.PageSize) + 1, Ask: true, KeepNames: true, StripData: true})
	if err != nil {
		return nil, asModuleError(err)
	}
	m.globals = stats.Globals
	m.writeRewritten(rewritten)
	return rewritten, nil
}

func asModuleError(err error) error {
	var e *wasm.Error
	if errors.As(err, &e) {
		return &ModuleError{Reason: e.Detail(), Err: e.Err}
	}
	return err
}

func firstLine(s string) string {
	line, _, _ := bytes.Cut([]byte(s), []byte{'\n'})
	return clip(string(line), maxMessage)
}

// begin starts the module once, asks for its manifest, warms it up and keeps its memory.
func (m *Module) begin(ctx context.Context, binary []byte) error {
	first := memory.NewPlain(m.limit)
	in, err := m.runtime.newInstance(ctx, m.compiled, m.globals, first)
	if err != nil {
		return &ModuleError{Reason: firstLine(err.Error()), Err: ErrStart}
	}
	if err := writeData(binary, first.Bytes()); err != nil {
		in.close()
		return err
	}
	manifest, err := m.initialize(ctx, in)
	if err != nil {
		in.close()
		return err
	}
	if m.manifest, err = abi.DecodeManifest(manifest); err != nil {
		in.close()
		return &ModuleError{Reason: "its manifest: " + err.Error(), Err: ErrStart}
	}
	first.Globals = make([]uint64, len(in.globals))
	if err := in.leave(first); err != nil {
		in.close()
		return err
	}
	m.warmUp = m.warm(ctx, in, first)
	// The instance is the pool's first.
	m.pool.live++
	m.pool.put(in)
	if m.image, err = m.newImage(first.Bytes(), first.Globals); err == nil {
		m.writeImage(manifest, first.Bytes(), first.Globals)
	}
	return err
}

// writeData writes what the rewritten module has left out.
func writeData(binary, memory []byte) error {
	parsed, err := wasm.Parse(binary)
	if err != nil {
		return asModuleError(err)
	}
	if !parsed.InitMemory(memory) {
		return moduleError(ErrStart, "its data lies outside of its memory")
	}
	return nil
}

// resume takes up where an earlier start has left off. The first instance is made all the same, so that
// whatever is wrong with the module is found now.
func (m *Module) resume(ctx context.Context, start *keptStart) error {
	m.manifest, m.image, m.resumed = start.manifest, start.image, true
	in, err := m.newInstance(ctx)
	if err != nil {
		return &ModuleError{Reason: firstLine(err.Error()), Err: ErrStart}
	}
	m.pool.live++
	m.pool.put(in)
	return nil
}

func (m *Module) newImage(bytes []byte, globals []uint64) (*memory.Image, error) {
	return memory.NewImage(bytes, globals, memory.Options{
		Limit: m.limit, Plain: m.runtime.options.Plain, Budget: m.runtime.budget,
	})
}

// initialize calls what a module wants called once, and the manifest.
func (m *Module) initialize(ctx context.Context, in *instance) ([]byte, error) {
	in.in.begin(ctx, nil)
	defer in.in.end()
	in.in.starting = true
	in.in.monotonic = 1
	in.tank.fill(startFuel * m.runtime.options.TurnFuel)
	defer in.tank.drain()
	for _, name := range []string{wasm.StartExport, abi.ExportInitialize, abi.ExportManifest} {
		f := in.module.ExportedFunction(name)
		if f == nil {
			continue
		}
		in.stack[0] = 0
		if err := in.invoke(f); err != nil {
			return nil, m.startError(name, in, err)
		}
	}
	ptr, length := uint32(in.stack[0]>>32), uint32(in.stack[0])
	manifest, ok := in.bytes(ptr, length)
	if !ok || length > abi.MaxManifest {
		return nil, moduleError(ErrStart, "its manifest of %d bytes at %d is no part of its memory, or too large", length, ptr)
	}
	return bytes.Clone(manifest), nil
}

func (m *Module) startError(name string, in *instance, err error) error {
	t := in.classify(err)
	if name == wasm.StartExport {
		name = "its start function"
	}
	return &ModuleError{Reason: name + ": " + string(t.Cause) + ": " + firstLine(t.Message), Err: ErrStart}
}

// newInstance makes one more instance.
func (m *Module) newInstance(ctx context.Context) (*instance, error) {
	// wazero writes the data segments, if they could not be left out, to a memory that is given
	// back at once: the image has them already.
	scratch, err := m.image.New()
	if err != nil {
		return nil, err
	}
	defer scratch.Release()
	in, err := m.runtime.newInstance(ctx, m.compiled, m.globals, scratch)
	if err != nil {
		return nil, err
	}
	if err := in.swap(nil); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// Manifest returns what the module says of itself. It must not be changed.
func (m *Module) Manifest() *abi.Manifest { return m.manifest }

// Hash returns the SHA-256 of the module as it was given to Load.
func (m *Module) Hash() [sha256.Size]byte { return m.hash }

// LoadTimes returns what Load spent its time on.
func (m *Module) LoadTimes() LoadTimes { return m.took }

// WarmUpError returns why the warm-up failed, or nil. The module works, but each room
// begins colder: it takes more memory.
func (m *Module) WarmUpError() error { return m.warmUp }

// ImageSize returns the length of the memory that a room begins with, in bytes.
func (m *Module) ImageSize() int { return m.image.Size() }

// CopyOnWrite reports whether rooms share the pages that they do not change.
func (m *Module) CopyOnWrite() bool { return m.image.CopyOnWrite() }

// Rooms returns the number of rooms that are not closed.
func (m *Module) Rooms() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rooms
}

// join counts a room in.
func (m *Module) join() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.gone {
		return moduleError(ErrClosed, "the module")
	}
	m.rooms++
	return nil
}

// part counts a room out.
func (m *Module) part() {
	m.mu.Lock()
	m.rooms--
	m.freeLocked()
}

// Close makes the module refuse new rooms. Its memory and code are given back when its
// last room is closed or replaced.
func (m *Module) Close() error {
	m.mu.Lock()
	m.closed = true
	m.freeLocked()
	return nil
}

// kill gives everything back though rooms are left; their turns fail.
func (m *Module) kill() {
	m.mu.Lock()
	m.closed, m.rooms = true, 0
	m.freeLocked()
}

// freeLocked frees the module once, if it is time, and unlocks mu.
func (m *Module) freeLocked() {
	free := m.closed && m.rooms <= 0 && !m.gone
	if free {
		m.gone = true
	}
	m.mu.Unlock()
	if free {
		m.runtime.mu.Lock()
		delete(m.runtime.modules, m)
		m.runtime.mu.Unlock()
		m.free()
	}
}

func (m *Module) free() {
	m.pool.close()
	if m.image != nil {
		_ = m.image.Close() // the file's data is gone anyway
	}
	_ = m.compiled.Close(context.Background()) // never fails
}
