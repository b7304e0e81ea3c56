// Package rooms is the SDK for room authors. A kind of room is a Go value that
// implements a few small optional interfaces; the same package runs natively in
// unit tests (package roomtest) and, compiled to WebAssembly, under every host.
//
//	type Echo struct{}
//
//	func (Echo) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
//		room.Broadcast(m)
//	}
//
//	func init() {
//		rooms.Register("echo", func() rooms.Kind { return Echo{} }, rooms.Options{})
//	}
//
//	func main() {}
//
// # Life of a room
//
// A room lives in one memory and runs one turn at a time: the host hands over a batch
// of events, the handlers run one after the other, and everything they asked for
// (sends, writes, the alarm) is applied together afterwards, or not at all. When
// a handler panics, none of the turn happened.
//
// Between any two turns a room may be put to sleep: its memory goes, its connections
// stay, and the next event finds a fresh value of the kind that gets Start first. So
// what must survive belongs in [Storage] or in a connection's attachment, and what is
// only a cache belongs in the value's fields. Package variables are for constants
// only: one memory may run many rooms.
//
// # What a handler must not do
//
// Sleep, block, start a goroutine that outlives the turn, read files, open sockets.
// Hosts end such a turn with an error that says so. time.Now is the turn's clock;
// [Room.Now] says the same in fewer instructions. Use [Room.Rand] for randomness: the
// package-level generators of math/rand start in the same state in every room.
//
// encoding/json and fmt work, and make a module half a megabyte larger and a
// message ten times slower; package rooms/session/protocol has bounded readers
// and writers for small JSON values.
package rooms
