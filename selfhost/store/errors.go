package store

import "errors"

var (
	// ErrStopped means that the store has stopped for good after a failed write or
	// fsync, a full disk, or a fault found in its files. Whether a commit that got it
	// is in the store is known only after the process has started again.
	ErrStopped = errors.New("the store has stopped")
	// ErrClosed means that the store or the room was closed by its user.
	ErrClosed = errors.New("closed")
	// ErrVoid means that an earlier commit of the room failed, so that this one never was
	// tried. [Room.Reset] ends that state.
	ErrVoid = errors.New("void, because an earlier commit of the room failed")
	// ErrNumber means that a commit's number neither follows the last one nor repeats it.
	ErrNumber = errors.New("commit number out of order")
	// ErrFenced means that another owner has taken the room. The embedded engine never
	// says it: its lock on the directory makes this process the only owner.
	ErrFenced = errors.New("another owner has the room")
	// ErrOwned means that another living node has the room: see [OwnedError].
	ErrOwned = errors.New("another node has the room")
	// ErrInvalid means that a commit, a name or a request crosses a limit.
	ErrInvalid = errors.New("invalid")
	// ErrBusy means that more bytes wait to be written than the store allows. A caller
	// that asks [Room.Busy] before a turn does not see it.
	ErrBusy = errors.New("too much is waiting to be written")
	// ErrOpen means that the room is open already.
	ErrOpen = errors.New("the room is open already")
	// ErrPending means that commits of the room still wait for their answer.
	ErrPending = errors.New("commits are waiting for their answer")
	// ErrLocked means that another process has the store's directory open.
	ErrLocked = errors.New("in use by another process")
	// ErrFormat means that the files are of a version that this program does not know,
	// or are not a store's at all.
	ErrFormat = errors.New("unknown format")
	// ErrCorrupt means that a stored row does not decode.
	ErrCorrupt = errors.New("corrupt row")
)

// An Error says which operation failed, and on which room.
type Error struct {
	// Op is the operation: "open", "commit", "get", "list", "outbox", "alarms", "reset",
	// "close".
	Op string
	// Room is the zero value where the whole store is meant.
	Room RoomID
	// Path is the directory, where one is meant.
	Path string
	// Err wraps one of this package's sentinels, or is the engine's own error.
	Err error
}

func (e *Error) Error() string {
	s := "store: " + e.Op
	if e.Room != (RoomID{}) {
		s += " " + e.Room.String()
	}
	if e.Path != "" {
		s += " " + e.Path
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }
