package store

import (
	"context"
	"fmt"
)

// A Shared store is one that several nodes use at the same time. Open takes a room's
// ownership only if no living node has it, and fails with an [*OwnedError] otherwise. Its rooms are
// [SharedRoom]s. It has no [Index]: what is due comes from Claim.
type Shared interface {
	Store
	// Claim returns at most limit (1 to [MaxClaim]) rooms that should be opened now, because an
	// alarm of theirs is due or their outbox has rows that nobody delivers. No other node gets the
	// same room within the store's claim time, after which it is due again unless it was opened and
	// had nothing to do any more. A room that has an owner may be among them.
	Claim(ctx context.Context, limit int) ([]RoomID, error)
	// Owner returns whom the record of a room names, living or not, and the zero value if nobody.
	Owner(ctx context.Context, id RoomID) (Owner, error)
}

// MaxClaim bounds the rooms of one [Shared.Claim].
const MaxClaim = 256

// A SharedRoom is a room of a [Shared] store.
type SharedRoom interface {
	Room
	// Release gives the ownership back, as Close does, and leaves word whether connections stay
	// attached to the room at some gateway: the next owner then waits for them ([State.Left]). While
	// commits wait for their answer it fails with [ErrPending] and does nothing. After an error of
	// the network the record may still name this owner; a later Open by the same node
	// takes it over.
	Release(ctx context.Context, connected bool) error
}

// An Owner is the token under which a room is written: who may, and since when.
type Owner struct {
	// Node is the identity of a node: address and generation. A dead one never returns.
	Node string
	// Epoch rises with every change of the ownership, from 1.
	Epoch uint64
	// Term is the random part: see [State.Term].
	Term string
}

// Left says how the ownership before this one ended.
type Left uint8

const (
	// LeftEmpty: nobody was connected, or the room is new. The embedded engine always says it.
	LeftEmpty Left = iota
	// LeftConnected: it was handed over while connections stayed attached at gateways.
	LeftConnected
	// LeftDead: its node died or gave up its lease. Connections may be attached at gateways, and
	// effects of committed turns may never have left.
	LeftDead
)

// An OwnedError means that a living node other than this one owns the room. It wraps [ErrOwned].
type OwnedError struct{ Owner Owner }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("%s: %s, epoch %d", ErrOwned.Error(), e.Owner.Node, e.Owner.Epoch)
}

// Unwrap returns [ErrOwned].
func (e *OwnedError) Unwrap() error { return ErrOwned }
