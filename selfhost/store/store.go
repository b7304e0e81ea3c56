package store

import (
	"context"
	"iter"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Store keeps the rooms of one server. All methods may be called from any
// goroutine.
type Store interface {
	// Open takes the ownership of a room and loads its state. A room that never
	// committed is an empty one. It fails with [ErrOpen] while the room is open already,
	// with [ErrInvalid] for a bad name, in a [Shared] store with an [*OwnedError].
	Open(ctx context.Context, id RoomID) (Room, error)
	// Away reports whether the store cannot be written now, as the header of a turn
	// says it. The embedded engine is away only once it has stopped.
	Away() bool
	// Stopped is closed when the store has stopped for good; [Store.Err] then says why.
	// Every commit that waits is answered with [ErrStopped], every later call fails with
	// it, and nothing more is written. The process should end: another start recovers all
	// that was acknowledged.
	Stopped() <-chan struct{}
	// Err returns nil until the store has stopped, then the cause, which wraps [ErrStopped].
	Err() error
	// Stats returns the counters since the store was opened.
	Stats() Stats
	// Close writes what waits, answers it, and gives the files back. Rooms need not be
	// closed first. It must not be called from a done function. A second call does
	// nothing.
	Close() error
}

// An Index is a store of one process's own, which says what has to be started without anybody
// asking. Of a [Shared] store that is said by Claim.
type Index interface {
	// Alarms yields the alarms that are due at or before until (milliseconds since
	// 1970), earliest first, without opening a room. It sees what is durable; rooms
	// that are open may have moved on. Parked alarms are left out. An error ends it.
	Alarms(ctx context.Context, until uint64) iter.Seq2[DueAlarm, error]
	// Outboxes yields the rooms with rows in their outbox, in no stated order, without
	// opening them. An error ends it.
	Outboxes(ctx context.Context) iter.Seq2[RoomID, error]
}

// A Room is one room in the hands of its one owner. Calls of the reading methods, Commit,
// Reset and Close come from one goroutine at a time (the room's turns never
// overlap); Busy, State and ID may be called from any.
type Room interface {
	// Get, GetCached and List are the host.CachedStorage of the room's turns: they read its
	// rows as all earlier Commits left them, durable or not. What they return belongs to the
	// caller. Requests beyond the limits of [abi] fail with [ErrInvalid]. Between a
	// failed commit and the Reset they may see void rows.
	Get(ctx context.Context, key []byte) (value []byte, ok bool, err error)
	// List returns at most [abi.MaxListEntries] rows and [abi.MaxListBytes] of keys and
	// values; the first row is given whatever its size.
	List(ctx context.Context, q abi.ListRequest) (abi.ListResponse, error)
	// GetCached answers from memory, without waiting; hit is false when Get has to be asked.
	GetCached(key []byte) (value []byte, ok, hit bool)

	// ID returns the room's name.
	ID() RoomID
	// State returns where the room stood when it was opened, or last reset.
	State() State
	// Commit submits a turn's changes and returns at once, without any I/O; nothing of c
	// is kept. done is called exactly once, in the order of the room's Commits, on a goroutine
	// of the store and never on the caller's. It may call Commit, Busy and Reset. It must not
	// block, as all rooms' answers wait for it, and must not call [Store.Close].
	//
	// A turn that changes nothing and follows only answered commits need not be committed.
	Commit(c Commit, done func(error))
	// Busy reports whether so much is waiting, in this room or in the store, that the
	// next turn should wait for an answer.
	Busy() bool
	// Outbox returns up to limit rows (1 to [MaxOutboxRead]) of the outbox with ids greater
	// than after, in the order of their ids, and whether more follow. Rows of commits that
	// are not answered yet are left out.
	Outbox(ctx context.Context, after uint64, limit int) (rows []OutboxRow, more bool, err error)
	// Reset ends the void state after a commit that failed for certain, and loads the
	// room anew. While commits wait for their answer it fails with [ErrPending].
	Reset(ctx context.Context) (State, error)
	// Close gives the ownership back. While commits wait for their answer it fails with
	// [ErrPending] and does nothing. A second call does nothing.
	Close() error
}

// A RoomID names a room in a store.
type RoomID struct{ Kind, Name string }

// String returns "kind/name".
func (id RoomID) String() string { return id.Kind + "/" + id.Name }

// Valid reports whether both names keep the rule of [abi.ValidName].
func (id RoomID) Valid() bool { return abi.ValidName(id.Kind) && abi.ValidName(id.Name) }

// State is where a room stands.
type State struct {
	// Number is the last commit's; 0 for a room that never committed. The next one is
	// Number + 1.
	Number uint64
	// Time is the last commit's, in milliseconds since 1970. A turn's time is never
	// before it.
	Time uint64
	// Term is the random token of this ownership, for the start event. A number or an offset
	// that was answered under a term is never given again under it: where something
	// that was answered may have been lost, a new term begins. The embedded engine draws one
	// per process.
	Term string
	// Alarm is the room's alarm; the zero value when none is set.
	Alarm Alarm
	// Host is what the last commit that set it gave, or nil.
	Host []byte
	// HasOutbox says that rows wait in the outbox.
	HasOutbox bool
	// Epoch is this ownership's rising number; 0 in the embedded engine, where there is but one owner.
	Epoch uint64
	// Left says how the ownership before this one ended.
	Left Left
}

// An Alarm is a room's one alarm. Times are in milliseconds since 1970. The zero value
// is no alarm.
type Alarm struct {
	// Scheduled is the time that the room asked for; 0 for no alarm.
	Scheduled uint64
	// Due is when the next attempt is to be made: Scheduled, or later after failed
	// attempts. 0 parks the alarm: it stays and is never due.
	Due uint64
	// Attempt is the number of attempts that did not commit.
	Attempt uint64
}

// A DueAlarm is one entry of the time index.
type DueAlarm struct {
	Room RoomID
	Due  uint64 // milliseconds since 1970
}
