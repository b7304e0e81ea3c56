package protocol

import "errors"

// ErrMalformed is what every *[Error] wraps.
var ErrMalformed = errors.New("protocol: malformed")

// An Error says which field of a message was refused. Field is its name in PROTOCOL.md,
// such as "seq"; empty when the fault is in the message as a whole.
type Error struct {
	Field, Reason string
	// Err is the fault beneath, such as a *jsonx.Error; may be nil.
	Err error
}

func (e *Error) Error() string { return ErrMalformed.Error() + ": " + e.Text() }

// Text is the error for the eyes of the client that sent the message.
func (e *Error) Text() string {
	s := e.Reason
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns [ErrMalformed] and the fault beneath.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrMalformed}
	}
	return []error{ErrMalformed, e.Err}
}
