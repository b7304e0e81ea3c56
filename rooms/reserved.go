package rooms

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/reserved"
)

// This file is what the other packages of the SDK may ask of a room beside what its author may.

// SystemStorage is the SDK's own part of a room's storage: every key gets the reserved
// prefix. Only packages of the SDK can call it.
func SystemStorage(room *Room, _ reserved.Key) *Storage {
	return &Storage{room: room, system: true}
}

// Slot is the place for what a package of the SDK keeps of a connection.
func Slot(c *Connection, _ reserved.Key) *any { return &c.slot }

// Broadcast is [Room.Broadcast] of a frame to the connections of one subprotocol, in fewer
// instructions: most of what a room says is said here, and by Send. except may be nil.
func Broadcast(room *Room, e abi.Encoding, protocol, key string, frame []byte, except *Connection, _ reserved.Key) {
	checkSizes(len(frame), key)
	var ids [1]uint64
	leftOut := ids[:0]
	if except != nil {
		leftOut = append(leftOut, except.info.ID)
	}
	room.instance.emit(abi.AppendBroadcast(room.instance.out, e, protocol, "", key, leftOut, frame))
}

// Send is [Connection.Send] of a frame.
func Send(c *Connection, e abi.Encoding, key string, frame []byte, _ reserved.Key) {
	if !c.closed {
		checkSizes(len(frame), key)
		c.room.instance.emit(abi.AppendSend(c.room.instance.out, c.info.ID, e, key, frame))
	}
}

// HoldCollector lets a start that reads much do so without the collector, until its end.
func HoldCollector(r *Room, _ reserved.Key) { r.instance.hold() }

// Scratch is a buffer for what is being made. All rooms of an instance share it: nothing in it
// outlives the handler.
func Scratch(room *Room, _ reserved.Key) *[]byte { return &room.instance.scratch }
