package session

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// incarnation is one term under which offsets were given, from first on.
type incarnation struct {
	name  string
	first uint64
}

// incarnations is the list of them, in the order of their first offsets.
type incarnations []incarnation

// maxIncarnations bounds the list; a client whose place lies further back has a gap.
const maxIncarnations = 256

// current is the name of the last one, "" if there is none.
func (l incarnations) current() string {
	if len(l) == 0 {
		return ""
	}
	return l[len(l)-1].name
}

// begins returns the name of the incarnation that begins with offset, "" if none does.
func (l incarnations) begins(offset uint64) string {
	for i := len(l) - 1; i >= 0 && l[i].first >= offset; i-- {
		if l[i].first == offset {
			return l[i].name
		}
	}
	return ""
}

// place says whether everything after (name, offset) can be replayed, by PROTOCOL.md, section
// 5. first is the oldest offset in history, head the newest.
func (l incarnations) place(name string, offset, first, head uint64) protocol.Reason {
	if name == "" {
		switch {
		case offset != 0:
			return protocol.ReasonIncarnation
		case first > 1:
			return protocol.ReasonHistory
		}
		return protocol.ReasonNone
	}
	last := head
	for i := len(l) - 1; i >= 0; i-- {
		if l[i].name != name {
			last = l[i].first - 1
			continue
		}
		switch {
		case offset < l[i].first:
			return protocol.ReasonIncarnation
		case offset > last:
			return protocol.ReasonAhead
		case offset+1 < first:
			return protocol.ReasonHistory
		}
		return protocol.ReasonNone
	}
	return protocol.ReasonIncarnation
}

// trim drops those that no client can resume from: what they hold lies before first, and so
// does the offset after them.
func (l incarnations) trim(first uint64) incarnations {
	n := max(len(l)-maxIncarnations, 0)
	for n+1 < len(l) && l[n+1].first < first {
		n++
	}
	return l[n:]
}

func (l incarnations) append(b []byte) []byte {
	b = abi.AppendUvarint(b, uint64(len(l)))
	for _, i := range l {
		b = abi.AppendUvarint(abi.AppendString(b, i.name), i.first)
	}
	return b
}

func decodeIncarnations(b []byte) (incarnations, error) {
	d := abi.NewDecoder(b)
	n := d.Count("incarnations", maxIncarnations)
	l := make(incarnations, 0, n)
	for range n {
		i := incarnation{name: d.String("name", protocol.MaxToken)}
		i.first = d.Uvarint("first", protocol.MaxInteger)
		l = append(l, i)
	}
	return l, d.End("incarnations")
}

// tokenOf makes a term fit to travel: hosts use plain tokens, and what is not one is replaced.
func tokenOf(term string) string {
	if term != "" && protocol.ValidToken(term) {
		return term
	}
	b := []byte(term)
	for i, c := range b {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b[:min(len(b), protocol.MaxToken)])
}
