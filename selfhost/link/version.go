package link

import (
	"bufio"
	"encoding/binary"
)

// The versions of what goes over a link. A node speaks all of them, so that a node that has been
// upgraded and one that has not yet understand each other: they speak the newest that both know.
const (
	MinVersion = 1
	MaxVersion = 1
)

// appendHead writes what stands before a frame's n bytes in a version.
func appendHead(b []byte, _ uint64, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

// readHead reads it, and returns the frame's length.
func readHead(r *bufio.Reader, _ uint64) (uint64, error) { return binary.ReadUvarint(r) }
