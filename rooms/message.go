package rooms

import "github.com/oriel-rooms/oriel/rooms/abi"

// A Message is one frame of a client, either way.
type Message struct {
	// Encoding is [abi.Text] (the data is UTF-8) or [abi.Binary]; 0 means text when sending.
	Encoding abi.Encoding
	// Data of a received message is valid until the handler returns; copy what is kept.
	Data []byte
	// Key, when sending, is the conflation key: while a message waits in a slow
	// connection's queue, a newer one of the same key takes its place. At most 128 bytes.
	// At the edge every message is sent.
	Key string
}

// Text makes a text message.
func Text(s string) Message { return Message{Encoding: abi.Text, Data: []byte(s)} }

// Binary makes a binary message.
func Binary(b []byte) Message { return Message{Encoding: abi.Binary, Data: b} }

func (m Message) encoding() abi.Encoding {
	if m.Encoding == 0 {
		return abi.Text
	}
	return m.Encoding
}

// An Audience narrows a broadcast. The zero value is everybody.
type Audience struct {
	// Except leaves these connections out.
	Except []*Connection
	// Tag, when not empty, keeps connections with this tag.
	Tag string
	// Protocol, when not empty, keeps connections with this subprotocol.
	Protocol string
}
