package session

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// The room has one alarm. These timers share it: hello timeouts, ends of grace times, merged
// counts, the members told anew, old events, shelves, and the kind's own alarm. All of them can
// be found in storage or in the attachments, so none is lost in a sleep.

// hostHelloTimeout is when hosts end a connection that has said nothing unless they are told otherwise, in ms.
// The room's alarm is for those that have said something else, and for shorter timeouts: a connect
// that sets no alarm writes nothing. An alarm that rings for one of them looks at all.
const hostHelloTimeout = uint64(DefaultHelloTimeout / time.Millisecond)

// next is the time of the first timer, 0 if none runs; of hellos only if the room waits for them itself.
func (r *Room) next(awaited bool) uint64 {
	s := &r.state
	at := s.alarm
	for _, t := range [...]uint64{s.countsDue, s.wholeDue, s.ageDue, s.sweepDue} {
		at = earlier(at, t)
	}
	at = earlier(at, r.graced.first())
	for len(r.greeting) > 0 && r.greeting[0].phase != greeting {
		r.greeting = r.greeting[1:]
	}
	if len(r.greeting) > 0 && (awaited || r.limits.helloTimeout < hostHelloTimeout) {
		at = earlier(at, r.deadline(r.greeting[0]))
	}
	return at
}

func (r *Room) deadline(m *Member) uint64 {
	return uint64(m.conn.Since().UnixMilli()) + r.limits.helloTimeout
}

// settle ends a handler: what has changed of the state is written, and the alarm comes in time.
//
// While connections have not said hello, an alarm that is too early stays: it finds nothing due and sets
// the next one, which costs less than a write for each of them. When the last one has, it goes to
// the next timer, or would wake the room for nothing.
func (r *Room) settle() {
	greeted, awaited := r.greeted, r.awaited
	r.greeted, r.awaited = false, false
	if !r.dirty && !r.rearm && !greeted || r.inner.StoreAway() {
		return
	}
	r.rearm = false
	if r.dirty {
		r.dirty = false
		*r.buf = r.state.append((*r.buf)[:0])
		r.system().Put(keyState, *r.buf)
	}
	var set uint64
	if t, ok := r.inner.Alarm(); ok {
		set = uint64(t.UnixMilli())
	}
	switch at := r.next(awaited); {
	case at != 0 && (set == 0 || at < set):
		r.inner.SetAlarm(time.UnixMilli(int64(at)))
	case at == set, !greeted, len(r.greeting) > 0: // in time, if early
	case at == 0:
		r.inner.ClearAlarm()
	default:
		r.inner.SetAlarm(time.UnixMilli(int64(at)))
	}
}

// due does everything whose time has come.
func (r *Room) due(now uint64, attempt int) {
	for len(r.greeting) > 0 {
		m := r.greeting[0]
		if m.phase == greeting {
			if r.deadline(m) > now {
				break
			}
			m.fail(abi.CodeHelloTimeout, "")
		}
		r.greeting = r.greeting[1:]
	}
	r.graceOver(now)
	s := &r.state
	if is(s.wholeDue, now) {
		s.wholeDue, r.dirty = 0, true
		r.broadcast(r.presence().Append, nil, keyPresence)
	}
	if is(s.countsDue, now) {
		r.tellCounts()
	}
	if is(s.ageDue, now) {
		r.removeAged(now)
	}
	if is(s.sweepDue, now) {
		s.sweepDue = earlier(r.sweep(&r.sessions, now, false, ""), r.sweep(&r.keys, now, false, ""))
		r.dirty = true
	}
	if is(s.alarm, now) {
		at := s.alarm
		s.alarm, r.dirty = 0, true
		if r.kind.alarm != nil {
			r.kind.alarm.Alarm(r, rooms.Alarm{ScheduledMillis: int64(at), Attempt: attempt})
		}
	}
}

func is(due, now uint64) bool { return due != 0 && due <= now }
