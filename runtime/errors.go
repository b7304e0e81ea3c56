package runtime

import (
	"errors"
	"fmt"

	"github.com/oriel-rooms/oriel/runtime/internal/memory"
	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
)

// What the errors of this package wrap.
var (
	// ErrClosed: the runtime, module or room is closed.
	ErrClosed = errors.New("closed")
	// ErrNotWasm: the bytes are not a WebAssembly module.
	ErrNotWasm = wasm.ErrNotWasm
	// ErrUnsupported: the module uses a feature that this runtime does not run.
	ErrUnsupported = wasm.ErrUnsupported
	// ErrTooManyRooms: as many rooms are awake as the system allows mappings. The turn did
	// not run; it may when other rooms sleep.
	ErrTooManyRooms = memory.ErrNoMappings
	// ErrTooLarge: the module or its memory is above [Options.MaxModule] or
	// [Options.MemoryLimit].
	ErrTooLarge = errors.New("module too large")
	// ErrABI: an import, an export, a signature or the version does not fit.
	ErrABI = errors.New("module does not fit the ABI")
	// ErrStart: the module failed while it was started.
	ErrStart = errors.New("module did not start")
	// ErrBatch: a batch is too large or its header is malformed. The turn did not run.
	ErrBatch = errors.New("malformed batch")
	// ErrBusy: a room was used by two goroutines at once.
	ErrBusy = errors.New("the room is in a turn")
)

// A ModuleError says in one line why a module cannot be used.
type ModuleError struct {
	// Reason is for people.
	Reason string
	// Err is one of this package's sentinels.
	Err error
}

func (e *ModuleError) Error() string {
	if e.Reason == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Reason
}

// Unwrap returns Err.
func (e *ModuleError) Unwrap() error { return e.Err }

func moduleError(err error, format string, args ...any) *ModuleError {
	return &ModuleError{Reason: fmt.Sprintf(format, args...), Err: err}
}

// A RoomError says what failed with a room, outside of its code.
type RoomError struct {
	// Op is "turn", "create" or "replace".
	Op string
	// Room is the room's name.
	Room string
	Err  error
}

func (e *RoomError) Error() string {
	if e.Room == "" {
		return fmt.Sprintf("runtime: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("runtime: %s of room %s: %v", e.Op, e.Room, e.Err)
}

// Unwrap returns Err.
func (e *RoomError) Unwrap() error { return e.Err }
