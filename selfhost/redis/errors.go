package redis

import "errors"

var (
	// ErrOptions means that the options do not fit each other, or a URL does not parse.
	ErrOptions = errors.New("bad Redis options")
	// ErrUnusable means that the server cannot be used: too old, a replica, or commands are
	// forbidden.
	ErrUnusable = errors.New("this Redis cannot be used")
	// ErrForeign means that the key prefix belongs to another cluster, or to another program.
	ErrForeign = errors.New("the key prefix is taken")
	// ErrFormat means that what is under the prefix was written by a newer version.
	ErrFormat = errors.New("unknown format")
)

// An Error says what was being done. Its text is one line and holds no credential.
type Error struct {
	// Op is "options", "connect", "check", "join" or "raise".
	Op string
	// Err wraps one of this package's sentinels, or is the client's own error.
	Err error
}

func (e *Error) Error() string { return "redis: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }
