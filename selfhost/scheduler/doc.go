// Package scheduler runs the rooms of one node. It stands between the gateway, which
// holds the clients, and the store, which holds what is durable.
//
// A room is an actor: a bounded mailbox, and at most one goroutine that takes what waits
// in it as one batch, runs the turn, and submits the commit. A second goroutine, also
// there only while there is work, delivers the effects of turns whose commits are durable,
// in the order of the turns. An idle room has neither; after its kind's SleepAfter its
// memory goes, and without connections the room itself.
//
//	gateway -> mailbox -> host.Room.Run -> store.Commit -> deliver -> gateway
//
// The scheduler never reads a socket, never writes a file and never decides who may come in.
//
// # Locks
//
// Scheduler.mu before room.mu; neither is held while a guest runs, while the store is
// called (but for Commit, which does no I/O), or while a frame is written.
package scheduler
