package main

import (
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An arrival reads from a connection and knows when the kernel got what it has read last. A member is not late because
// this process, which is thousands of members, has not come to reading it yet.
type arrival struct {
	raw  syscall.RawConn
	oob  [64]byte
	last time.Time
}

func newArrival(c *net.TCPConn) (*arrival, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return nil, err
	}
	return &arrival{raw: raw}, failed
}

// Read reads as the connection does.
func (a *arrival) Read(b []byte) (n int, err error) {
	var oob int
	if e := a.raw.Read(func(fd uintptr) bool {
		for {
			if n, oob, _, _, err = unix.Recvmsg(int(fd), b, a.oob[:], 0); err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	}); e != nil {
		return 0, e
	}
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, io.EOF
	}
	a.last = stampOf(a.oob[:oob])
	return n, nil
}

// stampOf finds the kernel's time among control messages; now, if it has none.
func stampOf(oob []byte) time.Time {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			seconds, nanoseconds := binary.NativeEndian.Uint64(m.Data), binary.NativeEndian.Uint64(m.Data[8:])
			return time.Unix(int64(seconds), int64(nanoseconds))
		}
	}
	return time.Now()
}
