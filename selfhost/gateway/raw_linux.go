//go:build linux

package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawConn is the descriptor of a plain TCP connection on Linux. Go keeps it in
// non-blocking mode, so one system call under the socket's mutex either takes the bytes or
// says that it cannot, for less than half of what a goroutine and a channel cost.
type rawConn struct {
	fd int
	rc syscall.RawConn
}

// newRawConn returns nil if nc is not plain TCP.
func newRawConn(nc net.Conn) *rawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawConn{rc: rc}
	if rc.Control(func(fd uintptr) { r.fd = int(fd) }) != nil {
		return nil
	}
	return r
}

// write makes one attempt; a full socket buffer is 0 bytes and no error. The socket's
// mutex is held, and its state says that the descriptor is open.
func (r *rawConn) write(b []byte) (int, error) {
	for {
		n, err := syscall.Write(r.fd, b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}

// flush parks in Go's poller until the socket takes bytes again. RawConn.Write holds the
// descriptor against closing while the callback runs.
func (r *rawConn) flush(s *Socket) {
	var vec [64][]byte
	err := r.rc.Write(func(fd uintptr) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for s.queue.bytes > 0 && s.state&(stateCut|stateShut) == 0 {
			n, err := unix.Writev(int(fd), s.queue.vector(vec[:0], len(vec)))
			switch err {
			case nil:
				s.queue.consume(n)
			case unix.EINTR:
			case unix.EAGAIN:
				return false
			default:
				s.cut()
			}
		}
		s.flushing = false
		return true
	})
	s.flushed(err)
}
