package roomtest

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// Move lets the room run under another term from now on, as after a move to another node: its
// memory goes, its connections stay. The first term is "term-1".
func (h *Host) Move(term string) { h.own(term, h.durable.Clone(), abi.StartMoved) }

// Restart is what a crash of the host's process and its next start are: another term, and every
// connection is gone without a close event. The clients see 1006.
func (h *Host) Restart(term string) {
	for id, c := range h.clients {
		h.close(id, abi.CodeAbnormal, "")
		c.closed = true
	}
	h.durable = host.Table{}
	h.tick = 0
	h.own(term, &h.durable, abi.StartCold)
}

func (h *Host) own(term string, connections *host.Table, reason abi.StartReason) {
	h.room.Sleep()
	h.term = term
	c := h.config(h.guest, &h.storage)
	c.Connections, c.Reason, c.Time = connections, reason, uint64(h.now.UnixMilli())
	h.room = host.New(c)
}
