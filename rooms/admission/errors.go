package admission

import (
	"errors"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

var (
	// ErrSecret means that a signing secret cannot be used.
	ErrSecret = errors.New("admission: bad secret")
	// ErrOrigin means that an origin of an allow-list is not one.
	ErrOrigin = errors.New("admission: bad origin")
	// ErrPolicy means that a [Policy] contradicts itself.
	ErrPolicy = errors.New("admission: bad policy")
	// ErrClaims means that a token with these claims would not be admitted.
	ErrClaims = errors.New("admission: bad claims")
)

// An Error says why a part of a request is refused. It wraps its Code, so that
// errors.Is(err, abi.CodeTokenExpired) works.
type Error struct {
	// Op is what was being read: "route", "host", "query", "origin", "credential",
	// "token", "grant" or "protocol".
	Op string
	// Code tells the client what to do next.
	Code abi.Code
	// Detail is a sentence for people. It never holds a credential or a part of one.
	Detail string
}

func (e *Error) Error() string { return "admission: " + e.Op + ": " + e.Detail }

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

func refused(op string, code abi.Code, detail string) *Error {
	return &Error{Op: op, Code: code, Detail: detail}
}
