package roomtest

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// Move lets the room run under another term from now on, as after a move to another node: its
// memory goes, its connections stay. The first term is "term-1".
func (h *Host) Move(term string) {
	h.cut = nil
	h.own(term, h.durable.Clone(), abi.StartMoved)
}

// Cut breaks the way from the room to some clients, as when the node that runs it is about to be given
// up for dead: what the room does from now on is durable, and they hear nothing of it, until [Host.Move]
// lets another node run the room, with their attachments as they were before.
func (h *Host) Cut(clients ...*Client) {
	if h.cut == nil {
		h.cut = make(map[uint64]bool)
	}
	for _, c := range clients {
		h.cut[c.ID] = true
	}
}

// uncut is a turn without what it does to connections that are cut off.
func (h *Host) uncut(t *host.Turn) *host.Turn {
	if len(h.cut) == 0 {
		return t
	}
	part := *t
	part.Events, part.Effects = nil, nil
	for _, e := range t.Events { // of a connection that the room has closed
		if e, ok := e.(*abi.CloseEvent); ok && h.cut[e.Connection] && !h.clients[e.Connection].closed {
			continue
		}
		part.Events = append(part.Events, e)
	}
	for _, e := range t.Effects {
		var id uint64
		switch e := e.(type) {
		case *abi.SendEffect:
			id = e.Connection
		case *abi.AttachEffect:
			id = e.Connection
		case *abi.MuteEffect:
			id = e.Connection
		case *abi.TagsEffect:
			id = e.Connection
		case *abi.CloseEffect:
			id = e.Connection
		}
		if !h.cut[id] {
			part.Effects = append(part.Effects, e)
		}
	}
	return &part
}

// Restart is what a crash of the host's process and its next start are: another term, and every
// connection is gone without a close event. The clients see 1006.
func (h *Host) Restart(term string) {
	for id, c := range h.clients {
		h.close(id, abi.CodeAbnormal, "")
		c.closed = true
	}
	h.durable = host.Table{}
	h.tick, h.cut = 0, nil
	h.own(term, &h.durable, abi.StartCold)
}

func (h *Host) own(term string, connections *host.Table, reason abi.StartReason) {
	h.room.Sleep()
	h.term = term
	c := h.config(h.guest, &h.storage)
	c.Connections, c.Reason, c.Time = connections, reason, uint64(h.now.UnixMilli())
	h.room = host.New(c)
}
