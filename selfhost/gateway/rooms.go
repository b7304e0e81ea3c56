package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Rooms is what the gateway needs of whatever runs the rooms. All methods may be called
// concurrently; calls about one connection come from one goroutine at a time, in
// this order: one Connect, any number of Message and Space, one Closed.
//
// An error that wraps an [abi.Code] or a [*Refusal] says what the client is told. Any
// other error is told as [abi.CodeInternal], without its text.
type Rooms interface {
	// Kind returns the options of a kind, with defaults, and whether there is such a kind.
	Kind(name string) (abi.KindOptions, bool)

	// Connect asks the room for admission and returns as soon as the event waits in the
	// mailbox, so before the room has decided. An error refuses the client, and no other
	// call about c follows. ctx is that of the handshake and ends with it.
	//
	// The room refuses later by [Connection.Close]. Nothing may be sent on c before the
	// connect turn is durable; the client may send before that, and its messages wait
	// in the mailbox behind the connect event. ev belongs to Rooms.
	Connect(ctx context.Context, c *Connection, ev *abi.ConnectEvent) error

	// Message hands over one message of the client. It never blocks: when the room's
	// mailbox is full it returns an error that wraps [ErrMailboxFull], and the
	// gateway stops reading from the client until [Rooms.Space]. Any other
	// error closes the connection with its code. data belongs to Rooms after nil.
	Message(c *Connection, enc abi.Encoding, data []byte) error

	// Space returns a channel that is closed once c's mailbox may have room again.
	// It is asked for after a Message that found the mailbox full; if there is room
	// already, the channel is closed already.
	Space(c *Connection) <-chan struct{}

	// Closed says that c has ended. It comes exactly once for every Connect that
	// returned nil, also when the room itself closed c, and it is the last
	// call about c. It must not block, and it cannot be refused: a mailbox has to
	// take it even when it is full. clean is true if both sides took part in the
	// closing handshake; reason is valid UTF-8 of at most abi.MaxCloseReason bytes.
	Closed(c *Connection, code abi.Code, reason string, clean bool)

	// Request runs an HTTP request to a room and waits for the room's answer, at most
	// until ctx ends. ev.ID is unique as a connection's ID is. ev belongs to Rooms; the
	// gateway does not change what is returned.
	Request(ctx context.Context, kind, room string, ev *abi.RequestEvent) (*abi.RespondEffect, error)
}

// Identity is who a client is, as its credential says.
type Identity struct {
	// User is at most abi.MaxUser bytes; empty for an anonymous client.
	User string
	// Claims is a JSON object of at most abi.MaxClaims bytes, or empty.
	Claims []byte
	// Expires is when the credential ends, and with it the connection: it is closed with
	// [abi.CodeTokenExpired] and the client comes back with a new one. Zero: never.
	Expires time.Time
}

// An Admitter decides who may come in: it finds the credential in the request, verifies
// it, checks the origin, and answers with the identity. It is called for WebSocket
// upgrades and for HTTP requests alike, never for a request whose kind or names
// are wrong.
//
// kind says among other things whether anonymous clients are welcome. The error is
// read as those of [Rooms] are. ctx ends with the handshake or the request.
type Admitter interface {
	Admit(ctx context.Context, r *http.Request, kind abi.KindOptions, room string) (Identity, error)
}

// AdmitFunc is an [Admitter] made of one function.
type AdmitFunc func(ctx context.Context, r *http.Request, kind abi.KindOptions, room string) (Identity, error)

// Admit calls f.
func (f AdmitFunc) Admit(ctx context.Context, r *http.Request, kind abi.KindOptions, room string) (Identity, error) {
	return f(ctx, r, kind, room)
}
