package gateway

import "sync"

// portableChunk is how much one write of the portable path takes: one TLS record.
const portableChunk = 16 << 10

var portableBuffers = sync.Pool{New: func() any { b := make([]byte, 0, portableChunk); return &b }}

// flushPortable writes the queue with ordinary blocking writes, for TLS connections and for
// systems without the raw path. It lives only while something waits. What it is
// writing stays in the queue, marked as begun, so the bound counts it.
func (s *Socket) flushPortable() {
	p := portableBuffers.Get().(*[]byte)
	defer portableBuffers.Put(p)
	for {
		s.mu.Lock()
		if s.queue.bytes == 0 || s.state&(stateCut|stateShut) != 0 {
			s.flushing = false
			s.mu.Unlock()
			s.flushed(nil)
			return
		}
		b := s.queue.copyTo((*p)[:0])
		s.mu.Unlock()

		n, err := s.nc.Write(b)
		if err != nil {
			s.flushed(err)
			return
		}
		s.mu.Lock()
		if s.state&(stateCut|stateShut) == 0 {
			s.queue.consume(n)
		}
		s.mu.Unlock()
	}
}
