package admission

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Target is what a path names.
type Target uint8

// The targets. A host answers [abi.CodeNotFound] for those it does not serve.
const (
	// TargetRoom is /v1/rooms/{kind}/{room}, or a sub path that the room gives meaning to.
	TargetRoom Target = iota + 1
	// TargetConnections is /v1/rooms/{kind}/{room}/connections: POST opens a long poll.
	TargetConnections
	// TargetConnection is /v1/rooms/{kind}/{room}/connections/{id}: GET receives, POST sends.
	TargetConnection
	// TargetRoomPresence is /v1/rooms/{kind}/{room}/presence.
	TargetRoomPresence
	// TargetUserPresence is /v1/presence/{user}.
	TargetUserPresence
	// TargetUserNotify is /v1/users/{user}/notify.
	TargetUserNotify
	// TargetTickets is /v1/tickets. Reserved: no host serves it yet.
	TargetTickets
	// TargetDevToken is /v1/dev/token?user={user}, there for a dev [Policy] only.
	TargetDevToken
)

// Transport is how the client speaks to a room.
type Transport uint8

// The transports.
const (
	// TransportRequest is one HTTP request and its answer.
	TransportRequest Transport = iota
	// TransportWebSocket is a WebSocket upgrade (RFC 6455).
	TransportWebSocket
	// TransportEvents is a stream of server-sent events.
	TransportEvents
	// TransportPoll is a long-poll connection.
	TransportPoll
)

// A Route is a parsed path.
type Route struct {
	Target    Target
	Transport Transport
	// Kind and Room are set for the room targets.
	Kind, Room string
	// Sub is what follows the room's name, of TargetRoom: empty or starting with "/",
	// still percent-encoded.
	Sub string
	// Connection is the id of TargetConnection.
	Connection string
	// User is whose presence or dev token is asked for, or who is notified.
	User string
}

// maxPath bounds a path before it is looked at.
const maxPath = len("/v1/rooms/") + 2*abi.MaxName + 1 + abi.MaxPath

// ParseRoute parses a path as it came over the wire and checks the method. Names are
// never percent-decoded: a path that needs it is refused, as are empty and dot
// segments, so that no proxy in front can read another room out of it than this
// function does. Only the user of /v1/presence/{user} and /v1/users/{user} is decoded, once. The error is
// an *[Error].
func ParseRoute(method, path string) (Route, error) {
	r, err := parseRoute(method, path)
	if err != nil {
		return Route{}, err
	}
	return r, nil
}

func parseRoute(method, path string) (Route, *Error) {
	if len(path) > maxPath {
		return Route{}, refused("route", abi.CodeTooLarge, "the path is too long")
	}
	rest, ok := strings.CutPrefix(path, "/v1/")
	if !ok {
		return Route{}, noRoute()
	}
	head, tail, _ := strings.Cut(rest, "/")
	switch {
	case head == "rooms":
		return roomRoute(method, tail)
	case head == "presence":
		return userRoute(TargetUserPresence, tail, method, "GET")
	case head == "users":
		segment, rest, _ := strings.Cut(tail, "/")
		if rest != "notify" {
			return Route{}, noRoute()
		}
		return userRoute(TargetUserNotify, segment, method, "POST")
	case rest == "tickets":
		return Route{Target: TargetTickets}, methods(method, "POST")
	case rest == "dev/token":
		return Route{Target: TargetDevToken}, methods(method, "GET")
	}
	return Route{}, noRoute()
}

func roomRoute(method, path string) (Route, *Error) {
	kind, path, _ := strings.Cut(path, "/")
	room, sub, more := strings.Cut(path, "/")
	switch {
	case !abi.ValidName(kind):
		return Route{}, refused("route", abi.CodeBadName, "the kind is not 1 to 128 characters of A-Z a-z 0-9 . _ ~ -")
	case !abi.ValidName(room):
		return Route{}, refused("route", abi.CodeBadName, "the room is not 1 to 128 characters of A-Z a-z 0-9 . _ ~ -")
	}
	r := Route{Target: TargetRoom, Kind: kind, Room: room}
	if !more {
		return r, methods(method, "GET", "POST", "PUT", "PATCH", "DELETE")
	}
	head, id, deeper := strings.Cut(sub, "/")
	switch {
	case head == "connections" && !deeper:
		r.Target, r.Transport = TargetConnections, TransportPoll
		return r, methods(method, "POST")
	case head == "connections":
		if !abi.ValidName(id) {
			return Route{}, noRoute()
		}
		r.Target, r.Transport, r.Connection = TargetConnection, TransportPoll, id
		return r, methods(method, "GET", "POST")
	case head == "presence" && !deeper:
		r.Target = TargetRoomPresence
		return r, methods(method, "GET")
	case head == "presence":
		return Route{}, noRoute()
	}
	r.Sub = "/" + sub
	if err := checkSub(r.Sub); err != nil {
		return Route{}, err
	}
	return r, methods(method, "GET", "POST", "PUT", "PATCH", "DELETE")
}

func userRoute(target Target, segment, method, allowed string) (Route, *Error) {
	if segment == "" || strings.Contains(segment, "/") {
		return Route{}, noRoute()
	}
	if !pathBytes(segment) {
		return Route{}, refused("route", abi.CodeBadName, "the user is not percent-encoded")
	}
	user, err := url.PathUnescape(segment)
	if err != nil || !ValidUser(user) || strings.ContainsAny(user, `/\`) || user == "." || user == ".." {
		return Route{}, refused("route", abi.CodeBadName, "the user is not one that a path can name")
	}
	return Route{Target: target, User: user}, methods(method, allowed)
}

// checkSub refuses sub paths that two readers could understand in two ways.
func checkSub(sub string) *Error {
	if len(sub) > abi.MaxPath {
		return refused("route", abi.CodeTooLarge, "the path is too long")
	}
	if !pathBytes(sub) {
		return refused("route", abi.CodeNotFound, "the path has characters that do not belong in one")
	}
	for segment := range strings.SplitSeq(sub[1:], "/") {
		plain, err := url.PathUnescape(segment)
		switch {
		case err != nil:
			return refused("route", abi.CodeNotFound, "the path has a broken percent-encoding")
		case plain == "" || plain == "." || plain == "..":
			return refused("route", abi.CodeNotFound, "the path has an empty or a dot segment")
		case strings.ContainsAny(plain, "/\\\x00"):
			return refused("route", abi.CodeNotFound, "the path hides a separator in a percent-encoding")
		}
	}
	return nil
}

// pathBytes reports whether s has only bytes that RFC 3986, section 3.3, allows in a path.
func pathBytes(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-._~!$&'()*+,;=:@/%", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func methods(method string, allowed ...string) *Error {
	for _, m := range allowed {
		if m == method {
			return nil
		}
	}
	return refused("route", abi.CodeMethodNotAllowed, "the address takes "+strings.Join(allowed, ", "))
}

func noRoute() *Error {
	return refused("route", abi.CodeNotFound, "there is nothing at this address")
}

// ValidUser reports whether s may name a user: 1 to [abi.MaxUser] bytes of UTF-8 whose
// characters are all printable, without a space at either end. Invisible and
// direction-changing characters are not printable, so two users never look the same
// because of them.
func ValidUser(s string) bool {
	if s == "" || len(s) > abi.MaxUser || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for _, r := range s {
		// U+FFFD is what decoders put in place of broken text: names that differ
		// before the decoding would be equal after it.
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
