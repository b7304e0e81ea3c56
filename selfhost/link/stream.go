package link

import (
	"bufio"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// A Stream carries frames between two nodes: each whole, in order, until either side closes it or
// the link breaks. Send and Recv may be called concurrently, each by one goroutine at a time.
type Stream struct {
	s   *yamux.Stream
	r   *bufio.Reader
	out []byte
	// version is what both sides of the link speak.
	version uint64
	// sent and received are the link's counters.
	sent, received *atomic.Uint64
}

func newStream(s *yamux.Stream, version uint64, c *counters) *Stream {
	return &Stream{s: s, r: bufio.NewReaderSize(s, 512), version: version, sent: &c.sent, received: &c.received}
}

// Send writes one frame. It blocks while the other side has not read what came before, beyond the
// stream's window of 256 KiB. b is not kept.
func (s *Stream) Send(b []byte) error {
	s.out = appendHead(s.out[:0], s.version, len(b))
	s.out = append(s.out, b...)
	n, err := s.s.Write(s.out)
	s.sent.Add(uint64(n))
	if cap(s.out) > 64<<10 {
		s.out = nil
	}
	return err
}

// Recv reads the next frame into memory of its own. io.EOF means that the other side has closed the
// stream in order. A frame over limit bytes fails with [ErrFrame].
func (s *Stream) Recv(limit int) ([]byte, error) {
	n, err := readHead(s.r, s.version)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrFrame, n, limit)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s.r, b); err != nil {
		return nil, err
	}
	s.received.Add(n)
	return b, nil
}

// Close ends the stream. What was sent before still arrives; calls that block return with an error.
func (s *Stream) Close() error {
	err := s.s.Close()
	_ = s.s.SetDeadline(longAgo) // cannot fail
	return err
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)
