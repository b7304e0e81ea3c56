package session

import (
	"strconv"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// hello makes a connection a member, in the session it names or in a new one. A member that says it
// again (PROTOCOL.md, section 4, resync) stays one, and is welcomed anew.
func (r *Room) hello(m *Member, c *protocol.ClientMessage) {
	again := m.phase != greeting
	if again && r.tooManyHellos(m) {
		m.Close(abi.CodeRateLimited, abi.CloseReason(abi.CodeRateLimited, retryAfter, "hello"))
		return
	}
	away := r.inner.StoreAway()
	if away && !(again && c.Session == m.session) { // there is something to write
		m.storageAway()
		return
	}
	id, rec := c.Session, r.loadRecord(c.Session)
	if rec != nil && rec.user != m.name {
		rec = nil // the client cannot tell it from a session that is not known
	}
	if rec == nil && away {
		m.storageAway()
		return
	}
	if rec == nil && !r.makeRoom(&r.sessions) {
		m.Close(abi.CodeOverloaded, abi.CloseReason(abi.CodeOverloaded, 10*time.Second, "sessions"))
		return
	}
	if r.attached-m.size+attachmentSlack+protocol.MaxMemberData > maxAttached {
		m.Close(abi.CodeRoomFull, abi.CloseReason(abi.CodeRoomFull, 10*time.Second, ""))
		return
	}
	if again {
		// What is broadcast from here on comes in the replay. A muted one is muted anew: the node that
		// holds the socket may have missed the first time.
		m.conn.Mute(false)
		m.conn.Mute(true)
	}
	said, ok := r.askJoin(m, c.Payload)
	if !ok {
		return
	}
	older := r.bySession.Get(id)
	if again && (rec == nil || id != m.session) {
		// The session that it had is over, as after 1000.
		r.forget(m)
		r.bySession.Delete(m.session)
	}
	if rec == nil {
		rec, older = r.newRecord(m), nil
		id = rec.key[len(prefixSession):]
		rec.check = r.sessions.at(r.now() + r.limits.keep)
		r.putRecord(id, rec)
		r.shelve(&r.sessions, id, rec.check)
	} else if rec.left != 0 && !away {
		rec.left = 0
		r.putRecord(id, rec)
	}
	m.session, m.record = id, rec
	if older == m {
		older = nil
	}
	if older != nil {
		r.takeOver(older, abi.CodeTakenOver)
	}
	r.bySession.Set(id, m)
	// Nobody has seen an offset beyond the head: what is sent below is what a client that
	// comes in this moment gets.
	m.phase = replaying
	switch {
	case !again:
		r.greeted = true
		r.enter(m)
	case older != nil:
		r.told(r.users.get(m.name)) // it has one connection less
	}
	r.welcome(m, c, said)
}

func (m *Member) storageAway() {
	m.Close(abi.CodeStorageUnavailable, abi.CloseReason(abi.CodeStorageUnavailable, retryAfter, ""))
}

// tooManyHellos counts a hello after the first against the rate of tooFast. A client that has spent
// its burst when a node dies must be able to say hello all the same, so hellos may go into debt by a
// second burst, for which what follows waits.
func (r *Room) tooManyHellos(m *Member) bool {
	now, each := r.now()*1000, r.limits.each
	pace := max(m.pace, now) + each
	if pace-now > 2*uint64(r.limits.burst)*each {
		return true
	}
	m.pace = pace
	return false
}

// attachmentSlack is what an attachment has beside the user's data.
const attachmentSlack = 96

// askJoin asks the kind. The connection is closed if it answers no.
func (r *Room) askJoin(m *Member, hello Payload) (said Payload, ok bool) {
	if r.kind.join == nil {
		return Payload{}, true
	}
	said, err := r.kind.join.Join(r, m, hello)
	if err != nil {
		code, reason := toError(err).closing()
		m.Close(code, reason)
		return said, false
	}
	if m.phase == gone || !m.conn.Open() {
		return said, false // the kind has closed it
	}
	checkPayload(said, hello.Data)
	if len(said.Data) > maxWelcome {
		panic("session: Join: the welcome carries more than 64 KiB")
	}
	return said, true
}

// maxWelcome bounds what a kind says in a welcome, so that the message stays below 1 MiB with
// the longest list of members.
const maxWelcome = 64 << 10

// takeOver closes the older connection of a session. The newer one is about to enter, so nobody
// is told that the user has left.
func (r *Room) takeOver(older *Member, code abi.Code) {
	older.phase = gone
	r.unbind(older.conn)
	r.attached -= older.size
	r.part(older)
	older.conn.Close(code, abi.CloseReason(code, 0, ""))
}

// welcome answers hello and begins the replay.
func (r *Room) welcome(m *Member, c *protocol.ClientMessage, said Payload) {
	w := protocol.Welcome{
		Connection:      strconv.FormatUint(m.conn.ID(), 10),
		Session:         m.session,
		ID:              c.ID,
		HasID:           c.HasID,
		Incarnation:     r.incarnations.current(),
		Offset:          r.head,
		Seq:             m.record.seq,
		Heartbeat:       r.limits.heartbeat,
		First:           r.First(),
		RetentionEvents: r.limits.history,
		RetentionAge:    r.limits.age,
		Keep:            r.limits.keep,
		LimitMessage:    uint64(r.limits.message),
		LimitOpen:       r.limits.open,
		Payload:         said,
	}
	if w.Reason = protocol.ReasonNew; c.HasOffset {
		w.Reason = r.incarnations.place(c.Incarnation, c.Offset, w.First, r.head)
	}
	w.Resumed = w.Reason == protocol.ReasonNone
	if r.state.counts {
		counts := r.Counts()
		w.Counts = &counts
	} else {
		w.Members = r.infos()
	}
	m.send(w.Append)
	if m.place = r.head; w.Resumed {
		m.place = c.Offset
	}
	r.replay(m, true)
}

const (
	// turnBytes bounds what all replays of one turn send; a turn has 8 MiB of effects.
	turnBytes = 4 << 20
	// rowOverhead is what a frame costs beside its bytes.
	rowOverhead = 16
)

// replay sends the next part of what a connection missed. With the last part it becomes live.
func (r *Room) replay(m *Member, first bool) {
	if m.place < r.head && m.place+1 < r.First() {
		m.fail(abi.CodeSlowConsumer, "history has passed the replay")
		return
	}
	r.refill()
	sent, bytes := 0, 0
	if r.budget > 0 {
		for e := range r.read(m.place+1, r.head, false) {
			msg := e.message(r.incarnations.begins(e.Offset))
			*r.buf = msg.Append((*r.buf)[:0], m.form)
			n := len(*r.buf) + rowOverhead
			if sent == maxPartEvents || sent > 0 && bytes+n > r.limits.partBytes {
				break
			}
			m.sendFrame(*r.buf, "")
			m.place = e.Offset
			sent++
			bytes += n
		}
		r.budget -= bytes
	}
	if m.place < r.head {
		m.attach()
		m.send((&protocol.Part{Offset: m.place}).Append)
		return
	}
	m.phase, m.place = live, 0
	m.attach()
	if !first {
		m.send(r.presence().Append)
	}
	m.conn.Mute(false)
}

// refill gives a new turn its budget.
func (r *Room) refill() {
	if turn := r.inner.Turn(); turn != r.turn {
		r.turn, r.budget = turn, turnBytes
	}
}
