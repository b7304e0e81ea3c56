package session

import "github.com/oriel-rooms/oriel/rooms/session/protocol"

// Payload is what a message carries: nothing, one JSON value, or opaque bytes. That of a
// received message was checked, and is valid until the handler returns; copy what is kept.
type Payload = protocol.Payload

// JSON makes a payload of one JSON value.
func JSON[S ~string | ~[]byte](data S) Payload { return protocol.JSONPayload(data) }

// Bytes makes a payload of opaque bytes.
func Bytes(data []byte) Payload { return protocol.BytesPayload(data) }

// Publish is a client's publish.
type Publish struct {
	// Event is its name: 1 to 64 printable ASCII characters.
	Event   string
	Payload Payload
	// Seq is the session's number of it; 0 if it came by HTTP.
	Seq uint64
}

// Accept makes the event that says what the publish says.
func (p Publish) Accept() Event { return Event{Name: p.Event, Payload: p.Payload} }

// Event is what members hear and what history keeps.
type Event struct {
	// Name is 1 to 64 printable ASCII characters without quote and backslash.
	Name    string
	Payload Payload
	// Ephemeral keeps the event out of history: it has no offset, and who is not connected
	// never hears of it.
	Ephemeral bool

	// From is the user who published it, empty for the room itself and for anonymous users. Offset
	// and Time (milliseconds since 1970) are those of an event of history. The session sets
	// all three when an event is published.
	From   string
	Offset uint64
	Time   uint64
}

// Request is a client's request.
type Request struct {
	Event   string
	Payload Payload
}

// Signal is an ephemeral message.
type Signal struct {
	Name    string
	Payload Payload
	// Key, when not empty, is the conflation key: while a signal waits in a slow
	// connection's queue, a newer one of the same key takes its place. At most 128 bytes.
	// At the edge every signal is sent.
	Key string
}
