package admission

import (
	"strings"
	"time"
)

// A Request is what a host says of an HTTP request. Its strings are as they came over
// the wire: not decoded, not cleaned.
type Request struct {
	Method string
	// Path is the path of the request target, still percent-encoded.
	Path string
	// Query is what follows the first "?", still percent-encoded.
	Query string
	// Host is the Host header, or :authority.
	Host    string
	Headers Headers
	// Client is who sent it, by [ClientOf].
	Client Client
	// Now is the host's clock.
	Now time.Time
}

// Headers are the fields that decisions look at, each with all the values that came,
// because a second value is often the attack.
type Headers struct {
	Accept        []string
	Authorization []string
	Cookie        []string
	Origin        []string
	// Protocol is Sec-WebSocket-Protocol.
	Protocol []string
	// FetchSite is Sec-Fetch-Site, which browsers set and scripts cannot.
	FetchSite []string
	Upgrade   []string
	// ForwardedFor and ForwardedProto are read by [ClientOf] only.
	ForwardedFor   []string
	ForwardedProto []string
}

// HeadersOf picks the fields out of a map with canonical names, such as net/http's Header.
func HeadersOf(h map[string][]string) Headers {
	return Headers{
		Accept:         h["Accept"],
		Authorization:  h["Authorization"],
		Cookie:         h["Cookie"],
		Origin:         h["Origin"],
		Protocol:       h["Sec-Websocket-Protocol"],
		FetchSite:      h["Sec-Fetch-Site"],
		Upgrade:        h["Upgrade"],
		ForwardedFor:   h["X-Forwarded-For"],
		ForwardedProto: h["X-Forwarded-Proto"],
	}
}

// transport says how the client wants to speak.
func (r *Request) transport() Transport {
	switch {
	case listHas(r.Headers.Upgrade, "websocket"):
		return TransportWebSocket
	case r.Method == "GET" && listHas(r.Headers.Accept, "text/event-stream"):
		return TransportEvents
	default:
		return TransportRequest
	}
}

// listHas looks for an element in comma-separated header values, without its
// parameters and without regard to case.
func listHas(values []string, want string) bool {
	for _, v := range values {
		for element := range strings.SplitSeq(v, ",") {
			element, _, _ = strings.Cut(element, ";")
			if strings.EqualFold(strings.Trim(element, " \t"), want) {
				return true
			}
		}
	}
	return false
}
