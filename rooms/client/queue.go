package client

import (
	"slices"
	"time"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A publish waits in the queue until its final answer.
type publish struct {
	event   string
	payload protocol.Payload
	sent    bool // on some connection: it may have happened

	answered chan struct{} // closed when offset and err count
	offset   uint64
	err      error
}

func (p *publish) size() int { return 64 + len(p.event) + len(p.payload.Data) }

func (p *publish) finish(offset uint64, err error) {
	p.offset, p.err = offset, err
	close(p.answered)
}

// queue holds a session's publishes that have no final answer, in order. The number of the
// first is last+1, of the second last+2, and so on (PROTOCOL.md, section 6).
type queue struct {
	list []*publish
	size int // bytes

	// last is the last number of the session that has its final answer, highest the
	// highest that was ever sent. They count if numbered: a welcome has said what last is.
	// Nothing is sent before.
	last, highest uint64
	numbered      bool

	// Of this connection. Each number in flight is answered once, in the order of sending,
	// unless the connection ends first.
	flight []uint64
	stale  int       // how many of flight were sent before the last rewind
	next   int       // index in list of what is sent next
	until  time.Time // when it may be sent, after a retryable error
}

func (q *queue) push(p *publish, length, bytes int) bool {
	if len(q.list) >= length || len(q.list) > 0 && q.size+p.size() > bytes {
		return false
	}
	q.list = append(q.list, p)
	q.size += p.size()
	return true
}

// withdraw takes a publish back that was never sent. Everything behind it was not sent either.
func (q *queue) withdraw(p *publish) bool {
	i := slices.Index(q.list, p)
	if i < 0 || p.sent {
		return false
	}
	q.remove(i)
	return true
}

func (q *queue) remove(i int) {
	q.size -= q.list[i].size()
	q.list = slices.Delete(q.list, i, i+1)
}

// peek returns what may be sent now, with its number; or how long to wait for it, 0 if there is
// nothing to wait for but answers and further publishes.
func (q *queue) peek(open int, now time.Time) (p *publish, seq uint64, wait time.Duration) {
	if !q.numbered || q.next == len(q.list) || q.next >= open || len(q.flight) >= open {
		return nil, 0, 0
	}
	if d := q.until.Sub(now); d > 0 {
		return nil, 0, d
	}
	return q.list[q.next], q.last + uint64(q.next) + 1, 0
}

// send notes that what peek has returned is on its way.
func (q *queue) send() {
	p := q.list[q.next]
	p.sent = true
	q.next++
	seq := q.last + uint64(q.next)
	q.highest = max(q.highest, seq)
	q.flight = append(q.flight, seq)
}

// refuse ends the publish that peek has returned, without a number.
func (q *queue) refuse(err error) {
	p := q.list[q.next]
	q.remove(q.next)
	p.finish(0, err)
}

// settle takes an answered number out of the flight. stale says that it has been, or will be, sent
// again since; ok is false if the room was not asked.
func (q *queue) settle(seq uint64) (stale, ok bool) {
	i := slices.Index(q.flight, seq)
	if i < 0 {
		return false, false
	}
	stale = i < q.stale
	q.flight = slices.Delete(q.flight, 0, i+1)
	q.stale = max(q.stale-i-1, 0)
	return stale, true
}

// answer gives a publish its final answer. A number that is not the first's is an older
// connection's answer again, or (false) breaks the protocol.
func (q *queue) answer(seq, offset uint64, err error) bool {
	if _, ok := q.settle(seq); !ok {
		return false
	}
	if seq <= q.last {
		return true
	}
	if seq != q.last+1 || len(q.list) == 0 {
		return false
	}
	p := q.list[0]
	q.list[0] = nil
	q.list = q.list[1:]
	q.size -= p.size()
	q.next = max(q.next-1, 0)
	q.last++
	p.finish(offset, err)
	return true
}

// again deals with a retryable answer: what has no final answer is sent once more, not before
// wait has passed. Numbers that the room knows already get their first answers.
func (q *queue) again(seq uint64, wait time.Duration, now time.Time) bool {
	stale, ok := q.settle(seq)
	if !ok {
		return false
	}
	if until := now.Add(wait); wait > 0 && until.After(q.until) {
		q.until = until
	}
	if !stale { // else it is refused only because one before it was
		q.next, q.stale = 0, len(q.flight)
	}
	return true
}

// follows reports whether a session whose last consumed number is seq can be this queue's: a
// room that has lost what it acknowledged is behind, and one that somebody else publishes to
// in the same session is ahead.
func (q *queue) follows(seq uint64) bool {
	return !q.numbered || seq >= q.last && seq <= q.highest
}

// connected prepares for a new connection in a session whose last consumed number is seq:
// everything without an answer is sent again.
func (q *queue) connected(seq uint64) {
	if !q.numbered {
		q.last, q.highest, q.numbered = seq, seq, true
	}
	q.flight, q.stale, q.next, q.until = q.flight[:0], 0, 0, time.Time{}
}

// lost ends the session: what was sent is of unknown outcome, the rest waits for the next one.
func (q *queue) lost() {
	kept := q.list[:0:0]
	for _, p := range q.list {
		if p.sent {
			q.size -= p.size()
			p.finish(0, ErrOutcomeUnknown)
			continue
		}
		kept = append(kept, p)
	}
	*q = queue{list: kept, size: q.size}
}

// fail ends the queue.
func (q *queue) fail(err error) {
	for _, p := range q.list {
		if p.sent {
			p.finish(0, &unknown{err})
		} else {
			p.finish(0, err)
		}
	}
	*q = queue{}
}
