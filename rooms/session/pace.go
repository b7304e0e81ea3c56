package session

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// tooFast counts a message of a member against the kind's rate and refuses it softly if it
// comes too early: a client with many publishes to send is slowed down, and loses neither its
// connection nor a message. The host's bound is behind it, at twice the rate, for
// clients that do not listen.
//
// It is the generic cell rate algorithm: pace is the time, in microseconds, at which the member's
// bucket is full again. It is not kept over a sleep, in which every bucket fills.
func (r *Room) tooFast(m *Member) *Error {
	if m.conn == nil {
		return nil
	}
	now := r.now() * 1000
	each := r.limits.each
	pace := max(m.pace, now)
	if over := int64(pace+each-now) - int64(uint64(r.limits.burst)*each); over > 0 {
		// A client sends all that it may have open once more, so it is told to wait until as many
		// fit at once: one at a time, it would spend its rate on being refused.
		wait := uint64(over) + uint64(min(r.limits.burst, int(r.limits.open))-1)*each
		return Retry(abi.CodeRateLimited, time.Duration(wait)*time.Microsecond, "more messages than the room takes")
	}
	m.pace = pace + each
	return nil
}
