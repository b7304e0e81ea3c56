package member

import "errors"

var (
	// ErrOptions means that [Join] cannot work with its options.
	ErrOptions = errors.New("invalid options")
	// ErrExpired means that the lease was not renewed in time, on this node's own clock.
	ErrExpired = errors.New("the lease was not renewed in time")
	// ErrGone means that Redis does not know this identity any more: its lease ended there, or
	// Redis lost it.
	ErrGone = errors.New("the lease is gone at Redis")
	// ErrLeft means that the node left.
	ErrLeft = errors.New("the node has left")
	// ErrVersion means that this program is too old, or too new, for the nodes that live.
	ErrVersion = errors.New("this program does not fit the nodes that live")
	// ErrFull means that [MaxMembers] nodes are members already.
	ErrFull = errors.New("the fleet is full")
	// ErrFormat means that what Redis holds is not what this program, or one that it knows of,
	// has written.
	ErrFormat = errors.New("unknown format")
)

// An Error says which operation failed.
type Error struct {
	// Op is the operation: "join", "renew", "drain", "leave", "alive", "agree", "list".
	Op string
	// Node is the identity meant, or the address of a node that has none yet.
	Node string
	// Err wraps one of this package's sentinels, or is Redis's own error.
	Err error
}

func (e *Error) Error() string {
	s := "member: " + e.Op
	if e.Node != "" {
		s += " " + e.Node
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }
