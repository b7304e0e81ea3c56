package gateway

import (
	"sync/atomic"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Stats is what a gateway has counted since [New]. Fields without another unit are numbers.
type Stats struct {
	// Connections are open now; Sockets also counts those that are being refused or are
	// in their closing handshake. Addresses is the number of addresses in memory.
	Connections, Sockets, Addresses int
	// Connected counts connections that were let in by the gateway.
	Connected uint64
	// MessagesIn and BytesIn count what was read for rooms, without frame heads.
	MessagesIn, BytesIn uint64
	// MessagesOut and BytesOut count frames that were written or queued, heads included.
	MessagesOut, BytesOut uint64
	// AutoResponses were answered without waking a room; Pings were sent to silent clients.
	AutoResponses, Pings uint64
	// MailboxWaits counts how often a client was kept waiting for its room.
	MailboxWaits uint64
	// SlowCloses counts connections that ended because their queue was full,
	// HeartbeatTimeouts those from which nothing was heard.
	SlowCloses, HeartbeatTimeouts uint64
	// Dropped counts messages that did not fit into a queue, Conflated those that a newer
	// one replaced.
	Dropped, Conflated uint64
	// Requests counts HTTP requests that reached a room.
	Requests uint64
	// Refused counts upgrades and requests that were not let in, Closed connections that this
	// side ended or that broke, both by code.
	Refused, Closed map[abi.Code]uint64
}

type stats struct {
	connections                atomic.Int64
	connected                  atomic.Uint64
	messagesIn, bytesIn        atomic.Uint64
	messagesOut, bytesOut      atomic.Uint64
	autoResponses, pings       atomic.Uint64
	waits                      atomic.Uint64
	slowCloses, timeouts       atomic.Uint64
	dropped, conflated         atomic.Uint64
	requests                   atomic.Uint64
	refusedByCode, closeByCode codeCounters
}

// codeCounters counts by the codes of the table, and all other codes under 0. The map
// never changes after init.
type codeCounters map[abi.Code]*atomic.Uint64

func (c codeCounters) add(code abi.Code) {
	n, ok := c[code]
	if !ok {
		n = c[0]
	}
	n.Add(1)
}

func (c codeCounters) snapshot() map[abi.Code]uint64 {
	m := make(map[abi.Code]uint64)
	for code, n := range c {
		if v := n.Load(); v > 0 {
			m[code] = v
		}
	}
	return m
}

func (s *stats) init() {
	s.refusedByCode, s.closeByCode = make(codeCounters), make(codeCounters)
	for _, info := range append(abi.Codes(), abi.CodeInfo{}) {
		s.refusedByCode[info.Code] = new(atomic.Uint64)
		s.closeByCode[info.Code] = new(atomic.Uint64)
	}
}

func (s *stats) refused(code abi.Code) { s.refusedByCode.add(code) }
func (s *stats) closed(code abi.Code)  { s.closeByCode.add(code) }

// Stats returns the counters of this moment. They are read one by one, so they need
// not fit each other exactly.
func (g *Gateway) Stats() Stats {
	g.mu.Lock()
	sockets := len(g.sockets)
	g.mu.Unlock()
	s := &g.stats
	return Stats{
		Connections:       int(s.connections.Load()),
		Sockets:           sockets,
		Addresses:         g.addresses.len(),
		Connected:         s.connected.Load(),
		MessagesIn:        s.messagesIn.Load(),
		BytesIn:           s.bytesIn.Load(),
		MessagesOut:       s.messagesOut.Load(),
		BytesOut:          s.bytesOut.Load(),
		AutoResponses:     s.autoResponses.Load(),
		Pings:             s.pings.Load(),
		MailboxWaits:      s.waits.Load(),
		SlowCloses:        s.slowCloses.Load(),
		HeartbeatTimeouts: s.timeouts.Load(),
		Dropped:           s.dropped.Load(),
		Conflated:         s.conflated.Load(),
		Requests:          s.requests.Load(),
		Refused:           s.refusedByCode.snapshot(),
		Closed:            s.closeByCode.snapshot(),
	}
}
