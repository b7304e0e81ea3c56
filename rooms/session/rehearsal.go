package session

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A Rehearser gives publishes and signals that its clients typically send; see
// [rooms.Rehearser]. Seq is not used.
type Rehearser interface {
	Rehearsal() (publishes []Publish, signals []Signal)
}

var _ rooms.Rehearser = (*adapter)(nil)

// rehearsalRounds is how often a made-up client publishes what the kind says.
const rehearsalRounds = 3

// Rehearsal is what a client says to any session room, and to this kind.
func (a *adapter) Rehearsal(subprotocol string) []rooms.Message {
	form, _ := protocol.FormOf(subprotocol)
	var out []rooms.Message
	say := func(m protocol.ClientMessage) {
		out = append(out, rooms.Message{Encoding: encoding(form), Data: m.Append(nil, form)})
	}
	say(protocol.ClientMessage{Type: protocol.TypeHello})
	if a.rehearser != nil {
		publishes, signals := a.rehearser.Rehearsal()
		seq := uint64(0)
		for range rehearsalRounds {
			for _, p := range publishes {
				seq++
				say(protocol.ClientMessage{Type: protocol.TypePublish, Seq: seq, Event: p.Event, Payload: p.Payload})
			}
			for _, s := range signals {
				say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: s.Name, Payload: s.Payload})
			}
		}
	}
	say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: 1, Event: protocol.RequestHistory})
	say(protocol.ClientMessage{Type: protocol.TypePing})
	return out
}
