package rooms

import (
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Request is an HTTP request to the room. Answer it with Respond, in this turn or in a
// later one before the host's deadline (30 s by default); the answer leaves when
// the turn is durable.
type Request struct {
	room   *Room
	id     uint64
	Method string
	Path   string // what follows the room's name: empty, or starting with "/"
	Query  string // as sent
	User   string // the verified identity, or empty
	Claims []byte // a JSON object, or empty; valid until the handler returns
	Body   []byte // at most 1 MiB; valid until the handler returns

	headers   []abi.Header
	responded bool
}

// Header returns the first value of a header field, by its name in any case. Hosts pass
// Content-Type, Accept and Idempotency-Key, and never a credential.
func (r *Request) Header(name string) string {
	for _, h := range r.headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Respond answers with a status from 200 to 599 and at most 1 MiB of body. Only the first
// answer counts. It panics on a status or body out of these limits.
func (r *Request) Respond(status int, contentType string, body []byte) {
	if r.responded {
		return
	}
	if status < 200 || status > 599 {
		panic("rooms: Respond: a status below 200 or above 599")
	}
	if len(body) > abi.MaxBody {
		panic("rooms: Respond: a body over 1 MiB")
	}
	r.responded = true
	e := &abi.RespondEffect{Request: r.id, Status: uint64(status), Body: body}
	if contentType != "" {
		e.Headers = []abi.Header{{Name: "Content-Type", Value: contentType}}
	}
	r.room.effect(e)
}

// RespondError answers with an error of the table: its status, and its name and the
// detail as JSON, as the gateway's own errors are.
func (r *Request) RespondError(code abi.Code, detail string) {
	info := code.Info()
	if detail == "" {
		detail = info.Text
	}
	b := append([]byte(`{"code":`), appendJSONString(nil, info.Name)...)
	b = append(b, `,"message":`...)
	b = append(appendJSONString(b, detail), '}')
	r.Respond(info.Status, "application/json", b)
}

// appendJSONString quotes valid UTF-8; other bytes become U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
