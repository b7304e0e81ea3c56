package abi

import "errors"

var (
	// ErrMalformed means that bytes are not an encoding of what they should be.
	ErrMalformed = errors.New("abi: malformed")
	// ErrLimit means that a value is well formed and crosses a limit of this package.
	ErrLimit = errors.New("abi: limit exceeded")
)

// A FieldError says which field of an encoding was refused. It wraps
// [ErrMalformed] or [ErrLimit].
type FieldError struct {
	Field  string // name in ABI.md, such as "broadcast.data"
	Reason string
	Err    error
}

func (e *FieldError) Error() string { return e.Err.Error() + ": " + e.Field + ": " + e.Reason }

func (e *FieldError) Unwrap() error { return e.Err }
