package session

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// state is the one small row that a session room keeps of itself. Times are milliseconds since
// 1970; a due time of 0 means that nothing is due.
type state struct {
	// counts is true while presence is told as counts.
	counts bool
	// alarm is the kind's own.
	alarm uint64
	// countsAt is when counts were last told, countsDue when the merged ones go out.
	countsAt, countsDue uint64
	// wholeDue is when everybody is told the members anew, after a start that may have lost
	// somebody's leaving.
	wholeDue uint64
	// ageDue is when the oldest events are looked at, sweepDue when the shelves are.
	ageDue, sweepDue uint64
	// sessions and keys are how many rows the shelves hold.
	sessions, keys uint64
	// first is the offset of the oldest stored event, head what it was at the last removal: the
	// stored events may all be gone.
	first, head uint64
}

const stateVersion = 1

func (s *state) fields() [10]*uint64 {
	return [...]*uint64{&s.alarm, &s.countsAt, &s.countsDue, &s.wholeDue, &s.ageDue, &s.sweepDue,
		&s.sessions, &s.keys, &s.first, &s.head}
}

func (s *state) append(b []byte) []byte {
	b = abi.AppendBool(append(b, stateVersion), s.counts)
	for _, p := range s.fields() {
		b = abi.AppendUvarint(b, *p)
	}
	return b
}

func decodeState(b []byte) (state, error) {
	d := abi.NewDecoder(b)
	if d.Byte("version") != stateVersion {
		d.Malformed("version", "unknown")
	}
	s := state{counts: d.Bool("counts")}
	for _, p := range s.fields() {
		*p = d.Uvarint("state", protocol.MaxInteger)
	}
	return s, d.End("state")
}
