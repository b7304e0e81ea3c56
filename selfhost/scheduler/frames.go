package scheduler

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// The frames of a stream, version 1. The first byte is the type; events and effects are in the
// encoding of package abi. The first frame of a stream is attach or roll, of the side that opened it.
//
//	gateway to owner
//	  attach    kind string, room string, recorded bool, StartEvent (only its connections count)
//	  events    count uvarint, events
//	  sealed    (nothing of this stream follows but forget)
//	  forget    request uvarint: nobody waits for the answer any more
//	owner to gateway
//	  attached  epoch uvarint
//	  elsewhere node string ("" for: ask the ring), epoch uvarint: this node is not the owner
//	  refused   code uvarint, retry ms uvarint: try again
//	  turn      decision bool, count uvarint, connect and close events, effects
//	  told      from kind string, from room string, id uvarint: the told event is durable
//	  seal      say sealed, the room is about to move
//	  moved     node string: the room has been given back, for this node
//	new owner to any node, and back
//	  roll      kind string, room string, epoch uvarint, dead bool: attach if you have connections
//	            of the room; dead: the owner before did not give it back
//	  rolled    coming bool
//	any node to one that holds connections, and back
//	  notify    count uvarint, each: kind string, room string, a notified event
//	  notified  count uvarint: so many were taken
const (
	frameAttach byte = iota + 1
	frameEvents
	frameSealed
	frameForget
	frameAttached
	frameElsewhere
	frameRefused
	frameTurn
	frameTold
	frameSeal
	frameMoved
	frameRoll
	frameRolled
	frameNotify
	frameNotified
)

const (
	// MaxFrame bounds a frame: an attach with a start event, or a turn with a batch of effects.
	MaxFrame = abi.MaxBatch + abi.MaxEffects + 1<<20
	// maxNode bounds the identity of a node.
	maxNode = 300
	// maxRetry bounds a hint, in milliseconds.
	maxRetry = 1 << 31
)

type attachFrame struct {
	id store.RoomID
	// recorded: the store's record says that the receiver is the owner.
	recorded    bool
	connections []abi.Connection
}

func (f *attachFrame) append(b []byte) []byte {
	b = append(b, frameAttach)
	b = abi.AppendString(abi.AppendString(b, f.id.Kind), f.id.Name)
	b = abi.AppendBool(b, f.recorded)
	return abi.AppendEvent(b, &abi.StartEvent{
		Kind: f.id.Kind, Room: f.id.Name, Reason: abi.StartMoved, Term: "-", Connections: f.connections})
}

func decodeAttach(b []byte) (f attachFrame, err error) {
	d := abi.NewDecoder(b)
	f.id = decodeRoomID(d)
	f.recorded = d.Bool("attach.recorded")
	if d.Err() != nil {
		return f, d.Err()
	}
	e, err := abi.DecodeEvent(d.Fixed("attach.connections", d.Len()))
	if err != nil {
		return f, err
	}
	start, ok := e.(*abi.StartEvent)
	if !ok {
		return f, malformed("attach.connections", "not a start event")
	}
	f.connections = start.Connections
	return f, nil
}

func decodeRoomID(d *abi.Decoder) (id store.RoomID) {
	id.Kind, id.Name = d.String("kind", abi.MaxName), d.String("room", abi.MaxName)
	if d.Err() == nil && !id.Valid() {
		d.Malformed("room", "not a name")
	}
	return id
}

func appendEvents(b []byte, events []abi.Event) []byte {
	b = abi.AppendUvarint(append(b, frameEvents), uint64(len(events)))
	for _, e := range events {
		b = abi.AppendEvent(b, e)
	}
	return b
}

// decodeEvents reads the events that a gateway may send to an owner.
func decodeEvents(b []byte) ([]abi.Event, error) {
	d := abi.NewDecoder(b)
	events, err := eventList(d, b)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		switch e.Type() {
		case abi.EventConnect, abi.EventMessage, abi.EventClose, abi.EventRequest, abi.EventTold, abi.EventAlarm,
			abi.EventNotified:
		default:
			return nil, malformed("events", "a host's own "+e.Type().String())
		}
	}
	return events, d.End("events")
}

