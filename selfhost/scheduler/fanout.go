package scheduler

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
)

// maxTogether bounds the broadcasts of a turn that are put together: the bits of a mask.
const maxTogether = 64

// fanOut carries out a turn's effects in order. Broadcasts of one turn reach a connection in
// one write where nothing else of the turn concerns it: sixteen small messages cost a
// recipient hardly more than one.
func (r *room) fanOut(t *host.Turn) {
	casts := broadcasts(t.Effects)
	if len(casts) < 2 || len(casts) > maxTogether {
		r.table.Deliver(t, func(e abi.Effect) {
			if b, ok := e.(*abi.BroadcastEffect); ok {
				r.broadcast(b)
			} else {
				r.effect(e)
			}
		})
		return
	}
	frames := make([]*gateway.Frame, len(casts))
	for i, b := range casts {
		frames[i] = gateway.NewFrame(b.Encoding, b.Key, b.Data)
	}
	named := named(t)
	n := r.together(casts, frames, named)
	next := 0
	r.table.Deliver(t, func(e abi.Effect) {
		b, ok := e.(*abi.BroadcastEffect)
		if !ok {
			r.effect(e)
			return
		}
		frame := frames[next]
		next++
		for id := range named {
			if c := r.sockets[id]; c != nil && r.table.Receives(id, b) {
				c.Send(frame)
				n++
			}
		}
	})
	r.s.stats.broadcast(len(casts), n)
}

func broadcasts(effects []abi.Effect) (casts []*abi.BroadcastEffect) {
	for _, e := range effects {
		if b, ok := e.(*abi.BroadcastEffect); ok {
			casts = append(casts, b)
		}
	}
	return casts
}

func (r *room) broadcast(b *abi.BroadcastEffect) {
	frame := gateway.NewFrame(b.Encoding, b.Key, b.Data)
	n := 0
	r.table.Recipients(b, func(id uint64) {
		if c := r.sockets[id]; c != nil {
			c.Send(frame)
			n++
		}
	})
	r.s.stats.broadcast(1, n)
}

// together sends the broadcasts to the many connections that nothing else of the turn names,
// each its share in one batch. For them the order among the other effects does not matter.
func (r *room) together(casts []*abi.BroadcastEffect, frames []*gateway.Frame, named map[uint64]bool) (n int) {
	batches := make(map[uint64]*gateway.Batch)
	r.table.Each(func(id uint64) {
		c := r.sockets[id]
		if c == nil || named[id] {
			return
		}
		var mask uint64
		for i, b := range casts {
			if r.table.Receives(id, b) {
				mask |= 1 << i
				n++
			}
		}
		if mask == 0 {
			return
		}
		batch := batches[mask]
		if batch == nil {
			batch = gateway.NewBatch(pick(frames, mask)...)
			batches[mask] = batch
		}
		c.SendBatch(batch)
	})
	return n
}

// named are the connections that a turn concerns one by one.
func named(t *host.Turn) map[uint64]bool {
	ids := make(map[uint64]bool)
	for _, e := range t.Events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			ids[e.Connection.ID] = true
		case *abi.CloseEvent:
			ids[e.Connection] = true
		}
	}
	for _, e := range t.Effects {
		switch e := e.(type) {
		case *abi.BroadcastEffect:
			for _, id := range e.Except {
				ids[id] = true
			}
		case *abi.SendEffect:
			ids[e.Connection] = true
		case *abi.CloseEffect:
			ids[e.Connection] = true
		case *abi.MuteEffect:
			ids[e.Connection] = true
		}
	}
	return ids
}

func pick(frames []*gateway.Frame, mask uint64) []*gateway.Frame {
	var out []*gateway.Frame
	for i, f := range frames {
		if mask&(1<<i) != 0 {
			out = append(out, f)
		}
	}
	return out
}
