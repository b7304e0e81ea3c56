package config

import (
	"errors"
	"strings"
)

var (
	// ErrUsage means that the command line names no command, or an unknown flag.
	ErrUsage = errors.New("config: bad usage")
	// ErrSetting means that a setting has a value it cannot have, or lacks one.
	ErrSetting = errors.New("config: bad setting")
)

// An Error says in one line what is wrong with what the operator said. It wraps
// [ErrUsage] or [ErrSetting].
type Error struct {
	// Setting is the name in the table; empty for a usage error.
	Setting string
	// Source says where the value came from, such as "--listen", "ORIEL_LISTEN",
	// "oriel.toml" or "not set".
	Source string
	Reason string
	Err    error
}

// Error is always one line.
func (e *Error) Error() string {
	s := e.Reason
	switch {
	case e.Setting != "" && e.Source != "":
		s = e.Setting + " (" + e.Source + "): " + s
	case e.Setting != "":
		s = e.Setting + ": " + s
	case e.Source != "":
		s = e.Source + ": " + s
	}
	return strings.Join(strings.Fields(s), " ")
}

// Unwrap returns [ErrUsage] or [ErrSetting].
func (e *Error) Unwrap() error { return e.Err }
