package pebble

import (
	"bytes"
	"encoding/binary"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// The first byte of a key says what the row is.
const (
	spaceAlarm  = 'a'
	spaceMeta   = 'm'
	spaceOutbox = 'o'
	spaceRow    = 'r'
)

const formatKey = "\x00format"

func appendRoom(b []byte, id store.RoomID) []byte {
	b = append(b, id.Kind...)
	b = append(b, 0)
	b = append(b, id.Name...)
	return append(b, 0)
}

// roomKey returns the key that all of a room's keys of a space begin with.
func roomKey(space byte, id store.RoomID) []byte {
	b := make([]byte, 0, len(id.Kind)+len(id.Name)+3)
	return appendRoom(append(b, space), id)
}

// after returns the first key that does not begin with prefix, which ends in a byte
// below 0xff.
func after(prefix []byte) []byte {
	b := bytes.Clone(prefix)
	b[len(b)-1]++
	return b
}

func alarmKey(due uint64, id store.RoomID) []byte {
	b := make([]byte, 0, len(id.Kind)+len(id.Name)+11)
	b = binary.BigEndian.AppendUint64(append(b, spaceAlarm), due)
	return appendRoom(b, id)
}

func parseAlarmKey(key []byte) (store.DueAlarm, error) {
	if len(key) < 9 || key[0] != spaceAlarm {
		return store.DueAlarm{}, corrupt("alarm key")
	}
	id, rest, err := parseRoom(key[9:])
	if err == nil && len(rest) > 0 {
		err = corrupt("alarm key")
	}
	return store.DueAlarm{Room: id, Due: binary.BigEndian.Uint64(key[1:])}, err
}

// parseOutboxKey returns the room and the id of the key of an outbox row.
func parseOutboxKey(key []byte) (store.RoomID, uint64, error) {
	if len(key) == 0 || key[0] != spaceOutbox {
		return store.RoomID{}, 0, corrupt("outbox key")
	}
	id, rest, err := parseRoom(key[1:])
	if err == nil && len(rest) != 8 {
		err = corrupt("outbox key")
	}
	if err != nil {
		return store.RoomID{}, 0, err
	}
	return id, binary.BigEndian.Uint64(rest), nil
}

func parseRoom(b []byte) (id store.RoomID, rest []byte, err error) {
	kind, b, ok := bytes.Cut(b, []byte{0})
	name, rest, ok2 := bytes.Cut(b, []byte{0})
	id = store.RoomID{Kind: string(kind), Name: string(name)}
	if !ok || !ok2 || !id.Valid() {
		return store.RoomID{}, nil, corrupt("room name in a key")
	}
	return id, rest, nil
}
