package gateway

import "github.com/oriel-rooms/oriel/rooms/abi"

// A Connection is a client attached to a room: (socket, room). Today a socket carries
// exactly one; the type is apart from [Socket] because protocols to come carry several.
//
// The exported fields are set before [Rooms.Connect] and never change. All methods may
// be called concurrently and by anyone, also from inside a call of [Rooms]; none
// of them ever waits for the client.
type Connection struct {
	// ID is never zero and never used again, by this or any other process of the service:
	// see [Options.Process].
	ID uint64
	// Kind and Room name the room.
	Kind, Room string
	// User is the identity; empty for an anonymous client.
	User string
	// Protocol is the subprotocol that was agreed on; may be empty.
	Protocol string
	// Address is the client's network address without the port.
	Address string

	// Local belongs to the implementation of [Rooms], which sets it in Connect and reads
	// it in later calls, so that it needs no table from connections to its own state.
	Local any

	socket *Socket
}

// Send writes one frame to the client, or queues it. See [Result].
func (c *Connection) Send(f *Frame) Result { return c.socket.send(f.one[:], f.wire) }

// SendBatch writes the frames of b in order, with one system call if the client keeps up.
func (c *Connection) SendBatch(b *Batch) Result { return c.socket.send(b.frames, b.wire) }

// Close ends the connection with a closing handshake, behind everything that was sent
// before. From then on nothing is sent any more and no call of [Rooms.Message] begins,
// though one may be under way. The client has [Options.CloseTimeout] to take what is queued and to answer;
// then the socket is cut. [Rooms.Closed] follows, with this code and reason.
//
// A code that may not travel in a close frame is replaced by [abi.CodeInternal], except
// [abi.CodeNoStatus], which sends a close frame without a code. A reason that is too
// long is cut. Only the first Close counts.
func (c *Connection) Close(code abi.Code, reason string) { c.socket.close(code, reason) }

// Resync says that messages to the client or from it may have been lost, because the node that
// ran the room died or its link broke. The client is asked to say where it stands if its protocol
// has a message for that ([Protocol.Resync]); else its connection is closed with
// [abi.CodeRestarting], and it comes back.
func (c *Connection) Resync() {
	if p := c.socket.protocol; p != nil && p.resync != nil {
		c.Send(p.resync)
		return
	}
	c.Close(abi.CodeRestarting, abi.CloseReason(abi.CodeRestarting, 0, ""))
}

// Queued returns the number of bytes that wait to be written to the client.
func (c *Connection) Queued() int { return c.socket.queued() }
