//go:build !linux

package gateway

import "net"

// rawConn exists on Linux only; elsewhere every socket takes the portable path.
type rawConn struct{}

func newRawConn(net.Conn) *rawConn { return nil }

func (*rawConn) write([]byte) (int, error) { return 0, nil }

func (*rawConn) flush(*Socket) {}
