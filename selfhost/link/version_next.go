//go:build oriel_next

package link

import (
	"bufio"
	"encoding/binary"
	"fmt"
)

// A version that does not exist yet, for the tests of rolling deploys: every frame begins with a
// byte that says so, which a node of version 1 takes for a length.
const (
	MinVersion = 1
	MaxVersion = 2
)

const mark = 0xff

func appendHead(b []byte, version uint64, n int) []byte {
	if version >= 2 {
		b = append(b, mark)
	}
	return binary.AppendUvarint(b, uint64(n))
}

func readHead(r *bufio.Reader, version uint64) (uint64, error) {
	if version >= 2 {
		switch c, err := r.ReadByte(); {
		case err != nil:
			return 0, err
		case c != mark:
			return 0, fmt.Errorf("%w: not of version 2", ErrFrame)
		}
	}
	return binary.ReadUvarint(r)
}
