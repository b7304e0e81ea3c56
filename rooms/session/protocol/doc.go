// Package protocol is the codec of the session protocol: its messages as Go values, their
// JSON form (oriel.v1.json) and their binary form (oriel.v1.bin). PROTOCOL.md, one folder up,
// is the text that it follows; testdata holds golden examples that clients in other
// languages are tested against too.
//
// It is pure: no I/O, no goroutines, no state but a decoder's cache of event names.
// Rooms use it inside WebAssembly and clients outside; neither form is ever decoded with
// reflection. It knows nothing of sessions, of order or of what an answer should be:
// that is package session and the clients.
//
// Every decoder is strict and bounded: what PROTOCOL.md calls malformed is an
// *[Error], and nothing is allocated beyond the size of the input. Payloads are
// checked and passed through as they came.
package protocol

// Names of the WebSocket subprotocols.
const (
	SubprotocolJSON   = "oriel.v1.json"
	SubprotocolBinary = "oriel.v1.bin"
)

// Ping and pong, byte for byte. Hosts answer them without waking a room; the text pair is
// answered under both subprotocols.
const (
	PingText   = `{"type":"ping"}`
	PongText   = `{"type":"pong"}`
	PingBinary = "\x06"
	PongBinary = "\x19"
)

// ResyncFrame, byte for byte a text message under both subprotocols, is what a host says to a client
// in place of the room when something may have been lost between the two (PROTOCOL.md, section 4).
const ResyncFrame = `{"type":"resync"}`

// Limits of the protocol (PROTOCOL.md, section 2). Sizes are bytes.
const (
	// MaxInteger bounds every integer: what an IEEE 754 double keeps exactly.
	MaxInteger = 1<<53 - 1
	// MaxEventName bounds the name of an event.
	MaxEventName = 64
	// MaxToken bounds a session and an incarnation.
	MaxToken = 64
	// MaxConnection bounds a connection's name.
	MaxConnection = 32
	// MaxUser bounds a user.
	MaxUser = 128
	// MaxCode bounds the code of an error, MaxErrorText its message.
	MaxCode      = 64
	MaxErrorText = 256
	// MaxMemberData bounds what presence says of a member.
	MaxMemberData = 1024
	// MaxOpen is how many publishes of a session may be unanswered, and how many answers a
	// room remembers.
	MaxOpen = 64
	// MaxPage bounds the items that one history or members request returns.
	MaxPage = 200
	// DefaultHistoryPage and DefaultMembersPage are what these requests return unasked.
	DefaultHistoryPage = 50
	DefaultMembersPage = 100
	// MaxIdempotencyKey bounds the header Idempotency-Key.
	MaxIdempotencyKey = 128
	// maxMembers bounds the members that one message lists; a kind's presenceDetail is
	// never above it.
	maxMembers = 4096
)

// Names of the requests that the protocol answers itself, and the prefix of those that
// it may answer one day.
const (
	RequestHistory = "history"
	RequestMembers = "members"
	RequestPrefix  = "oriel."
)

// Form is one of the two encodings of a message.
type Form uint8

// The forms.
const (
	JSON Form = iota + 1
	Binary
)

// FormOf returns the form of a subprotocol; false if it is not one of this protocol.
func FormOf(subprotocol string) (Form, bool) {
	switch subprotocol {
	case SubprotocolJSON:
		return JSON, true
	case SubprotocolBinary:
		return Binary, true
	}
	return 0, false
}

// Subprotocol returns the name of f.
func (f Form) Subprotocol() string {
	if f == Binary {
		return SubprotocolBinary
	}
	return SubprotocolJSON
}

// Type is the type of a message: its byte in the binary form.
type Type uint8

// The types of a client's messages.
const (
	TypeHello   Type = 0x01
	TypePublish Type = 0x02
	TypeRequest Type = 0x03
	TypeSignal  Type = 0x04
	TypeMore    Type = 0x05
	TypePing    Type = 0x06
)

// The types of a room's messages.
const (
	TypeWelcome  Type = 0x11
	TypeAck      Type = 0x12
	TypeError    Type = 0x13
	TypeEvent    Type = 0x14
	TypeResponse Type = 0x15
	TypeSignaled Type = 0x16 // a signal as the room relays it
	TypePresence Type = 0x17
	TypePart     Type = 0x18 // the room's more: the end of a part of a replay
	TypePong     Type = 0x19
)

// String returns the type's name in the JSON form.
func (t Type) String() string {
	switch t {
	case TypeHello:
		return "hello"
	case TypePublish:
		return "publish"
	case TypeRequest:
		return "request"
	case TypeSignal, TypeSignaled:
		return "signal"
	case TypeMore, TypePart:
		return "more"
	case TypePing:
		return "ping"
	case TypeWelcome:
		return "welcome"
	case TypeAck:
		return "ack"
	case TypeError:
		return "error"
	case TypeEvent:
		return "event"
	case TypeResponse:
		return "response"
	case TypePresence:
		return "presence"
	case TypePong:
		return "pong"
	}
	return "unknown"
}

// NotifyPrefix begins the names of signals that are notifications.
const NotifyPrefix = "oriel.notify."

// ValidEventName reports whether s may name an event: 1 to [MaxEventName] bytes of
// printable ASCII without the quote and the backslash, so that it stands in JSON as it is.
func ValidEventName[S ~string | ~[]byte](s S) bool {
	if len(s) == 0 || len(s) > MaxEventName {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// ValidToken reports whether s may be a session or an incarnation: at most [MaxToken]
// bytes of the characters of event names. The empty string is valid.
func ValidToken[S ~string | ~[]byte](s S) bool {
	return len(s) <= MaxToken && (len(s) == 0 || ValidEventName(s))
}

// ValidCode reports whether s may be the code of an error: 1 to [MaxCode] bytes of
// a-z 0-9 _.
func ValidCode[S ~string | ~[]byte](s S) bool {
	if len(s) == 0 || len(s) > MaxCode {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
