package host

import (
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Turn is one that succeeded, or a decision that the host took in the room's place (a
// refused connection, a failed request). Nothing of it has left yet: the caller
// commits the durable part and then delivers the effects, in the order of the turns.
type Turn struct {
	// Time is the turn's clock, milliseconds since 1970.
	Time uint64
	// Decision marks what the host decided without the room. It stands also when earlier turns
	// are void ([Room.Void]), and it is never durable.
	Decision bool
	// Events are those that the turn took in. A deliverer's table follows by [Table.Deliver].
	Events []abi.Event
	// Effects are validated, in the room's order, without those of the fields below.
	Effects []abi.Effect

	// Writes are the put, delete and delete_range effects, in order.
	Writes []abi.Effect
	// Tells are messages to other rooms: rows of the commit.
	Tells []*abi.TellEffect
	// Alarm is the new time of the alarm, 0 for none, if AlarmSet.
	Alarm    uint64
	AlarmSet bool

	own bool // the close events are of connections that the room has closed
}

// Lost returns the events that [Room.Void] wants of a turn that is void: all but the close
// events of connections that the room itself had closed, because such a close is void too, or
// known from the durable table.
func (t *Turn) Lost() []abi.Event {
	if !t.own {
		return t.Events
	}
	return slices.DeleteFunc(slices.Clone(t.Events), func(e abi.Event) bool { return e.Type() == abi.EventClose })
}

// Durable reports whether the turn has anything to commit. Its effects wait for earlier
// turns all the same.
func (t *Turn) Durable() bool { return len(t.Writes) > 0 || len(t.Tells) > 0 || t.AlarmSet }

// split sorts the effects into the turn's fields.
func (t *Turn) split(effects []abi.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case *abi.PutEffect, *abi.DeleteEffect, *abi.DeleteRangeEffect:
			t.Writes = append(t.Writes, e)
		case *abi.TellEffect:
			t.Tells = append(t.Tells, e)
		case *abi.AlarmEffect:
			t.Alarm, t.AlarmSet = e.Time, true
		default:
			t.Effects = append(t.Effects, e)
		}
	}
}
