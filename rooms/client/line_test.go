package client

import (
	"net"
	"sync"
	"sync/atomic"
)

// line is a connection that can stop taking bytes, as a dead line does.
type line struct {
	net.Conn
	stuck atomic.Bool
	once  sync.Once
	cut   chan struct{}
}

func (l *line) Write(b []byte) (int, error) {
	if l.stuck.Load() {
		<-l.cut
		return 0, net.ErrClosed
	}
	return l.Conn.Write(b)
}

func (l *line) Close() error {
	l.once.Do(func() { close(l.cut) })
	return l.Conn.Close()
}
