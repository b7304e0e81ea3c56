package protocol

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// A Member is a user with at least one live connection.
type Member struct {
	User        string
	Connections uint64
	// Data is one JSON value of at most [MaxMemberData] bytes, or empty.
	Data []byte
}

// Counts are what is said of the members when there are many.
type Counts struct{ Users, Connections uint64 }

// Presence says who is here. It has one of three forms: Members if Whole, Counts if not
// nil, and otherwise the changes Join and Leave.
type Presence struct {
	Whole   bool
	Members []Member
	Counts  *Counts
	Join    []Member
	Leave   []string // users
}

var _ RoomMessage = (*Presence)(nil)

// Type returns the type of the message.
func (*Presence) Type() Type { return TypePresence }

const (
	presenceDeltas = 0
	presenceWhole  = 1
	presenceCounts = 2
)

// Append appends the message in a form.
func (m *Presence) Append(b []byte, f Form) []byte {
	if f == Binary {
		return m.appendBinary(b)
	}
	b = append(b, `{"type":"presence"`...)
	switch {
	case m.Counts != nil:
		b = m.Counts.appendJSON(append(b, `,"counts":`...))
	case m.Whole:
		b = appendMembers(append(b, `,"members":`...), m.Members)
	default:
		if len(m.Join) > 0 || len(m.Leave) == 0 {
			b = appendMembers(append(b, `,"join":`...), m.Join)
		}
		if len(m.Leave) > 0 {
			b = append(b, `,"leave":[`...)
			for i, user := range m.Leave {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(jsonx.AppendString(append(b, `{"user":`...), user), '}')
			}
			b = append(b, ']')
		}
	}
	return append(b, '}')
}

func (m *Presence) appendBinary(b []byte) []byte {
	b = append(b, byte(TypePresence))
	switch {
	case m.Counts != nil:
		return m.Counts.appendBinary(append(b, presenceCounts))
	case m.Whole:
		return appendMembersBinary(append(b, presenceWhole), m.Members)
	}
	b = appendMembersBinary(append(b, presenceDeltas), m.Join)
	b = abi.AppendUvarint(b, uint64(len(m.Leave)))
	for _, user := range m.Leave {
		b = abi.AppendString(b, user)
	}
	return b
}

func (c *Counts) appendJSON(b []byte) []byte {
	b = jsonx.AppendUint(append(b, `{"users":`...), c.Users)
	b = jsonx.AppendUint(append(b, `,"connections":`...), c.Connections)
	return append(b, '}')
}

func (c *Counts) appendBinary(b []byte) []byte {
	return abi.AppendUvarint(abi.AppendUvarint(b, c.Users), c.Connections)
}

func appendMembers(b []byte, members []Member) []byte {
	b = append(b, '[')
	for i := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = members[i].appendJSON(b)
	}
	return append(b, ']')
}

func (m *Member) appendJSON(b []byte) []byte {
	b = jsonx.AppendString(append(b, `{"user":`...), m.User)
	b = jsonx.AppendUint(append(b, `,"connections":`...), m.Connections)
	if len(m.Data) > 0 {
		b = append(append(b, `,"data":`...), m.Data...)
	}
	return append(b, '}')
}

func appendMembersBinary(b []byte, members []Member) []byte {
	b = abi.AppendUvarint(b, uint64(len(members)))
	for i := range members {
		m := &members[i]
		b = abi.AppendUvarint(abi.AppendString(b, m.User), m.Connections)
		b = abi.AppendBytes(b, m.Data)
	}
	return b
}
