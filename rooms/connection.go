package rooms

import (
	"slices"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Connection is one client attached to the room. A pointer to it stays the same from
// connect to close unless the room sleeps, so keep the ID, not the pointer, in storage.
type Connection struct {
	room       *Room
	info       abi.Connection
	query      string // during the connect turn only
	address    string // during the connect turn only
	connecting bool
	closed     bool        // by the room, or its close event has come
	slot       any         // see Slot
	prev, next *Connection // in the order of joining
	attached   [48]byte    // the first memory of the attachment
}

// ID is unique among the room's connections for ever, and never zero.
func (c *Connection) ID() uint64 { return c.info.ID }

// User is the verified identity, empty for an anonymous client. At most 128 bytes.
func (c *Connection) User() string { return c.info.User }

// Claims is a JSON object of what the credential says beside the identity, or empty.
func (c *Connection) Claims() []byte { return c.info.Claims }

// Protocol is the WebSocket subprotocol, or empty.
func (c *Connection) Protocol() string { return c.info.Protocol }

// Since is the time of the connect event.
func (c *Connection) Since() time.Time { return time.UnixMilli(int64(c.info.Since)).UTC() }

// Tags are those set in the connect turn. Do not change the slice.
func (c *Connection) Tags() []string { return c.info.Tags }

// Attachment is what Attach kept, valid until the next Attach. Do not change the slice.
func (c *Connection) Attachment() []byte { return c.info.Attachment }

// Muted reports whether the connection is left out of broadcasts.
func (c *Connection) Muted() bool { return c.info.Muted }

// Open reports whether the room has not closed the connection.
func (c *Connection) Open() bool { return !c.closed }

// Query is the query of the client's URL as sent. It is known in Connect only.
func (c *Connection) Query() string { return c.query }

// Address is the client's network address. It is known in Connect only.
func (c *Connection) Address() string { return c.address }

// Attach keeps up to 8,192 bytes with the connection, through sleep and moves, for exactly
// as long as it lives. It panics if the data is larger.
func (c *Connection) Attach(data []byte) {
	if len(data) > abi.MaxAttachment {
		panic("rooms: an attachment is larger than 8,192 bytes")
	}
	if c.closed {
		return
	}
	c.info.Attachment = append(c.attached[:0], data...)
	i := c.room.instance
	i.emit((&abi.AttachEffect{Connection: c.info.ID, Data: data}).Append(i.out))
}

// SetTags sets the tags that a broadcast can select by: at most 10, of at most 256
// bytes each. It panics outside Connect: tags never change afterwards.
func (c *Connection) SetTags(tags ...string) {
	if !c.connecting {
		panic("rooms: tags can be set only in Connect")
	}
	if len(tags) > abi.MaxTags {
		panic("rooms: more than 10 tags")
	}
	for _, t := range tags {
		if len(t) > abi.MaxTag {
			panic("rooms: a tag is longer than 256 bytes")
		}
	}
	c.info.Tags = slices.Clone(tags)
	c.room.effect(&abi.TagsEffect{Connection: c.info.ID, Tags: tags})
}

// Mute takes the connection out of broadcasts, or back in. It still gets what Send sends.
func (c *Connection) Mute(muted bool) {
	if c.closed || c.info.Muted == muted {
		return
	}
	c.info.Muted = muted
	i := c.room.instance
	i.emit((&abi.MuteEffect{Connection: c.info.ID, Muted: muted}).Append(i.out))
}

// Send sends one message to this connection. It panics if the message is over 1 MiB.
func (c *Connection) Send(m Message) {
	if c.closed {
		return
	}
	checkPayload(m)
	i := c.room.instance
	i.emit(abi.AppendSend(i.out, c.info.ID, m.encoding(), m.Key, m.Data))
}

// Close ends the connection with a code of the table or of the room's own (4400 to 4999). In
// Connect it refuses the client, and the room hears nothing more of it. Otherwise no message of
// it comes any more, the room does not list it any more, and its Close comes in a later turn.
func (c *Connection) Close(code abi.Code, reason string) {
	if c.closed {
		return
	}
	if !code.Sendable() {
		code = abi.CodeKicked
	}
	c.close()
	c.room.effect(&abi.CloseEffect{Connection: c.info.ID, Code: code, Reason: abi.CutReason(reason)})
}

func (c *Connection) close() {
	if !c.closed {
		c.closed = true
		c.room.open--
	}
}

// A CloseError refuses a connection with a code and a reason for people.
type CloseError struct {
	Code   abi.Code
	Reason string
}

func (e *CloseError) Error() string { return e.Code.String() + ": " + e.Reason }

// Unwrap returns the code, which is an error too.
func (e *CloseError) Unwrap() error { return e.Code }

func checkPayload(m Message) { checkSizes(len(m.Data), m.Key) }

func checkSizes(data int, key string) {
	if data > abi.MaxMessage {
		panic("rooms: a message is larger than 1 MiB")
	}
	if len(key) > abi.MaxConflationKey {
		panic("rooms: a conflation key is longer than 128 bytes")
	}
}
