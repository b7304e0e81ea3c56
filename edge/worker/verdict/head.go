package verdict

import (
	"net/netip"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/admission"
)

// A head is a request, and what came behind it.
type head struct {
	admission.Request
	// message is a socket's first message, percent-encoded, when the room's object asks again about an
	// upgrade that was to [Wait].
	message string
}

// parseHead reads what the glue tells of a request: a line of method and URL, then a line "name: value"
// for each field that it has, names in lower case. Neither a URL nor a value holds a line break:
// the platform's Headers refuse them. Fields that decisions do not look at are left out.
func parseHead(text string) head {
	line, rest, _ := strings.Cut(text, "\n")
	method, url, _ := strings.Cut(line, " ")
	r := head{Request: admission.Request{Method: method}}
	scheme, target, _ := strings.Cut(url, "://")
	target, _, _ = strings.Cut(target, "#")
	target, r.Query, _ = strings.Cut(target, "?")
	if i := strings.IndexByte(target, '/'); i >= 0 {
		target, r.Path = target[:i], target[i:]
	}
	r.Host = target
	r.Client.TLS = scheme == "https"
	for line := range strings.SplitSeq(rest, "\n") {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		// Headers join the lines of a field with commas: apart again, a second value is seen to be one.
		// Cookies hold commas, and come in one line.
		h := &r.Headers
		switch name {
		case "host":
			r.Host = value
		case "accept":
			h.Accept = strings.Split(value, ",")
		case "authorization":
			h.Authorization = strings.Split(value, ",")
		case "cookie":
			h.Cookie = []string{value}
		case "origin":
			h.Origin = strings.Split(value, ",")
		case "sec-websocket-protocol":
			h.Protocol = []string{value}
		case "sec-fetch-site":
			h.FetchSite = strings.Split(value, ",")
		case "upgrade":
			h.Upgrade = []string{value}
		case "x-forwarded-for":
			h.ForwardedFor = []string{value}
		case "x-forwarded-proto":
			h.ForwardedProto = []string{value}
		case "oriel-first-message": // the glue's own: it passes no field of this name on
			r.message = value
		case "cf-connecting-ip":
			// The platform sets it itself, whatever a client sends.
			if a, err := netip.ParseAddr(value); err == nil {
				r.Client.Address = a.Unmap().WithZone("")
			}
		}
	}
	return r
}
