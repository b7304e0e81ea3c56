package session

import (
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// request answers a request: the protocol's own here, all others by the kind.
func (r *Room) request(m *Member, c *protocol.ClientMessage) {
	var p Payload
	var err error
	if e := r.tooFast(m); e != nil {
		m.sayError(e, 0, &c.ID, 0)
		return
	}
	switch {
	case c.Event == protocol.RequestHistory:
		var q protocol.HistoryQuery
		if q, err = protocol.DecodeHistoryQuery(c.Payload, m.form); err == nil {
			p = r.historyPage(q, m.form)
		}
	case c.Event == protocol.RequestMembers:
		var q protocol.MembersQuery
		if q, err = protocol.DecodeMembersQuery(c.Payload, m.form); err == nil {
			page := membersPage(r, q)
			p = protocol.PagePayload(protocol.AppendMembersPage(nil, &page, m.form), m.form)
		}
	case r.kind.request == nil, strings.HasPrefix(c.Event, protocol.RequestPrefix):
		err = abi.CodeUnknownEvent
	default:
		p, err = r.kind.request.Request(r, m, Request{Event: c.Event, Payload: c.Payload})
		if err == nil {
			checkPayload(p, c.Payload.Data)
			if len(p.Data) > abi.MaxMessage-frameSlack {
				err = ErrTooLarge
			}
		}
	}
	switch {
	case m.phase == gone:
	case err != nil:
		m.sayError(toError(err), 0, &c.ID, 0)
	default:
		m.send((&protocol.Response{ID: c.ID, Payload: p}).Append)
	}
}

// historyPage reads a page, at most about maxPartBytes long.
func (r *Room) historyPage(q protocol.HistoryQuery, f protocol.Form) Payload {
	first, last, reverse := r.First(), r.head, true
	switch {
	case q.HasAfter:
		first, reverse = max(first, q.After+1), false
	case q.HasBefore && q.Before <= last:
		last = max(q.Before, 1) - 1
	}
	page := protocol.HistoryPage{}
	bytes := 0
	for e := range r.read(first, last, reverse) {
		n := e.size()
		if uint64(len(page.Events)) == q.Limit || len(page.Events) > 0 && bytes+n > maxPartBytes {
			page.More = true
			break
		}
		page.Events = append(page.Events, e.message(""))
		bytes += n
	}
	if reverse {
		for i, j := 0, len(page.Events)-1; i < j; i, j = i+1, j-1 {
			page.Events[i], page.Events[j] = page.Events[j], page.Events[i]
		}
	}
	return protocol.PagePayload(protocol.AppendHistoryPage(nil, &page, f), f)
}

// size is about what e takes in a message.
func (e *Event) size() int {
	n := len(e.Payload.Data) + len(e.From) + len(e.Name) + 80
	if e.Payload.Format == protocol.FormatBytes {
		n += len(e.Payload.Data) / 3
	}
	return n
}

// signal lets the kind say what the others hear.
func (r *Room) signal(m *Member, c *protocol.ClientMessage) {
	// A notification is never a member's: its receivers trust that.
	if r.kind.signal == nil || strings.HasPrefix(c.Event, NotifyPrefix) {
		m.sayError(toError(abi.CodeUnknownEvent), 0, nil, 0)
		return
	}
	if e := r.tooFast(m); e != nil {
		m.sayError(e, 0, nil, 0)
		return
	}
	s, err := r.kind.signal.Signal(r, m, Signal{Name: c.Event, Payload: c.Payload})
	switch {
	case err != nil && m.phase != gone:
		m.sayError(toError(err), 0, nil, 0)
	case err == nil && s.Name != "":
		checkSignal(&s, c.Payload.Data)
		if s.size() > abi.MaxMessage-frameSlack {
			m.sayError(toError(abi.CodeTooLarge), 0, nil, 0)
			return
		}
		msg := protocol.Signal{Name: s.Name, From: m.name, Payload: s.Payload}
		r.broadcast(msg.Append, m, s.Key)
	}
}

func (s *Signal) size() int { return (&Event{Payload: s.Payload}).size() }
