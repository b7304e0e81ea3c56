package gateway

import (
	"errors"
	"strconv"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

var (
	// ErrMailboxFull is what [Rooms.Message] returns when the room cannot take the
	// message now. It is not told to the client: its reader waits.
	ErrMailboxFull = errors.New("gateway: the room's mailbox is full")
	// ErrOptions means that an [Options] value cannot be used.
	ErrOptions = errors.New("gateway: bad options")

	errTooBig     = errors.New("gateway: message larger than the kind's limit")
	errFragmented = errors.New("gateway: frames of one message carry too little")
	errNotControl = errors.New("gateway: coder wrote something else than a control frame")
)

// A Refusal says why a client is not let in, or why its connection ends, together with
// what an [abi.Code] alone cannot say.
type Refusal struct {
	Code abi.Code
	// Retry is the delay that is suggested to the client; 0 suggests none.
	Retry time.Duration
	// Detail is one short sentence for people. The client sees it: no secrets.
	Detail string
}

// Error names the code, the detail and the delay.
func (r *Refusal) Error() string {
	s := "gateway: " + r.Code.String()
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	if r.Retry > 0 {
		s += " (retry in " + strconv.FormatInt(r.Retry.Milliseconds(), 10) + " ms)"
	}
	return s
}

// Unwrap makes errors.As find the code.
func (r *Refusal) Unwrap() error { return r.Code }

// reason is the text of the close frame.
func (r *Refusal) reason() string { return abi.CloseReason(r.Code, r.Retry, r.Detail) }

// refusalOf reads what the client is to be told out of an error. The text of an
// error that carries no code stays here: it was not written for the client.
func refusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	var code abi.Code
	if errors.As(err, &code) {
		return &Refusal{Code: code, Retry: defaultRetry(code)}
	}
	return &Refusal{Code: abi.CodeInternal, Retry: defaultRetry(abi.CodeInternal)}
}

// defaultRetry is the suggested delay where nobody knows a better one. Clients add
// jitter of their own.
func defaultRetry(c abi.Code) time.Duration {
	switch c {
	case abi.CodeOverloaded, abi.CodeRoomUnavailable, abi.CodeStorageUnavailable, abi.CodeInternal, abi.CodeTryAgainLater:
		return 2 * time.Second
	case abi.CodeTooManyConnections, abi.CodeRoomFull:
		return 5 * time.Second
	case abi.CodeRateLimited, abi.CodeRestarting:
		return time.Second
	}
	return 0
}
