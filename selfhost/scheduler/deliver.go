package scheduler

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// deliverTurn lets one durable turn's effects out. It runs on the delivery goroutine.
func (r *room) deliverTurn(p *pendingTurn) {
	t := p.turn
	if r.s.o.Cluster != nil {
		r.deliverFar(t) // before those of this node: the others then write to theirs at the same time
	}
	for _, e := range t.Events {
		r.arrive(e)
	}
	r.fanOut(t)
	for _, e := range t.Events {
		r.depart(e)
	}
	r.watchedAnew()
	if p.extra.retell {
		r.tellAgain()
	}
	if t.AlarmSet {
		r.s.alarms.set(r.id, t.Alarm)
	}
	if a := p.extra.alarm; a != nil {
		r.s.alarms.set(r.id, a.Due)
	}
	if len(t.Tells) > 0 {
		r.s.tell(r, p.number, t.Tells)
	}
	if p.extra.evict != 0 {
		r.evict(p.extra.evict, p.extra.retry)
	}
}

// arrive is what an event of the turn does before its effects.
func (r *room) arrive(e abi.Event) {
	switch e := e.(type) {
	case *abi.StartEvent: // ticks end with the memory
		r.mu.Lock()
		r.stopTicker()
		r.mu.Unlock()
		r.watchAnew()
	case *abi.ConnectEvent:
		if c := r.takeJoining(e.Connection.ID); c != nil {
			if r.sockets == nil {
				r.sockets = make(map[uint64]*gateway.Connection)
			}
			r.sockets[c.ID] = c
			p := r.present(c, time.UnixMilli(int64(e.Connection.Since)))
			p.Device = deviceOf(e.Query)
			r.s.o.Presence.Join(p)
		}
	}
}

// present is a connection as presence knows it.
func (r *room) present(c *gateway.Connection, since time.Time) presence.Connection {
	return presence.Connection{ID: c.ID, User: c.User, Place: presence.Place{Kind: r.id.Kind, Room: r.id.Name}, Since: since}
}

// depart is what an event of the turn does after its effects.
func (r *room) depart(e abi.Event) {
	switch e := e.(type) {
	case *abi.CloseEvent:
		if c := r.sockets[e.Connection]; c != nil {
			r.s.o.Presence.Leave(r.present(c, time.Time{}))
			delete(r.sockets, e.Connection)
		}
		r.takeJoining(e.Connection)
	case *abi.ToldEvent:
		r.ack(e)
	}
}

// effect carries out one effect other than a broadcast.
func (r *room) effect(e abi.Effect) {
	switch e := e.(type) {
	case *abi.SendEffect:
		if c := r.sockets[e.Connection]; c != nil && r.table.Has(e.Connection) {
			r.s.stats.sent.Add(1)
			c.Send(gateway.NewFrame(e.Encoding, e.Key, e.Data))
		}
	case *abi.CloseEffect:
		c := r.sockets[e.Connection]
		if c == nil { // refused by the host: the room never saw it
			c = r.takeJoining(e.Connection)
		}
		if c != nil {
			c.Close(e.Code, e.Reason)
		}
	case *abi.RespondEffect:
		r.answerRequest(e.Request, e)
	case *abi.WatchEffect:
		r.watch(e)
	case *abi.NotifyEffect:
		r.notify(e)
	case *abi.TickEffect:
		r.setTicker(time.Duration(e.Interval) * time.Millisecond)
	}
}

// evict closes every connection of the room.
func (r *room) evict(code abi.Code, wait time.Duration) {
	for _, c := range r.sockets {
		refuse(c, code, wait)
	}
	r.mu.Lock()
	joining := r.joining
	r.joining = nil
	r.stopTicker() // a room that starts again asks for its ticks again
	r.mu.Unlock()
	for _, c := range joining {
		refuse(c, code, wait)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, f := range r.homes {
		f.refuse(id, code, wait)
	}
}

func (r *room) takeJoining(id uint64) *gateway.Connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.joining[id]
	delete(r.joining, id)
	return c
}

// answerRequest hands the answer to whoever waits; nil means that there will be none.
func (r *room) answerRequest(id uint64, a *abi.RespondEffect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer := r.answers[id]; answer != nil {
		answer <- a
		delete(r.answers, id)
	}
	if f := r.asked[id]; f != nil && a == nil {
		f.unanswered(id)
		delete(r.asked, id)
	}
}

func (r *room) ack(e *abi.ToldEvent) {
	if f := r.forgetAck(e); f != nil {
		f()
	}
}

func (r *room) forgetAck(e *abi.ToldEvent) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.acks[e]
	delete(r.acks, e)
	return f
}
