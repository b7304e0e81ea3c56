package scheduler

import "crypto/sha256"

// What the host keeps beside a room's rows ([store.Commit.Host]) is a version byte and the
// hashes of the events that the room failed on.
const culpritsVersion = 1

func encodeCulprits(hashes [][sha256.Size]byte) []byte {
	b := []byte{culpritsVersion}
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// decodeCulprits reads them back. Bytes of another version are forgotten: at worst a
// room fails once more on an event that it failed on before.
func decodeCulprits(b []byte) (hashes [][sha256.Size]byte) {
	if len(b) == 0 || b[0] != culpritsVersion {
		return nil
	}
	for b = b[1:]; len(b) >= sha256.Size; b = b[sha256.Size:] {
		hashes = append(hashes, [sha256.Size]byte(b))
	}
	return hashes
}
