// Package store is the self-hosted server's durable memory: an ordered key-value
// space per room, the room's commit number, its alarm and its outbox, all changed
// by one atomic [Commit] per turn.
//
// It holds the interface and the domain types; an engine lives in a sub-package
// named after what it stands on ([github.com/oriel-rooms/oriel/selfhost/store/pebble]
// is the embedded one). A store never runs a room, never delivers an effect and
// never looks at a clock: every time in it came with a commit.
//
// # Lifecycle
//
//	open the store            one process, one directory (embedded) or one service (Redis)
//	Alarms, Outboxes          what has to be started without anybody asking
//	Open a room               takes the ownership of it; State says where it stands
//	  Get, List               during a turn: all earlier turns' writes, durable or not
//	  Commit                  after a turn; the answer comes later, in turn order
//	  Reset                   after a commit that failed for certain: back to the durable state
//	Close the room            when nothing waits for an answer
//	Close the store
//
// # Outcomes of a commit
//
// Each commit is answered exactly once, with one of three meanings:
//
//   - nil: it is durable (or applied, under [Relaxed]) and its effects may leave.
//   - an error that wraps [ErrStopped] or [ErrFenced]: undecided or not ours any more.
//     Its effects never leave. It may be found in the store later, or not.
//   - any other error: it failed for certain, and so did every later commit of the room.
//
// # Numbers
//
// Commits of a room are numbered 1, 2, 3... A commit whose number follows the
// last one applies; the last number again, by the same owner, succeeds without being
// applied twice; every other number is refused with [ErrNumber]. A commit that
// changes nothing ([Commit.Empty]) has no number and touches no disk: it only
// waits for its place in the order.
package store
