// Package pebble is the embedded [store.Store]: one process, one directory, on the
// log-structured engine github.com/cockroachdb/pebble with its write-ahead log.
//
// All rooms commit through one committer. What waits from all rooms is written as one
// batch with one fsync (group commit), and while that fsync runs the next group
// gathers. Answers leave in the order of submission.
//
// It never retries a write or an fsync that failed. The first failed operation on any
// of its files stops the store for good: nothing more reaches the disk, every commit
// that waits and every later call fails with [store.ErrStopped], and
// [Store.Stopped] tells the process. A commit was answered with nil only after its
// fsync, so the next start finds everything that was acknowledged.
//
// # Lifecycle
//
// [Open] takes the directory's lock, recovers, writes what it recovered to fresh files
// and starts three goroutines: the committer, one that waits for fsyncs and one that
// answers. [Store.Close] ends them. A store that stopped leaves the engine's goroutines
// parked where they were, because the engine cannot go on after a failed write and must
// not be let try; they end with the process, which has no further use for them.
//
// # The term
//
// [store.State.Term] is drawn at random once per [Open]. A durable commit that was
// answered is never lost, so a new term is needed only where a process starts, which
// is also where relaxed commits may have been lost.
//
// # Format 1
//
// Integers named u64 are 8 bytes, big-endian; uvarint and bytes are those of
// [github.com/oriel-rooms/oriel/rooms/abi]; room stands for kind 0x00 name 0x00 (names
// hold no zero byte).
//
//	key                       value
//	0x00 "format"             uvarint 1
//	'a' due:u64 room          empty; the time index of alarms that are not parked
//	'm' room                  the room's meta row
//	'o' room id:u64           one row of the outbox
//	'r' room key              one row of the room
//
// A meta row is: 0x01, uvarint commit number, uvarint time, uvarint alarm scheduled,
// uvarint alarm due, uvarint alarm attempts, and the host's bytes to the end. A room
// has one from its first commit on, for ever, so that its numbers never begin again.
// A store with another format number, and a directory with a database of another
// program, are refused with [store.ErrFormat]. The files beneath are Pebble's format
// major version 20 (FormatWALSyncChunks), which a later Pebble reads; a newer one is
// written only after a release that reads it.
package pebble
