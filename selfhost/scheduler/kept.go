package scheduler

import "crypto/sha256"

// kept is what the host keeps beside a room's rows ([store.Commit.Host]): a version byte, the hashes of the
// events that the room failed on, and behind them a byte if the room watches users.
type kept struct {
	culprits [][sha256.Size]byte
	// watchful: the room watches users, so a new owner starts it if it has connections.
	watchful bool
}

const keptVersion = 1

func encodeKept(k kept) []byte {
	b := []byte{keptVersion}
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
	if len(b) == 0 || b[0] != keptVersion {
		return k
	}
	for b = b[1:]; len(b) >= sha256.Size; b = b[sha256.Size:] {
		k.culprits = append(k.culprits, [sha256.Size]byte(b))
	}
	k.watchful = len(b) > 0 && b[0] == 1
	return k
}
