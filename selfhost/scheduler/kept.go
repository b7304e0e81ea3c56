package scheduler

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// kept is what the host keeps beside a room's rows ([store.Commit.Host]): a version byte, the hashes of the
// events that the room failed on, and behind them a byte if the room watches users. If there are closed
// connections the version is another, and before the hashes is how many connections there are, and they.
type kept struct {
	culprits [][sha256.Size]byte
	// watchful: the room watches users, so a new owner starts it if it has connections.
	watchful bool
	// closed are the last connections of other nodes that the room has closed. Its owner may die before their gateways hear
	// of it, and what the room has written says that they are gone.
	closed []uint64
}

const (
	keptVersion, keptClosed = 1, 2
	// maxClosed bounds them. Only what an owner closed in its last moments matters.
	maxClosed = 64
)

func encodeKept(k kept) []byte {
	b := []byte{keptVersion}
	if len(k.closed) > 0 {
		b = []byte{keptClosed, byte(len(k.closed))}
		for _, id := range k.closed {
			b = binary.LittleEndian.AppendUint64(b, id)
		}
	}
	for _, h := range k.culprits {
		b = append(b, h[:]...)
	}
	if k.watchful {
		b = append(b, 1)
	}
	return b
}

// decodeKept reads it back. Bytes of another version are forgotten: at worst a room fails once more on an event
// that it failed on before.
func decodeKept(b []byte) (k kept) {
	switch {
	case len(b) > 1 && b[0] == keptClosed && len(b) >= 2+8*int(b[1]):
		n := int(b[1])
		for b = b[2:]; n > 0; n-- {
			k.closed, b = append(k.closed, binary.LittleEndian.Uint64(b)), b[8:]
		}
	case len(b) > 0 && b[0] == keptVersion:
		b = b[1:]
	default:
		return k
	}
	for ; len(b) >= sha256.Size; b = b[sha256.Size:] {
		k.culprits = append(k.culprits, [sha256.Size]byte(b))
	}
	k.watchful = len(b) > 0 && b[0] == 1
	return k
}

// beside is what is to be kept now. It runs on the turn goroutine.
func (r *room) beside() []byte {
	r.untold = false
	return encodeKept(kept{culprits: r.model.Culprits(), watchful: r.watchful, closed: r.closed})
}

// keepClosed has the next commit say which connections of other nodes the room has closed. What commits nothing
// leaves no trace anyway.
func (r *room) keepClosed(t *host.Turn, x *extra) {
	if r.s.o.Cluster == nil || t.Decision {
		return
	}
	r.mu.Lock()
	for _, e := range t.Effects {
		if e, ok := e.(*abi.CloseEffect); ok && r.homes[e.Connection] != nil {
			r.closed, r.untold = append(r.closed, e.Connection), true
		}
	}
	r.mu.Unlock()
	if n := len(r.closed) - maxClosed; n > 0 {
		r.closed = append([]uint64(nil), r.closed[n:]...)
	}
	if r.untold && t.Durable() {
		x.kept = r.beside()
	}
}
