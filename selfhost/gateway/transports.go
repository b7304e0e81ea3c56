package gateway

import (
	"net/http"
	"strings"
)

// Two more transports will live beside the WebSocket, for clients that cannot have one,
// each in a file of its own:
//
//	GET  /v1/rooms/{kind}/{room}  Accept: text/event-stream     an SSE stream
//	POST /v1/rooms/{kind}/{room}/connections                    opens a long-poll connection
//	GET, POST .../connections/{id}                              receives, sends
//
// They will be further makers of a [Connection]: what is behind Send and Close
// today, the Socket, becomes one of three. Until then these addresses are answered with not_found and never reach
// a room, so that no room comes to depend on them.
var reservedPaths = []string{"/connections"}

// reserved reports whether a request is one of those above.
func reserved(r *http.Request, sub string) bool {
	for _, p := range reservedPaths {
		if sub == p || strings.HasPrefix(sub, p+"/") {
			return true
		}
	}
	if sub != "" || r.Method != http.MethodGet {
		return false
	}
	for _, accept := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(accept, ",") {
			media, _, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), "text/event-stream") {
				return true
			}
		}
	}
	return false
}
