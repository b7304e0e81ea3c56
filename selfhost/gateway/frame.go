package gateway

import "github.com/oriel-rooms/oriel/rooms/abi"

// Opcodes of RFC 6455, section 5.2.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
)

// A Frame is one message as it goes over the wire: one unmasked, final WebSocket frame.
// It is built once per broadcast and encoding and shared by all recipients, so it
// never changes.
type Frame struct {
	wire []byte
	key  string
	// one is the frame itself, so that sending it alone needs no slice.
	one [1]*Frame
}

// NewFrame builds the frame of one message. data is copied. A frame with a key that is
// not empty takes the place of an older one of the same key that still waits in a
// connection's queue and has not begun to leave.
func NewFrame(enc abi.Encoding, key string, data []byte) *Frame {
	op := byte(opBinary)
	if enc == abi.Text {
		op = opText
	}
	f := &Frame{wire: appendFrame(make([]byte, 0, len(data)+maxFrameHead), op, data), key: key}
	f.one[0] = f
	return f
}

// Len returns the number of bytes on the wire.
func (f *Frame) Len() int { return len(f.wire) }

// Key returns the conflation key.
func (f *Frame) Key() string { return f.key }

// maxFrameHead is the longest head of a frame without a mask.
const maxFrameHead = 10

// appendFrame appends one final, unmasked frame (RFC 6455, section 5.2).
func appendFrame(b []byte, op byte, data []byte) []byte {
	b = append(b, 0x80|op)
	switch n := len(data); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = append(b, 126, byte(n>>8), byte(n))
	default:
		b = append(b, 127, 0, 0, byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, data...)
}

// maxJoined bounds what a [Batch] copies together. Above it the copy costs more than the
// system calls that it saves.
const maxJoined = 64 << 10

// A Batch is a sequence of frames for the same recipients, such as those of one turn,
// laid out so that one system call writes all of them. It never changes.
type Batch struct {
	frames []*Frame
	// wire is all frames together, or nil if that would be more than maxJoined.
	wire []byte
}

// NewBatch puts frames together. The slice belongs to the batch.
func NewBatch(frames ...*Frame) *Batch {
	b := &Batch{frames: frames}
	switch n := b.Len(); {
	case len(frames) == 1:
		b.wire = frames[0].wire
	case n <= maxJoined:
		b.wire = make([]byte, 0, n)
		for _, f := range frames {
			b.wire = append(b.wire, f.wire...)
		}
	}
	return b
}

// Len returns the number of bytes on the wire.
func (b *Batch) Len() int {
	n := 0
	for _, f := range b.frames {
		n += len(f.wire)
	}
	return n
}

// Result says what became of a frame. Of several frames it is the worst that happened to
// one of them; the order here is from good to bad.
type Result uint8

// The results.
const (
	// Sent: the kernel has taken everything.
	Sent Result = iota
	// Queued: something waits, within the kind's QueueBytes.
	Queued
	// Dropped: at least one message did not fit into the queue and was dropped, as the
	// kind's [abi.OverflowDrop] says.
	Dropped
	// Overflowed: the queue would have grown beyond the kind's QueueBytes; the connection
	// now closes with [abi.CodeSlowConsumer].
	Overflowed
	// Gone: the connection was closing or closed already; nothing was sent.
	Gone
)

// String returns the result's name in lower case.
func (r Result) String() string {
	return [...]string{"sent", "queued", "dropped", "overflowed", "gone"}[r]
}

// appendCloseFrame appends a close frame; [abi.CodeNoStatus] gives one without a code.
func appendCloseFrame(b []byte, code abi.Code, reason string) []byte {
	if code == abi.CodeNoStatus {
		return appendFrame(b, opClose, nil)
	}
	body := make([]byte, 0, 2+abi.MaxCloseReason)
	body = append(body, byte(code>>8), byte(code))
	body = append(body, abi.CutReason(reason)...)
	return appendFrame(b, opClose, body)
}

// controlFrame reports the opcode and the payload of b if b is exactly one whole
// unmasked control frame.
func controlFrame(b []byte) (op byte, payload []byte, ok bool) {
	if len(b) < 2 || b[0]&0x80 == 0 || b[0]&0x08 == 0 || b[1] > 125 || len(b) != 2+int(b[1]) {
		return 0, nil, false
	}
	return b[0] & 0x0f, b[2:], true
}