// eventList reads a count and events; d stands in b, and ends where b ends.
func eventList(d *abi.Decoder, b []byte) ([]abi.Event, error) {
	n := d.Count("events", abi.MaxBatchEvents)
	events := make([]abi.Event, 0, min(n, 64))
	for range n {
		e, err := nextEvent(d, b)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, d.Err()
}

// nextEvent reads one event; d stands in b, and ends where b ends.
func nextEvent(d *abi.Decoder, b []byte) (abi.Event, error) {
	at := len(b) - d.Len()
	if d.Bytes("event", abi.MaxBatch); d.Err() != nil {
		return nil, d.Err()
	}
	return abi.DecodeEvent(b[at : len(b)-d.Len()])
}

// appendTurn encodes what one gateway hears of a turn.
func appendTurn(b []byte, t *host.Turn) []byte {
	b = abi.AppendBool(append(b, frameTurn), t.Decision)
	b = abi.AppendUvarint(b, uint64(len(t.Events)))
	for _, e := range t.Events {
		b = abi.AppendEvent(b, e)
	}
	return abi.AppendEffects(b, t.Effects)
}

func decodeTurn(b []byte) (*host.Turn, error) {
	d := abi.NewDecoder(b)
	t := &host.Turn{Decision: d.Bool("turn.decision")}
	var err error
	if t.Events, err = eventList(d, b); err != nil {
		return nil, err
	}
	for _, e := range t.Events {
		if k := e.Type(); k != abi.EventConnect && k != abi.EventClose {
			return nil, malformed("turn.events", "a "+k.String())
		}
	}
	if t.Effects, err = abi.DecodeEffects(d.Fixed("turn.effects", d.Len())); err != nil {
		return nil, err
	}
	for _, e := range t.Effects {
		switch e.Type() {
		case abi.EffectSend, abi.EffectBroadcast, abi.EffectClose, abi.EffectAttach, abi.EffectTags,
			abi.EffectMute, abi.EffectJoin, abi.EffectRespond:
		default:
			return nil, malformed("turn.effects", "a "+e.Type().String())
		}
	}
	return t, nil
}

func appendNotify(notices []notice) []byte {
	b := abi.AppendUvarint([]byte{frameNotify}, uint64(len(notices)))
	for _, n := range notices {
		b = abi.AppendString(abi.AppendString(b, n.room.Kind), n.room.Name)
		b = abi.AppendEvent(b, n.event)
	}
	return b
}

func decodeNotify(b []byte) (notices []notice, err error) {
	d := abi.NewDecoder(b)
	for range d.Count("notify", MaxReached) {
		n := notice{room: decodeRoomID(d)}
		e, err := nextEvent(d, b)
		if err != nil {
			return nil, err
		}
		var ok bool
		if n.event, ok = e.(*abi.NotifiedEvent); !ok {
			return nil, malformed("notify", "a "+e.Type().String())
		}
		notices = append(notices, n)
	}
	return notices, d.End("notify")
}

// A toldKey names a row of a room's outbox.
type toldKey struct {
	from store.RoomID
	id   uint64
}

func keyOf(e *abi.ToldEvent) toldKey {
	return toldKey{store.RoomID{Kind: e.FromKind, Name: e.FromRoom}, e.ID}
}

func (k toldKey) append(b []byte) []byte {
	b = abi.AppendString(abi.AppendString(append(b, frameTold), k.from.Kind), k.from.Name)
	return abi.AppendUvarint(b, k.id)
}

func decodeTold(b []byte) (k toldKey, err error) {
	d := abi.NewDecoder(b)
	k.from = decodeRoomID(d)
	k.id = d.Uvarint("told.id", 1<<64-1)
	return k, d.End("told")
}

func appendElsewhere(node string, epoch uint64) []byte {
	return abi.AppendUvarint(abi.AppendString([]byte{frameElsewhere}, node), epoch)
}

func appendRoll(id store.RoomID, epoch uint64, dead bool) []byte {
	b := abi.AppendString(abi.AppendString([]byte{frameRoll}, id.Kind), id.Name)
	return abi.AppendBool(abi.AppendUvarint(b, epoch), dead)
}

func malformed(field, reason string) error {
	return &abi.FieldError{Field: field, Reason: reason, Err: abi.ErrMalformed}
}
