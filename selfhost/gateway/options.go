package gateway

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Options configure a [Gateway]. Zero values mean the defaults; where a limit can be
// switched off, a negative value does it.
type Options struct {
	// Rooms runs the rooms. Required.
	Rooms Rooms
	// Admitter lets clients in. Required.
	Admitter Admitter
	// Protocols says what the gateway does on its own for connections of a subprotocol.
	// Nil means [DefaultProtocols].
	Protocols map[string]Protocol

	// Process is a number from 1 to 2^24-1 that no earlier process of the service and no other
	// living one has, such as a counter in the store that rises at each start. It is the
	// upper part of every connection's ID. 0 draws one at random: then an ID comes again
	// only if two processes drew the same of 16,777,215 numbers and both count as far.
	Process uint64

	// Heartbeat is how long a client may be silent before it is asked for a sign of
	// life by a WebSocket ping. After two and a half heartbeats of silence its
	// connection ends with [abi.CodeHeartbeatTimeout]. Default 25 s, at least 10 ms.
	Heartbeat time.Duration
	// CloseTimeout bounds a closing handshake, and how long queued bytes of a connection that
	// closes may take. Default 5 s.
	CloseTimeout time.Duration
	// MailboxWait bounds how long a client is kept waiting because its room's mailbox is
	// full; then its connection ends with [abi.CodeOverloaded]. Default 5 s.
	MailboxWait time.Duration
	// RequestTimeout bounds an HTTP request to a room, its body included; then the
	// answer is 504. Default 30 s.
	RequestTimeout time.Duration

	// MaxSockets bounds the open WebSockets of this gateway, those included that are
	// being refused or closed. Default 16,000.
	MaxSockets int
	// MaxSocketsPerAddress bounds those of one network address. Default 1,024.
	MaxSocketsPerAddress int
	// MaxRequests bounds the HTTP requests that run at one time, MaxRequestsPerAddress
	// those of one address. Defaults 1,024 and 128.
	MaxRequests           int
	MaxRequestsPerAddress int
	// AttemptsPerSecond and AttemptBurst bound what one address may try, upgrades and HTTP
	// requests together; above it the answer is a plain 429. Defaults 100 and 400.
	AttemptsPerSecond float64
	AttemptBurst      int
	// TrustedProxies are the networks whose X-Forwarded-For is believed. Default none.
	TrustedProxies []netip.Prefix

	// SendBuffer is SO_SNDBUF of each socket, in bytes; the kernel may double it. What
	// it holds comes on top of the kind's QueueBytes. Default 65,536.
	SendBuffer int
	// PortableWrites makes plain TCP on Linux take the path of TLS and of other systems.
	PortableWrites bool

	clock func() time.Duration // tests: time since New, instead of the real one
	beats <-chan time.Time     // tests: what drives the beat, instead of a ticker
}

// Protocol is what the gateway does on its own for the connections of one subprotocol.
type Protocol struct {
	// Request is a message that the gateway answers with Response without waking the room.
	// Both are of the given Encoding, and Request is compared byte by byte. No request:
	// the room gets everything.
	Request, Response []byte
	Encoding          abi.Encoding
	// Resync is a message, of the given Encoding, that asks the client to say where it stands and to send
	// again what was not answered: something may have been lost between it and its room
	// ([Connection.Resync]). Without it such a connection is closed, and the client comes back.
	Resync []byte
	// RateFactor multiplies the kind's message rate and burst, for protocols whose rooms
	// themselves refuse what comes too fast, message by message: the gateway is the
	// hard bound behind that. Default 1.
	RateFactor float64
	// HelloTimeout bounds the time from the upgrade to the first message for the room; then the
	// connection ends with [abi.CodeHelloTimeout]. Default none.
	HelloTimeout time.Duration
}

// DefaultProtocols returns the table for the session protocol's JSON form.
func DefaultProtocols() map[string]Protocol {
	return map[string]Protocol{
		"oriel.v1.json": {
			Request:      []byte(`{"type":"ping"}`),
			Response:     []byte(`{"type":"pong"}`),
			Encoding:     abi.Text,
			RateFactor:   2,
			HelloTimeout: 10 * time.Second,
		},
	}
}

// protocol is a Protocol made ready for sockets.
type protocol struct {
	request    []byte
	response   []byte // the frame
	resync     *Frame // nil: none
	encoding   abi.Encoding
	factor     float64
	helloBeats uint32 // 0: no hello is awaited
}

const (
	processBits = 24
	counterBits = 64 - processBits
)

// withDefaults returns o ready for use, or an error that wraps [ErrOptions].
func (o Options) withDefaults() (Options, error) {
	if o.Rooms == nil || o.Admitter == nil {
		return o, fmt.Errorf("%w: Rooms and Admitter are required", ErrOptions)
	}
	if o.Process >= 1<<processBits {
		return o, fmt.Errorf("%w: Process %d is not below 2^%d", ErrOptions, o.Process, processBits)
	}
	for o.Process == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		o.Process = binary.LittleEndian.Uint64(b[:]) >> counterBits
	}
	if o.Protocols == nil {
		o.Protocols = DefaultProtocols()
	}
	or(&o.Heartbeat, 25*time.Second)
	or(&o.CloseTimeout, 5*time.Second)
	or(&o.MailboxWait, 5*time.Second)
	or(&o.RequestTimeout, 30*time.Second)
	or(&o.MaxSockets, 16_000)
	or(&o.MaxSocketsPerAddress, 1024)
	or(&o.MaxRequests, 1024)
	or(&o.MaxRequestsPerAddress, 128)
	or(&o.AttemptsPerSecond, 100)
	or(&o.AttemptBurst, 400)
	or(&o.SendBuffer, 64<<10)
	switch {
	case o.Heartbeat < 10*time.Millisecond:
		return o, fmt.Errorf("%w: Heartbeat %s is below 10 ms", ErrOptions, o.Heartbeat)
	case o.CloseTimeout < 0, o.MailboxWait < 0, o.RequestTimeout < 0:
		return o, fmt.Errorf("%w: a negative timeout", ErrOptions)
	case o.SendBuffer < 0:
		return o, fmt.Errorf("%w: SendBuffer %d", ErrOptions, o.SendBuffer)
	}
	for name, p := range o.Protocols {
		if len(p.Request)+len(p.Resync) > 0 && p.Encoding != abi.Text && p.Encoding != abi.Binary {
			return o, fmt.Errorf("%w: protocol %s: an automatic answer needs an encoding", ErrOptions, name)
		}
	}
	return o, nil
}

func or[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// ready makes the protocol table for sockets.
func (o Options) ready(beat time.Duration) map[string]*protocol {
	m := make(map[string]*protocol, len(o.Protocols))
	for name, p := range o.Protocols {
		r := &protocol{factor: p.RateFactor, encoding: p.Encoding}
		or(&r.factor, 1)
		if len(p.Request) > 0 {
			op := byte(opBinary)
			if p.Encoding == abi.Text {
				op = opText
			}
			r.request = append([]byte(nil), p.Request...)
			r.response = appendFrame(nil, op, p.Response)
		}
		if len(p.Resync) > 0 {
			r.resync = NewFrame(p.Encoding, "", p.Resync)
		}
		if p.HelloTimeout > 0 {
			r.helloBeats = beatsIn(p.HelloTimeout, beat)
		}
		m[name] = r
	}
	return m
}

// beatsIn returns how many beats d lasts at least.
func beatsIn(d, beat time.Duration) uint32 { return uint32((d + beat - 1) / beat) }
