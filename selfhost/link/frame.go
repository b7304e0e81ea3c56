package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// writeFrame and readFrame carry the hellos, before there are streams: two bytes of length, big-endian.
func writeFrame(c net.Conn, b []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
	return err
}

func readFrame(c net.Conn) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(head[:])
	if n > maxHello {
		return nil, fmt.Errorf("%w: a hello of %d bytes", ErrFrame, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c, b)
	return b, err
}
