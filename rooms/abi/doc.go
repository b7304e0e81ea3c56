// Package abi is the contract between a room and whatever runs it: the encoding
// of a turn (a batch of events in, a batch of effects out), its limits, the
// manifest of a module, and the table of error and close codes.
//
// It is pure: no I/O, no goroutines, no state, and no import of any other package
// of this module. Guests compiled to WebAssembly and hosts written in Go share
// it; hosts and guests in other languages follow ABI.md, whose golden bytes in
// testdata are checked by this package's tests.
//
// Every decoder is strict: a trailing byte, an over-long integer, an unknown
// type or a crossed limit is an error ([ErrMalformed] or [ErrLimit]), and
// nothing is ever read past the input. Decoded byte slices alias the input;
// decoded strings are copies.
package abi

//go:generate go run ./internal/gen

// ImportModule is the name of the WebAssembly import module that a room's guest
// imports the host's functions from. It is the ABI's version: a host derives the
// version from a module's imports and from nothing else.
const ImportModule = "oriel_room_v1"

// Names of a guest's exports. ABI.md gives their signatures.
const (
	ExportMemory     = "memory"
	ExportInitialize = "_initialize"
	ExportManifest   = "oriel_manifest"
	ExportInbox      = "oriel_inbox"
	ExportTurn       = "oriel_turn"
)

// Names of the functions that a host provides under [ImportModule].
const (
	ImportStorageGet  = "storage_get"
	ImportStorageList = "storage_list"
	ImportLog         = "log"
)

// LogLevel is the severity of a guest's log line, the numbers of log/slog.
type LogLevel int32

// The levels of a guest's log lines.
const (
	LogDebug LogLevel = -4
	LogInfo  LogLevel = 0
	LogWarn  LogLevel = 4
	LogError LogLevel = 8
)
