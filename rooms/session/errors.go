package session

import (
	"errors"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

var (
	// ErrStoreAway means that the store cannot be written at the moment. Clients get it as
	// storage_unavailable.
	ErrStoreAway = errors.New("session: the room's storage cannot be written at the moment")
	// ErrTooLarge means that an event or a member's data is larger than its limit. Clients
	// get it as too_large.
	ErrTooLarge = errors.New("session: too large")
	// ErrNoEvent means that history does not hold the event.
	ErrNoEvent = errors.New("session: no such event")
)

// An Error is what a client is told. The zero value is the final error "invalid".
type Error struct {
	// Code is the name of a row of the error table, or the kind's own: at most 64 of a-z 0-9 _.
	Code string
	// Message is for people, at most 256 bytes; the rest is cut.
	Message string
	// Retryable says that the same message may be sent again after After (milliseconds
	// precision); a publish then does not consume its number.
	Retryable bool
	After     time.Duration
}

func (e *Error) Error() string { return "session: " + e.Code + ": " + e.Message }

// Refuse makes a final error.
func Refuse(code abi.Code, message string) *Error {
	return &Error{Code: code.String(), Message: message}
}

// Retry makes a retryable error.
func Retry(code abi.Code, after time.Duration, message string) *Error {
	return &Error{Code: code.String(), Message: message, Retryable: true, After: after}
}

// retryAfter is suggested where nobody knows better.
const retryAfter = time.Second

// toError says what a handler's error means to the client.
func toError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		c := *e
		if !protocol.ValidCode(c.Code) {
			c.Code = abi.CodeInvalid.String()
		}
		c.Message = cut(c.Message, protocol.MaxErrorText)
		c.After = max(c.After, 0)
		return &c
	}
	if code, ok := errors.AsType[abi.Code](err); ok {
		e := Refuse(code, code.Info().Text)
		if code.Action() == abi.ActionRetry {
			e.Retryable, e.After = true, retryAfter
		}
		return e
	}
	switch {
	case errors.Is(err, ErrStoreAway):
		return toError(abi.CodeStorageUnavailable)
	case errors.Is(err, ErrTooLarge):
		return toError(abi.CodeTooLarge)
	}
	return &Error{Code: abi.CodeInvalid.String(), Message: cut(err.Error(), protocol.MaxErrorText)}
}

// closing says how an error closes a connection.
func (e *Error) closing() (abi.Code, string) {
	code, ok := abi.CodeByName(e.Code)
	if !ok || !code.Sendable() {
		code = abi.CodeForbidden
	}
	var after time.Duration
	if e.Retryable {
		after = e.After
	}
	return code, abi.CloseReason(code, after, e.Message)
}

// cut cuts s to n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
