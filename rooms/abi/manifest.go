package abi

import (
	"strconv"
	"time"
)

// Durability says when a room's effects may leave.
type Durability string

// The durabilities.
const (
	// Durable effects leave after their turn is on stable storage. The default.
	Durable Durability = "durable"
	// Relaxed effects leave at once; a crash of the machine or the process may lose
	// the newest turns, and clients are told by the incarnation.
	Relaxed Durability = "relaxed"
)

// Overflow says what happens to a connection whose queue is full.
type Overflow string

// The policies.
const (
	// OverflowClose closes the connection with [CodeSlowConsumer]: it resumes and
	// loses nothing. The default.
	OverflowClose Overflow = "close"
	// OverflowDrop drops the message for this connection and keeps it. For rooms
	// whose messages are snapshots.
	OverflowDrop Overflow = "drop"
)

// Defaults of a kind's options.
const (
	DefaultMessageBytes      = 64 << 10
	DefaultMessagesPerSecond = 50
	DefaultMessageBurst      = 100
	DefaultMembers           = 10_000
	DefaultSleepAfter        = 10 * time.Second
	DefaultQueueBytes        = 1 << 20
)

// KindOptions is what a module's manifest says of one kind. Zero values mean the
// defaults; [KindOptions.WithDefaults] puts them in.
type KindOptions struct {
	Name string `json:"name"`
	// Protocols are the WebSocket subprotocols that rooms of the kind speak, in
	// order of preference. Empty: the kind takes raw frames without a subprotocol.
	Protocols []string `json:"protocols,omitempty"`
	// Anonymous admits clients without a credential, with an empty user.
	Anonymous bool `json:"anonymous,omitempty"`
	// MessageBytes bounds one received message, 1 to MaxMessage. Default 65,536.
	MessageBytes int `json:"messageBytes,omitempty"`
	// MessagesPerSecond and MessageBurst bound a connection's messages. Defaults 50 and 100.
	MessagesPerSecond int `json:"messagesPerSecond,omitempty"`
	MessageBurst      int `json:"messageBurst,omitempty"`
	// Members bounds a room's connections, 1 to MaxConnections. Default 10,000.
	Members int `json:"members,omitempty"`
	// SleepAfterMillis is how long a room without events stays in memory, in milliseconds.
	// Default 10,000, which is also what Durable Objects do.
	SleepAfterMillis int64 `json:"sleepAfter,omitempty"`
	// Durability is "durable" (default) or "relaxed".
	Durability Durability `json:"durability,omitempty"`
	// QueueBytes bounds what waits to be written to one connection. Default 1 MiB.
	QueueBytes int `json:"queueBytes,omitempty"`
	// Overflow is "close" (default) or "drop".
	Overflow Overflow `json:"overflow,omitempty"`
}

// WithDefaults returns o with the defaults in place of zero values.
func (o KindOptions) WithDefaults() KindOptions {
	or(&o.MessageBytes, DefaultMessageBytes)
	or(&o.MessagesPerSecond, DefaultMessagesPerSecond)
	or(&o.MessageBurst, DefaultMessageBurst)
	or(&o.Members, DefaultMembers)
	or(&o.SleepAfterMillis, DefaultSleepAfter.Milliseconds())
	or(&o.QueueBytes, DefaultQueueBytes)
	or(&o.Durability, Durable)
	or(&o.Overflow, OverflowClose)
	return o
}

