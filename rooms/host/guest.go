package host

import (
	"context"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Guest runs the turns of one room. Calls for one Guest never overlap.
type Guest interface {
	// Turn runs one encoded batch ([abi.AppendBatch]) and returns the encoded
	// effects, which belong to the caller. A *[Trap] means that the room's memory is
	// gone already: the next batch begins with a start event under a fresh handle. Any
	// other error (the context's, a closed guest) means that the turn did not run.
	Turn(ctx context.Context, batch []byte, storage Storage) (effects []byte, err error)
	// Sleep gives the room's memory back; the next batch begins with a start event.
	Sleep()
}

// Storage is what a room reads during a turn: its own rows, as all its earlier turns
// left them, durable or not yet. An error ends the turn as a trap with
// [CauseStorage].
type Storage interface {
	Get(ctx context.Context, key []byte) (value []byte, ok bool, err error)
	List(ctx context.Context, q abi.ListRequest) (abi.ListResponse, error)
}

// A CachedStorage can say at once what it knows without waiting. When hit is false the
// guest's instance is parked and Get is called.
type CachedStorage interface {
	Storage
	GetCached(key []byte) (value []byte, ok, hit bool)
}
