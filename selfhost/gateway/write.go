package gateway

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// send writes frames, or queues them. wire is all of them together, or nil. It never
// blocks: the mutex is only ever held over system calls that do not wait.
func (s *Socket) send(frames []*Frame, wire []byte) Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != 0 {
		return Gone
	}
	st := &s.g.stats
	rest := frames
	result := Sent
	if s.queue.bytes == 0 && wire != nil {
		n, ok := s.try(wire)
		if !ok {
			return Gone
		}
		st.bytesOut.Add(uint64(n))
		if n == len(wire) {
			st.messagesOut.Add(uint64(len(frames)))
			return Sent
		}
		// Find the frame that has begun to leave, and go on behind it.
		for n >= len(rest[0].wire) {
			n -= len(rest[0].wire)
			rest = rest[1:]
		}
		st.messagesOut.Add(uint64(len(frames) - len(rest)))
		if n > 0 {
			if result = s.queueRest(rest[0].wire[n:]); result == Overflowed {
				return result
			}
			rest = rest[1:]
		}
	}
	for _, f := range rest {
		r := s.sendOne(f)
		result = max(result, r)
		if r >= Overflowed {
			return r
		}
	}
	return result
}

// sendOne writes one frame if nothing waits, else queues it by the kind's policy. mu is held.
func (s *Socket) sendOne(f *Frame) Result {
	if s.queue.bytes == 0 {
		n, ok := s.try(f.wire)
		if !ok {
			return Gone
		}
		s.g.stats.bytesOut.Add(uint64(n))
		if n == len(f.wire) {
			s.g.stats.messagesOut.Add(1)
			return Sent
		}
		if n > 0 {
			return s.queueRest(f.wire[n:])
		}
	}
	st := &s.g.stats
	old, replaces := s.queue.waiting(f.key)
	if s.queue.bytes-old+len(f.wire) > s.maxQueue {
		if s.overflow == abi.OverflowDrop {
			st.dropped.Add(1)
			return Dropped
		}
		s.overflowed()
		return Overflowed
	}
	st.messagesOut.Add(1)
	st.bytesOut.Add(uint64(len(f.wire)))
	if replaces {
		st.conflated.Add(1)
		s.queue.replace(f.key, f.wire)
		return Queued
	}
	s.queue.push(f.wire, f.key)
	s.startFlusher()
	return Queued
}

// queueRest queues the rest of a frame that has begun to leave. Such a frame cannot be
// dropped, or the client would not find the next one: under [abi.OverflowDrop] the
// queue may exceed its bound by this one rest. mu is held.
func (s *Socket) queueRest(b []byte) Result {
	s.queue.pushBegun(b)
	if s.queue.bytes > s.maxQueue && s.overflow != abi.OverflowDrop {
		s.overflowed()
		return Overflowed
	}
	s.g.stats.messagesOut.Add(1)
	s.g.stats.bytesOut.Add(uint64(len(b)))
	s.startFlusher()
	return Queued
}

// sendControl writes a frame of the gateway's own: a ping or an automatic answer.
func (s *Socket) sendControl(wire []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state != 0:
	case s.queue.bytes+len(wire) > s.maxQueue:
		s.overflowed()
	default:
		s.writeOrQueue(wire)
	}
}

// try makes one attempt to write b, which is all there is to write. It returns how much
// has left, and false if the socket is broken, which it then has cut. mu is held.
func (s *Socket) try(b []byte) (n int, ok bool) {
	if s.raw == nil {
		return 0, true
	}
	n, err := s.raw.write(b)
	if err != nil {
		s.cut()
		return n, false
	}
	return n, true
}

// writeOrQueue writes b, or queues what is left of it without regard to the bound. mu is held.
func (s *Socket) writeOrQueue(b []byte) {
	if s.queue.bytes == 0 {
		n, ok := s.try(b)
		if !ok || n == len(b) {
			return
		}
		if n > 0 {
			s.queue.pushBegun(b[n:])
			s.startFlusher()
			return
		}
	}
	s.queue.push(b, "")
	s.startFlusher()
}

// startFlusher makes sure that somebody writes the queue. mu is held.
func (s *Socket) startFlusher() {
	if s.flushing {
		return
	}
	s.flushing = true
	if s.raw != nil {
		go s.raw.flush(s)
		return
	}
	go s.flushPortable()
}

// flushed ends a flusher: if coder has let go of the socket meanwhile and nothing waits
// any more, closing the descriptor falls to it.
func (s *Socket) flushed(err error) {
	s.mu.Lock()
	if err != nil {
		s.flushing = false
		s.cut()
	}
	last := s.state&(stateReleased|stateShut) == stateReleased && s.queue.bytes == 0 && !s.flushing
	if last {
		s.setState(stateShut)
	}
	s.mu.Unlock()
	if last {
		_ = s.shut() // nobody is left to be told
	}
}

// cut ends all writing: shutdown(2), not close(2), so that the descriptor's number stays
// ours; the blocked reader gets the end of the stream and cleans up. mu is held.
func (s *Socket) cut() {
	s.queue.reset()
	if s.state&(stateCut|stateShut) != 0 {
		return
	}
	s.setState(stateCut)
	if tcp := tcpOf(s.nc); tcp != nil {
		// Errors say that the other end was faster.
		_ = tcp.CloseRead()
		_ = tcp.CloseWrite()
		return
	}
	_ = s.nc.SetDeadline(longAgo)
}

// overflowed ends a client that reads too slowly. Its queue goes, but for the frame that
// has begun to leave and a close frame, so that a client that reads again within the
// close timeout learns why. mu is held.
func (s *Socket) overflowed() {
	s.g.stats.slowCloses.Add(1)
	s.end(abi.CodeSlowConsumer, abi.CloseReason(abi.CodeSlowConsumer, time.Second, ""), true)
}

func (s *Socket) close(code abi.Code, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(code, reason, false)
}

// abort is close for a client of whom no answer is expected: what waits is dropped, and
// the room is told at once.
func (s *Socket) abort(code abi.Code, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(code, reason, true)
}

// end sends the close frame and sets the time by which the client has to answer; with
// now it wakes the reader at once. Only the first end counts. mu is held.
func (s *Socket) end(code abi.Code, reason string, now bool) {
	if s.state != 0 {
		return
	}
	if code != abi.CodeNoStatus && !code.Sendable() {
		code = abi.CodeInternal
	}
	s.code, s.reason = code, abi.CutReason(reason)
	s.closeBy = time.Now().Add(s.g.opts.CloseTimeout)
	s.setState(stateClosing)
	if now {
		s.queue.trim()
	}
	s.writeOrQueue(appendCloseFrame(nil, code, s.reason))
	by := s.closeBy
	if now {
		by = longAgo
	}
	_ = s.nc.SetReadDeadline(by) // fails only on a socket that is closed, which ends the reader too
}
