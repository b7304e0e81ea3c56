package host

import "errors"

// ErrStart is what every *[StartError] wraps.
var ErrStart = errors.New("the room does not start")

// A StartError says that a room trapped while it started: no event can run. The caller
// waits before it tries again, longer each time, and closes the room's connections
// with [abi.CodeRoomUnavailable] when it gives up.
type StartError struct {
	Kind, Room string
	Trap       *Trap
}

func (e *StartError) Error() string {
	return "room " + e.Kind + "/" + e.Room + " does not start: " + e.Trap.Error()
}

// Unwrap returns [ErrStart] and the trap.
func (e *StartError) Unwrap() []error { return []error{ErrStart, e.Trap} }
