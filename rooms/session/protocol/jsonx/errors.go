package jsonx

import (
	"errors"
	"strconv"
)

var (
	// ErrSyntax means that the input is not JSON.
	ErrSyntax = errors.New("jsonx: not JSON")
	// ErrUTF8 means that a string is not UTF-8.
	ErrUTF8 = errors.New("jsonx: not UTF-8")
	// ErrDepth means that the input is nested more than [MaxDepth] deep.
	ErrDepth = errors.New("jsonx: nested too deep")
	// ErrType means that a value has another type or range than the one asked for.
	ErrType = errors.New("jsonx: another type")
)

// An Error says where the first fault is. It wraps one of the errors of this package.
type Error struct {
	Offset int // byte of the input
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() + " at byte " + strconv.Itoa(e.Offset) }

func (e *Error) Unwrap() error { return e.Err }
