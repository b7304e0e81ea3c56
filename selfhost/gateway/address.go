package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// clientAddress returns the network address of whoever sent r: the peer's, or, if the peer
// is a trusted proxy, the rightmost address in X-Forwarded-For that is not one.
// What stands further left was written by the client and proves nothing.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := peerAddress(r.RemoteAddr)
	if !isTrusted(addr, trusted) {
		return addr
	}
	lines := r.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		rest := lines[i]
		for more := true; more; {
			var last string
			if j := strings.LastIndexByte(rest, ','); j >= 0 {
				rest, last = rest[:j], rest[j+1:]
			} else {
				last, more = rest, false
			}
			a, err := netip.ParseAddr(strings.TrimSpace(last))
			if err != nil {
				return addr
			}
			if addr = a.Unmap().WithZone(""); !isTrusted(addr, trusted) {
				return addr
			}
		}
	}
	return addr
}

// peerAddress reads the address out of "host:port"; what is none becomes 0.0.0.0, so that
// whoever has no address shares one.
func peerAddress(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone("")
	}
	return netip.IPv4Unspecified()
}

func isTrusted(a netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// share is the network whose limits an address is counted against: an IPv6 client usually
// has a whole /64 to itself.
func share(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // an invalid address has the zero prefix, and shares it
	return p
}

// maxAddresses bounds the memory for addresses. Above it, one that has nothing open
// is forgotten, which gives it a full bucket again.
const maxAddresses = 1 << 16

// addressTable counts what each address has open and how often it tries.
type addressTable struct {
	maxSockets, maxSocketsEach   int
	maxRequests, maxRequestsEach int
	rate, burst                  float64

	mu       sync.Mutex // guards the fields below
	entries  map[netip.Prefix]*addressEntry
	sockets  int
	requests int
}

type addressEntry struct {
	attempts                 bucket
	sockets, requests, peers int
}

func newAddressTable(o Options) *addressTable {
	return &addressTable{
		maxSockets: o.MaxSockets, maxSocketsEach: o.MaxSocketsPerAddress,
		maxRequests: o.MaxRequests, maxRequestsEach: o.MaxRequestsPerAddress,
		rate: o.AttemptsPerSecond, burst: float64(o.AttemptBurst),
		entries: make(map[netip.Prefix]*addressEntry),
	}
}

// entry returns the entry of p. mu is held.
func (t *addressTable) entry(p netip.Prefix) *addressEntry {
	if e := t.entries[p]; e != nil {
		return e
	}
	if len(t.entries) >= maxAddresses {
		looked := 0
		for q, e := range t.entries {
			if e.idle() {
				delete(t.entries, q)
				break
			}
			if looked++; looked == 64 {
				break
			}
		}
	}
	e := new(addressEntry)
	t.entries[p] = e
	return e
}

func (e *addressEntry) idle() bool { return e.sockets == 0 && e.requests == 0 && e.peers == 0 }

// attempt counts one request of any sort.
func (t *addressTable) attempt(p netip.Prefix, now time.Duration) *Refusal {
	if t.rate < 0 || t.burst < 0 {
		return nil
	}
	t.mu.Lock()
	wait, ok := t.entry(p).attempts.take(now, t.rate, t.burst)
	t.mu.Unlock()
	if ok {
		return nil
	}
	return &Refusal{Code: abi.CodeRateLimited, Retry: max(wait, defaultRetry(abi.CodeRateLimited)), Detail: "attempts of this address"}
}

// openSocket takes a place for a socket; closeSocket gives it back.
func (t *addressTable) openSocket(p netip.Prefix) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(p)
	switch {
	case t.maxSocketsEach >= 0 && e.sockets >= t.maxSocketsEach:
		return &Refusal{Code: abi.CodeTooManyConnections, Retry: defaultRetry(abi.CodeTooManyConnections)}
	case t.maxSockets >= 0 && t.sockets >= t.maxSockets:
		return &Refusal{Code: abi.CodeOverloaded, Retry: defaultRetry(abi.CodeOverloaded)}
	}
	e.sockets++
	t.sockets++
	return nil
}

// forceSocket takes a place beyond the limits, for a socket that is only to be refused.
func (t *addressTable) forceSocket(p netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry(p).sockets++
	t.sockets++
}

func (t *addressTable) closeSocket(p netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry(p).sockets--
	t.sockets--
}

// openRequest takes a place for an HTTP request; closeRequest gives it back.
func (t *addressTable) openRequest(p netip.Prefix) *Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(p)
	switch {
	case t.maxRequestsEach >= 0 && e.requests >= t.maxRequestsEach:
		return &Refusal{Code: abi.CodeTooManyConnections, Retry: defaultRetry(abi.CodeTooManyConnections)}
	case t.maxRequests >= 0 && t.requests >= t.maxRequests:
		return &Refusal{Code: abi.CodeOverloaded, Retry: defaultRetry(abi.CodeOverloaded)}
	}
	e.requests++
	t.requests++
	return nil
}

func (t *addressTable) closeRequest(p netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry(p).requests--
	t.requests--
}

// openPeer counts a transport connection that is not, or not yet, a socket, and says
// whether there are now more than limit; closePeer takes it off again.
func (t *addressTable) openPeer(p netip.Prefix, limit int) (ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.entry(p)
	e.peers++
	return e.peers <= limit
}

func (t *addressTable) closePeer(p netip.Prefix) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry(p).peers--
}

// sweep forgets addresses that have nothing open and whose bucket is full.
func (t *addressTable) sweep(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for p, e := range t.entries {
		if e.attempts.settle(now, t.rate); e.idle() && e.attempts.spent == 0 {
			delete(t.entries, p)
		}
	}
}

func (t *addressTable) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}
