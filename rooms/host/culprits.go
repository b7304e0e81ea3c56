package host

import (
	"crypto/sha256"
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// culprits remembers, by hash, the messages of other rooms that this room failed on. They are
// delivered at least once, so without it a restart of the process would begin the
// loop again. A client's messages are not remembered: their sender got a final answer, and the
// room may do better with the same bytes later.
type culprits struct {
	list [][sha256.Size]byte
}

// maxCulprits bounds the memory; the oldest goes first.
const maxCulprits = 16

func (c *culprits) keep(list [][sha256.Size]byte) {
	c.list = slices.Clone(list[max(0, len(list)-maxCulprits):])
}

func (c *culprits) has(e abi.Event) bool {
	if len(c.list) == 0 || e.Type() != abi.EventTold {
		return false
	}
	return slices.Contains(c.list, culpritHash(e))
}

func (c *culprits) add(e abi.Event) {
	if e.Type() != abi.EventTold {
		return
	}
	if len(c.list) == maxCulprits {
		c.list = slices.Delete(c.list, 0, 1)
	}
	c.list = append(c.list, culpritHash(e))
}

func culpritHash(e abi.Event) [sha256.Size]byte { return sha256.Sum256(abi.AppendEvent(nil, e)) }

// Culprits returns the hashes of the told events that the room failed on, oldest first, at most
// 16. It changes only in a Run that rejects a told event which is not Known; the host keeps the
// list beside the room's rows and hands it to the room's next life as [Config.Culprits].
func (r *Room) Culprits() [][sha256.Size]byte { return slices.Clone(r.culprits.list) }
