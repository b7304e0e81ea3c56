package admission

import (
	"net/netip"
	"strings"
)

// A Client is the sender of a request as far as the network shows it.
type Client struct {
	// Address is the client's, without a zone; an IPv4 address is never in its IPv6 form.
	Address netip.Addr
	// TLS says that the client's side of the way is encrypted.
	TLS bool
}

// maxForwarded bounds the hops that are read from X-Forwarded-For.
const maxForwarded = 32

// ClientOf finds the client behind trusted proxies. remote is the other end of the TCP
// connection. Only if it is in trusted are X-Forwarded-For and X-Forwarded-Proto read, and
// only as far, from the right, as the hops are trusted too: what a client writes into
// these headers itself stands further left.
func ClientOf(remote netip.Addr, tls bool, h Headers, trusted []netip.Prefix) Client {
	c := Client{Address: remote.Unmap().WithZone(""), TLS: tls}
	if !isTrusted(c.Address, trusted) {
		return c
	}
	if proto, ok := last(h.ForwardedProto); ok {
		c.TLS = strings.EqualFold(proto, "https")
	}
	hops := 0
	for i := len(h.ForwardedFor) - 1; i >= 0; i-- {
		line := h.ForwardedFor[i]
		for line != "" {
			var hop string
			if j := strings.LastIndexByte(line, ','); j >= 0 {
				line, hop = line[:j], line[j+1:]
			} else {
				line, hop = "", line
			}
			addr, ok := parseHop(strings.Trim(hop, " \t"))
			if hops++; !ok || hops > maxForwarded {
				return c
			}
			c.Address = addr
			if !isTrusted(addr, trusted) {
				return c
			}
		}
	}
	return c
}

func last(values []string) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	v := values[len(values)-1]
	return strings.Trim(v[strings.LastIndexByte(v, ',')+1:], " \t"), true
}

// parseHop reads an address with or without a port: proxies write both.
func parseHop(s string) (netip.Addr, bool) {
	if len(s) > 64 {
		return netip.Addr{}, false
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Key is what limits per address count by: the address itself, or the /64 network of
// an IPv6 address, because one subscriber has at least that many.
func (c Client) Key() netip.Prefix {
	bits := c.Address.BitLen()
	if c.Address.Is6() {
		bits = 64
	}
	p, err := c.Address.Prefix(bits)
	if err != nil {
		// An invalid address: everyone without one shares a key.
		return netip.Prefix{}
	}
	return p
}
