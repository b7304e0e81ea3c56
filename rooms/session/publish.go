package session

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// shelves says how long sessions and idempotency keys are kept.
func (r *Room) shelves() {
	r.sessions = shelf{rows: prefixSession, index: prefixSessionAt, count: &r.state.sessions,
		max: r.limits.sessions, keep: r.limits.keep, step: r.limits.keepStep}
	r.keys = shelf{rows: prefixKey, index: prefixKeyAt, count: &r.state.keys,
		max: r.limits.sessions, keep: r.limits.keep, step: r.limits.keepStep}
}

// look says until when a row of a shelf is kept as of now, and whether it may go early when the
// shelf is full. It may rewrite the row.
func (r *Room) look(s *shelf, id string, now uint64) (until uint64, early bool) {
	if s == &r.sessions {
		return r.lookSession(id, now)
	}
	return r.lookKey(id)
}

// moved writes the new time of a row's index entry into the row.
func (r *Room) moved(s *shelf, id string, at uint64) {
	if s == &r.sessions {
		r.moveSession(id, at)
	}
}

// loadRecord reads what is kept of a session, nil if nothing is.
func (r *Room) loadRecord(id string) *record {
	if id == "" {
		return nil
	}
	m := r.bySession.Get(id)
	if m != nil && m.record != nil {
		return m.record
	}
	b, ok := r.system().Get(prefixSession + id)
	if !ok {
		return nil
	}
	rec, err := decodeRecord(b)
	if err != nil {
		panic("session: a session's row is damaged: " + err.Error())
	}
	if m != nil {
		m.record = rec // one value for all who change it
	}
	return rec
}

// recordOf is the record of a member's session; nil if the store has lost it.
func (r *Room) recordOf(m *Member) *record {
	if m.record == nil {
		m.record = r.loadRecord(m.session)
	}
	return m.record
}

func (r *Room) putRecord(id string, rec *record) {
	if rec.key == "" {
		rec.key = prefixSession + id
	}
	*r.buf = rec.append((*r.buf)[:0])
	r.system().Put(rec.key, *r.buf)
}

// lookSession is the shelf's question about a session.
func (r *Room) lookSession(id string, now uint64) (until uint64, early bool) {
	if r.bySession.Get(id) != nil {
		return now + r.limits.keep, false
	}
	rec := r.loadRecord(id)
	if rec == nil {
		return 0, true
	}
	if rec.left == 0 {
		// Its connection went with a host: its time begins when that is found out.
		rec.left = now
		r.putRecord(id, rec)
	}
	return rec.left + r.limits.keep, true
}

func (r *Room) moveSession(id string, at uint64) {
	if rec := r.loadRecord(id); rec != nil {
		rec.check = at
		r.putRecord(id, rec)
	}
}

// forget ends a session whose client said that it is over.
func (r *Room) forget(m *Member) {
	if rec := r.recordOf(m); rec != nil {
		r.unshelve(&r.sessions, m.session, rec.check)
	}
}

// publish takes one publish of a session (PROTOCOL.md, section 6).
func (r *Room) publish(m *Member, c *protocol.ClientMessage) {
	rec := r.inOrder(m, c.Seq)
	if rec == nil {
		return
	}
	var e Event
	err := r.tooFast(m)
	if err == nil {
		err = r.decide(m, &Publish{Event: c.Event, Payload: c.Payload, Seq: c.Seq}, &e)
	}
	r.conclude(m, rec, &e, err)
}

// inOrder returns the record of the session if seq is the next number. Otherwise it answers.
func (r *Room) inOrder(m *Member, seq uint64) *record {
	rec := r.recordOf(m)
	if rec == nil {
		m.sayError(toError(abi.CodeSessionLost), seq, nil, 0)
		return nil
	}
	next := rec.seq + 1
	if seq < next {
		if a, ok := rec.answers.get(seq, rec.seq); ok {
			r.sayAnswer(m, seq, a)
			return nil
		}
	}
	switch {
	case seq > rec.seq+r.limits.open:
		m.sayError(again(abi.CodeTooManyOpen), seq, nil, next)
	case seq != next:
		m.sayError(again(abi.CodeOutOfOrder), seq, nil, next)
	case r.inner.StoreAway():
		m.sayError(toError(abi.CodeStorageUnavailable), seq, nil, 0)
	default:
		return rec
	}
	return nil
}

// again is a retryable error without a delay.
func again(code abi.Code) *Error {
	return &Error{Code: code.String(), Message: code.Info().Text, Retryable: true}
}

// decide asks the kind what becomes of a publish: e, which has no name if there is to be none. It
// counts only without an error.
func (r *Room) decide(m *Member, p *Publish, e *Event) *Error {
	if r.kind.publish == nil {
		return toError(abi.CodeUnknownEvent)
	}
	var err error
	if *e, err = r.kind.publish.Publish(r, m, *p); err == nil && e.Name != "" {
		e.From = m.name
		err = r.checkEvent(e, p)
	}
	if err != nil {
		return toError(err)
	}
	return nil
}

// conclude makes the event heard and answers. Everything but a retryable error consumes the
// number.
func (r *Room) conclude(m *Member, rec *record, e *Event, err *Error) {
	seq := rec.seq + 1
	if err != nil && err.Retryable {
		m.sayError(err, seq, nil, 0)
		return
	}
	a := answer{}
	switch {
	case err != nil:
		a.code, a.text = err.Code, err.Message
	case e.Name != "":
		r.publishEvent(e)
		a.offset = e.Offset
	}
	rec.seq = seq
	rec.answers.add(a)
	r.putRecord(m.session, rec)
	if m.phase == gone {
		return // the kind has closed it
	}
	r.sayAnswer(m, seq, a)
}

// sayAnswer sends an answer, for the first time or again.
func (r *Room) sayAnswer(m *Member, seq uint64, a answer) {
	if a.code != "" {
		m.sayError(&Error{Code: a.code, Message: cut(a.text, maxAnswerText)}, seq, nil, 0)
		return
	}
	ack := protocol.Ack{Seq: seq, Offset: a.offset}
	*r.buf = ack.Append((*r.buf)[:0], m.form)
	m.sendFrame(*r.buf, "")
}
