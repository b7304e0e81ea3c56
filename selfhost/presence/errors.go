package presence

import "errors"

var (
	// ErrAway means that the answer cannot be had now: ask again.
	ErrAway = errors.New("presence is not to be had now")
	// ErrLimit means that a [Watch] has [MaxWatched] users.
	ErrLimit = errors.New("too many users are watched")
	// ErrFormat means that what another node has written does not decode.
	ErrFormat = errors.New("unknown format")
)

// An Error says which question has no answer.
type Error struct {
	// Op is the operation: "user", "room", "devices".
	Op string
	// About is the user or the room.
	About string
	// Err wraps one of this package's sentinels.
	Err error
}

func (e *Error) Error() string { return "presence: " + e.Op + " " + e.About + ": " + e.Err.Error() }

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }
