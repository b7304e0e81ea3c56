//go:build !linux

package main

import (
	"net"
	"time"
)

// An arrival reads from a connection and knows when. See arrival_linux.go.
type arrival struct {
	net.Conn
	last time.Time
}

func newArrival(c *net.TCPConn) (*arrival, error) { return &arrival{Conn: c}, nil }

// Read reads from the connection.
func (a *arrival) Read(b []byte) (int, error) {
	n, err := a.Conn.Read(b)
	a.last = time.Now()
	return n, err
}
