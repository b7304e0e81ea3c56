package pebble

import (
	"bytes"
	"fmt"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// meta is what is kept of a room beside its rows.
type meta struct {
	number uint64
	time   uint64
	alarm  store.Alarm
	host   []byte // never changed in place
}

const metaVersion = 1

func appendMeta(b []byte, m *meta) []byte {
	b = append(b, metaVersion)
	b = abi.AppendUvarint(b, m.number)
	b = abi.AppendUvarint(b, m.time)
	b = abi.AppendUvarint(b, m.alarm.Scheduled)
	b = abi.AppendUvarint(b, m.alarm.Due)
	b = abi.AppendUvarint(b, m.alarm.Attempt)
	return append(b, m.host...)
}

// decodeMeta decodes a meta row. The result does not alias b.
func decodeMeta(b []byte) (meta, error) {
	d := abi.NewDecoder(b)
	if v := d.Byte("meta.version"); d.Err() == nil && v != metaVersion {
		return meta{}, fmt.Errorf("%w: meta row of version %d", store.ErrFormat, v)
	}
	m := meta{number: d.Uvarint("meta.number", store.MaxNumber)}
	m.time = d.Uvarint("meta.time", abi.MaxTime)
	m.alarm.Scheduled = d.Uvarint("meta.alarm.scheduled", abi.MaxTime)
	m.alarm.Due = d.Uvarint("meta.alarm.due", abi.MaxTime)
	m.alarm.Attempt = d.Uvarint("meta.alarm.attempt", 1<<64-1)
	if m.alarm.Scheduled == 0 && m.alarm != (store.Alarm{}) {
		d.Malformed("meta.alarm", "no time and yet an alarm")
	}
	if d.Len() > store.MaxHost {
		d.Limit("meta.host", "too long")
	}
	if n := d.Len(); n > 0 {
		m.host = bytes.Clone(d.Fixed("meta.host", n))
	}
	if err := d.Err(); err != nil {
		return meta{}, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return m, nil
}

func corrupt(what string) error { return fmt.Errorf("%w: %s", store.ErrCorrupt, what) }
