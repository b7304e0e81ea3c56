package client

import (
	"errors"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

var (
	// ErrClosed means that the client was closed, or gave up because the server said so.
	ErrClosed = errors.New("client: closed")
	// ErrOutcomeUnknown means that a publish was sent and its answer will never be known: the
	// session was lost, or its user stopped waiting. It is never sent in another session.
	ErrOutcomeUnknown = errors.New("client: the outcome of the publish is unknown")
	// ErrQueueFull means that more publishes wait than the options allow.
	ErrQueueFull = errors.New("client: too many publishes wait")
	// ErrDisconnected means that the connection ended, or something on it may have been lost, before a
	// request was answered, or that there is none.
	ErrDisconnected = errors.New("client: not connected")
	// ErrInvalid means that the name or the payload of a message is not one of the protocol.
	ErrInvalid = errors.New("client: not a message")
	// ErrOptions means that the options cannot be used.
	ErrOptions = errors.New("client: bad options")

	// errBroken ends a connection on which the room broke the protocol. The client goes on
	// from the place it had.
	errBroken = errors.New("client: the room broke the protocol")
	// errNoWelcome and errSilent end a connection that is as good as dead.
	errNoWelcome = errors.New("client: no welcome came in time")
	errSilent    = errors.New("client: nothing was heard for two heartbeats")
	// errLost ends a connection whose session the room has lost.
	errLost = errors.New("client: the room has lost the session")
)

// A RoomError is a room's final answer to a publish, or its answer to a request.
type RoomError struct {
	// Code is a name of the error table, or one of the kind's own.
	Code string
	Text string
	// Retry is the delay after which a request may be made again; Retryable says if at all.
	Retry     time.Duration
	Retryable bool
}

func (e *RoomError) Error() string { return "client: the room answered " + e.Code + ": " + e.Text }

// A StopError says why the client gave up.
type StopError struct {
	Code   abi.Code
	Reason string
}

func (e *StopError) Error() string {
	return "client: the server closed for good: " + e.Code.String() + ": " + e.Reason
}

// Unwrap returns [ErrClosed] and the code.
func (e *StopError) Unwrap() []error { return []error{ErrClosed, e.Code} }

// unknown is an ErrOutcomeUnknown with its cause.
type unknown struct{ cause error }

func (e *unknown) Error() string { return ErrOutcomeUnknown.Error() + ": " + e.cause.Error() }

func (e *unknown) Unwrap() []error { return []error{ErrOutcomeUnknown, e.cause} }

// invalid is an ErrInvalid that says what is.
type invalid struct{ what string }

func (e *invalid) Error() string { return ErrInvalid.Error() + ": " + e.what }

func (e *invalid) Unwrap() error { return ErrInvalid }
