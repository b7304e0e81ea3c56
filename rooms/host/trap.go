package host

import "errors"

// Cause says why a turn trapped.
type Cause string

// The causes.
const (
	CausePanic   Cause = "panic"   // the room's code panicked or hit a WebAssembly trap
	CauseFuel    Cause = "fuel"    // the turn took more work than its budget
	CauseMemory  Cause = "memory"  // the room asked for more memory than its cap
	CauseStack   Cause = "stack"   // the room recursed too deep
	CauseBlocked Cause = "blocked" // the room slept, blocked, or left a goroutine behind
	CauseExit    Cause = "exit"    // the room called os.Exit
	CauseGarbage Cause = "garbage" // the effects are malformed or cross a limit
	CauseStorage Cause = "storage" // a storage read failed; not the room's fault
	CauseEvent   Cause = "event"   // the event itself is malformed and never reached the room
)

// ErrTrap is what every *[Trap] wraps.
var ErrTrap = errors.New("the room trapped")

// A Trap ends a turn without any effect: the room's memory is thrown away.
type Trap struct {
	Cause Cause
	// Message is for people: the panic text, or which limit was crossed. At most 4 KiB.
	Message string
	// Err is the error beneath, if any.
	Err error
}

func (t *Trap) Error() string {
	s := "the room trapped: " + string(t.Cause)
	if t.Message != "" {
		s += ": " + t.Message
	}
	return s
}

// Unwrap returns [ErrTrap] and the error beneath.
func (t *Trap) Unwrap() []error {
	if t.Err == nil {
		return []error{ErrTrap}
	}
	return []error{ErrTrap, t.Err}
}
