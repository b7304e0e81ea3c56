package admission

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Origins is an allow-list of web origins (RFC 6454). The zero value allows the
// server's own origin only.
type Origins struct {
	list []origin
	any  bool
}

// maxOrigin bounds an Origin header: a scheme, 253 characters of host, a port.
const maxOrigin = 300

type origin struct {
	scheme, host string // host has no port; of a pattern it starts with "."
	port         string
	below        bool // any host below, at any depth, but not the host itself
}

// ParseOrigins reads an allow-list: exact origins such as "https://example.com" or
// "http://localhost:3000", patterns such as "https://*.example.com" (every host
// below example.com, not itself), and "*" for any origin. A cookie never counts for an
// origin that only "*" allows. The error wraps [ErrOrigin].
func ParseOrigins(list ...string) (Origins, error) {
	var o Origins
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		scheme, rest, _ := strings.Cut(s, "://")
		rest, below := strings.CutPrefix(rest, "*.")
		p, ok := parseOrigin(scheme + "://" + rest)
		// "https://*.com" would be everyone.
		if !ok || below && !strings.Contains(p.host, ".") && p.host != "localhost" {
			return Origins{}, badOrigin(s)
		}
		if below {
			p.host, p.below = "."+p.host, true
		}
		o.list = append(o.list, p)
	}
	return o, nil
}

func badOrigin(s string) error {
	return fmt.Errorf(`%w: %q is not like https://example.com, http://localhost:3000 or https://*.example.com`, ErrOrigin, s)
}

// parseOrigin reads a serialized origin: scheme, host, optional port, nothing else.
func parseOrigin(s string) (origin, bool) {
	if len(s) > maxOrigin {
		return origin{}, false
	}
	scheme, rest, ok := strings.Cut(lower(s), "://")
	if !ok || scheme != "http" && scheme != "https" {
		return origin{}, false
	}
	host, port, ok := splitHost(rest)
	if !ok {
		return origin{}, false
	}
	if port == "" {
		port = defaultPort(scheme)
	}
	return origin{scheme: scheme, host: host, port: port}, true
}

// splitHost takes host or host:port apart, an IPv6 address in its brackets. Names are
// ASCII: browsers send punycode.
func splitHost(s string) (host, port string, ok bool) {
	host = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return "", "", false
		}
	}
	if host == "" || len(host) > 255 {
		return "", "", false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || inner == "" || strings.Trim(inner, "0123456789abcdefABCDEF:.") != "" {
			return "", "", false
		}
		return host, port, true
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return "", "", false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return "", "", false
			}
		}
	}
	return host, port, true
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// lower lowers ASCII letters only, so that no other letter turns into one of them.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// sender says how far the sender of a request is trusted with ambient credentials.
type sender uint8

const (
	senderUnknown sender = iota // no Origin: not a browser, or a browser's same-origin GET
	senderAny                   // allowed by "*" only
	senderNamed                 // the server's own origin, or one of the list
)

// check finds out where a request comes from, and refuses other origins.
func (o *Origins) check(r *Request) (sender, *Error) {
	switch h := r.Headers.Origin; {
	case len(h) == 0:
		// A browser leaves Origin out of a same-origin GET and says so in this header.
		if s := r.Headers.FetchSite; len(s) == 1 && s[0] == "same-origin" {
			return senderNamed, nil
		}
		return senderUnknown, nil
	case len(h) > 1:
		return 0, refused("origin", abi.CodeForbidden, "the request has more than one Origin")
	}
	from, ok := parseOrigin(r.Headers.Origin[0])
	if !ok {
		return 0, refused("origin", abi.CodeForbidden, "the Origin is opaque or not an http(s) origin")
	}
	if from.same(r.Host, r.Client.TLS) {
		return senderNamed, nil
	}
	for _, p := range o.list {
		if p.matches(from) {
			return senderNamed, nil
		}
	}
	if o.any {
		return senderAny, nil
	}
	return 0, refused("origin", abi.CodeForbidden, "the Origin is not on the allow-list")
}

func (p origin) matches(from origin) bool {
	if p.scheme != from.scheme || p.port != from.port {
		return false
	}
	if p.below {
		return len(from.host) > len(p.host) && strings.HasSuffix(from.host, p.host)
	}
	return p.host == from.host
}

// same reports whether from is the server's own origin. A request that came without
// TLS may have had it up to a proxy that said nothing, so both schemes are its own; one
// that came with TLS is not the same origin as a plain page of the same name.
func (from origin) same(host string, tls bool) bool {
	name, port, ok := splitHost(lower(host))
	if !ok || name != from.host {
		return false
	}
	if port == "" {
		port = defaultPort(from.scheme)
	}
	return port == from.port && (!tls || from.scheme == "https")
}

// LocalHost reports whether a Host header names this machine: localhost, 127.0.0.1 or
// [::1], with or without a port. A page that has bound its own name to 127.0.0.1 (DNS
// rebinding) sends its own name here.
func LocalHost(host string) bool {
	name, _, ok := splitHost(lower(host))
	return ok && (name == "localhost" || name == "127.0.0.1" || name == "[::1]")
}
