package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// FrameLine is how [Result].Seen says that a client got a frame.
func FrameLine(client uint64, enc abi.Encoding, data []byte) string {
	s := string(data)
	if len(s) > 200 {
		s = fmt.Sprintf("%d bytes", len(s))
	}
	if enc == abi.Binary {
		s = "binary " + s
	}
	return strings.TrimSpace(fmt.Sprintf("%d< %s", client, s))
}

// CloseLine is how [Result].Seen says that a client was closed. Of the reason only the code's name counts.
func CloseLine(client uint64, code abi.Code, reason string) string {
	name, _, _ := strings.Cut(reason, ";")
	return strings.TrimSpace(fmt.Sprintf("%d closed %d %s", client, code, name))
}

// clientOf is whose line it is; 0 for nobody's.
func clientOf(line string) (id uint64) {
	_, _ = fmt.Sscanf(line, "%d", &id)
	return id
}

// arranged puts lines into the one order in which hosts can be compared: by clients. A host may start
// a room as often as it likes, so starts that follow each other are one.
func arranged(lines []string) []string {
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b string) int { return cmp.Compare(clientOf(a), clientOf(b)) })
	return slices.CompactFunc(lines, func(a, b string) bool { return a == b && strings.Contains(a, "< start ") })
}
