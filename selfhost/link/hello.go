package link

import (
	"fmt"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// MaxIdentity bounds a node's identity and a cluster's name, in bytes.
const MaxIdentity = 300

// magic begins the first frame of both sides.
const magic = "oriel-link"

// maxHello bounds the first frame.
const maxHello = 4 << 10

// hello is the first frame of each side: the dialing one speaks first.
type hello struct {
	min, max uint64
	cluster  string
	from, to string
	// refusal is empty, or why the accepting side does not go on.
	refusal string
}

func (h *hello) append(b []byte) []byte {
	b = append(b, magic...)
	b = abi.AppendUvarint(abi.AppendUvarint(b, h.min), h.max)
	b = abi.AppendString(b, h.cluster)
	b = abi.AppendString(b, h.from)
	b = abi.AppendString(b, h.to)
	return abi.AppendString(b, h.refusal)
}

// decodeHello reads a hello. What later versions put behind it is left alone.
func decodeHello(b []byte) (h hello, err error) {
	d := abi.NewDecoder(b)
	if string(d.Fixed("magic", len(magic))) != magic {
		return h, fmt.Errorf("%w: not a link", ErrFrame)
	}
	h.min, h.max = d.Uvarint("min", 1<<32), d.Uvarint("max", 1<<32)
	h.cluster = d.String("cluster", MaxIdentity)
	h.from = d.String("from", MaxIdentity)
	h.to = d.String("to", MaxIdentity)
	h.refusal = d.String("refusal", 1024)
	if err := d.Err(); err != nil {
		return h, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if h.from == "" || h.min == 0 || h.max < h.min {
		return h, fmt.Errorf("%w: a hello of nobody", ErrFrame)
	}
	return h, nil
}

// agree returns the newest version that both sides speak, 0 if there is none.
func agree(a, b hello) uint64 {
	if v := min(a.max, b.max); v >= max(a.min, b.min) {
		return v
	}
	return 0
}