func or[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// SleepAfter is how long a room without events stays in memory.
func (o KindOptions) SleepAfter() time.Duration {
	return time.Duration(o.SleepAfterMillis) * time.Millisecond
}

// Validate checks o, defaults included. The error is a *[FieldError].
func (o KindOptions) Validate() error {
	o = o.WithDefaults()
	switch {
	case !ValidName(o.Name):
		return badOption(o.Name, "name", "not 1 to 128 of A-Z a-z 0-9 . _ ~ -")
	case len(o.Protocols) > MaxProtocols:
		return badOption(o.Name, "protocols", "more than 8")
	case o.MessageBytes < 1 || o.MessageBytes > MaxMessage:
		return badOption(o.Name, "messageBytes", "not 1 to "+strconv.Itoa(MaxMessage))
	case o.MessagesPerSecond < 1 || o.MessagesPerSecond > 100_000:
		return badOption(o.Name, "messagesPerSecond", "not 1 to 100000")
	case o.MessageBurst < 1 || o.MessageBurst > 100_000:
		return badOption(o.Name, "messageBurst", "not 1 to 100000")
	case o.Members < 1 || o.Members > MaxConnections:
		return badOption(o.Name, "members", "not 1 to "+strconv.Itoa(MaxConnections))
	case o.SleepAfterMillis < 1 || o.SleepAfterMillis > 24*time.Hour.Milliseconds():
		return badOption(o.Name, "sleepAfter", "not 1 ms to 24 h")
	case o.QueueBytes < 4096 || o.QueueBytes > 64<<20:
		return badOption(o.Name, "queueBytes", "not 4 KiB to 64 MiB")
	case o.Durability != Durable && o.Durability != Relaxed:
		return badOption(o.Name, "durability", `neither "durable" nor "relaxed"`)
	case o.Overflow != OverflowClose && o.Overflow != OverflowDrop:
		return badOption(o.Name, "overflow", `neither "close" nor "drop"`)
	}
	for _, p := range o.Protocols {
		if !validToken(p) {
			return badOption(o.Name, "protocols", "not 1 to 64 characters of an HTTP token")
		}
	}
	return nil
}

func badOption(kind, field, reason string) error {
	if !ValidName(kind) {
		kind = "" // it may be anything
	}
	return &FieldError{Field: `manifest.kinds["` + kind + `"].` + field, Reason: reason, Err: ErrLimit}
}

// validToken follows RFC 6455, section 4.1: a subprotocol is a token of RFC 9110.
func validToken(s string) bool {
	return len(s) <= MaxProtocol && validHeader(Header{Name: s})
}

// A Manifest says what is in a module.
type Manifest struct {
	// SDK names what the module was written with, such as "oriel-go/0.1". For people.
	SDK string `json:"sdk,omitempty"`
	// Shareable modules keep all of a room's state behind its handle, so one instance may
	// run many rooms.
	Shareable bool          `json:"shareable"`
	Kinds     []KindOptions `json:"kinds"`
}

// Kind returns the options of a kind, with defaults.
func (m *Manifest) Kind(name string) (KindOptions, bool) {
	for _, k := range m.Kinds {
		if k.Name == name {
			return k.WithDefaults(), true
		}
	}
	return KindOptions{}, false
}

// Validate checks the manifest and every kind in it.
func (m *Manifest) Validate() error {
	if len(m.SDK) > MaxSDK {
		return &FieldError{Field: "manifest.sdk", Reason: "longer than " + strconv.Itoa(MaxSDK) + " bytes", Err: ErrLimit}
	}
	if len(m.Kinds) == 0 || len(m.Kinds) > MaxKinds {
		return &FieldError{Field: "manifest.kinds", Reason: "not 1 to " + strconv.Itoa(MaxKinds), Err: ErrLimit}
	}
	seen := make(map[string]bool, len(m.Kinds))
	for _, k := range m.Kinds {
		if err := k.Validate(); err != nil {
			return err
		}
		if seen[k.Name] {
			return &FieldError{Field: "manifest.kinds", Reason: "two of the name " + k.Name, Err: ErrMalformed}
		}
		seen[k.Name] = true
	}
	return nil
}

// AppendManifest appends the JSON form of m. It is written by hand, because a
// guest that imported encoding/json only for this would grow by half a megabyte.
func AppendManifest(b []byte, m *Manifest) []byte {
	b = append(b, `{"sdk":`...)
	b = appendQuoted(b, m.SDK)
	b = append(b, `,"shareable":`...)
	b = strconv.AppendBool(b, m.Shareable)
	b = append(b, `,"kinds":[`...)
	for i, k := range m.Kinds {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendKind(b, k)
	}
	return append(b, "]}"...)
}

func appendKind(b []byte, k KindOptions) []byte {
	b = append(b, `{"name":`...)
	b = appendQuoted(b, k.Name)
	if len(k.Protocols) > 0 {
		b = append(b, `,"protocols":[`...)
		for i, p := range k.Protocols {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendQuoted(b, p)
		}
		b = append(b, ']')
	}
	if k.Anonymous {
		b = append(b, `,"anonymous":true`...)
	}
	number := func(name string, v int64) {
		if v != 0 {
			b = append(b, `,"`...)
			b = append(b, name...)
			b = append(b, `":`...)
			b = strconv.AppendInt(b, v, 10)
		}
	}
	number("messageBytes", int64(k.MessageBytes))
	number("messagesPerSecond", int64(k.MessagesPerSecond))
	number("messageBurst", int64(k.MessageBurst))
	number("members", int64(k.Members))
	number("sleepAfter", k.SleepAfterMillis)
	if k.Durability != "" {
		b = appendQuoted(append(b, `,"durability":`...), string(k.Durability))
	}
	number("queueBytes", int64(k.QueueBytes))
	if k.Overflow != "" {
		b = appendQuoted(append(b, `,"overflow":`...), string(k.Overflow))
	}
	return append(b, '}')
}

// appendQuoted appends s as a JSON string. Manifest strings are names and tokens,
// so everything outside printable ASCII is written as an escape.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r > '~':
			if r > 0xffff {
				r = '\ufffd'
			}
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			b = append(b, byte(r))
		}
	}
	return append(b, '"')
}
