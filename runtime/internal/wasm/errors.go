package wasm

import (
	"errors"
	"fmt"
)

// What an [Error] wraps.
var (
	// ErrNotWasm: the bytes are not a WebAssembly 1.0 binary module, or a broken one.
	ErrNotWasm = errors.New("not a WebAssembly module")
	// ErrUnsupported: the module is well-formed as far as it was read, but uses what
	// this runtime does not run.
	ErrUnsupported = errors.New("unsupported module")
)

// An Error says in one line what is wrong with a module.
type Error struct {
	// Reason is for people.
	Reason string
	// Offset is the place in the binary, in bytes, or -1.
	Offset int
	// Err is [ErrNotWasm] or [ErrUnsupported].
	Err error
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("%v: %s", e.Err, e.Reason)
	}
	return fmt.Sprintf("%v: %s (at byte %d)", e.Err, e.Reason, e.Offset)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Detail is the error's text without that of Err.
func (e *Error) Detail() string {
	if e.Offset < 0 {
		return e.Reason
	}
	return fmt.Sprintf("%s (at byte %d)", e.Reason, e.Offset)
}
