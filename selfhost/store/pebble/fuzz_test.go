package pebble

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

func TestMeta(t *testing.T) {
	full := meta{
		number: store.MaxNumber, time: abi.MaxTime, host: bytes.Repeat([]byte{0xff}, store.MaxHost),
		alarm: store.Alarm{Scheduled: abi.MaxTime, Due: abi.MaxTime, Attempt: 1<<64 - 1},
	}
	for _, m := range []meta{{}, {number: 1}, full} {
		got, err := decodeMeta(appendMeta(nil, &m))
		if err != nil || got.number != m.number || got.time != m.time || got.alarm != m.alarm || !bytes.Equal(got.host, m.host) {
			t.Errorf("%v %v, want %v", got, err, m)
		}
	}
	for name, b := range map[string][]byte{
		"empty":              {},
		"cut short":          {1, 1, 1, 0, 0},
		"long number":        {1, 0x80, 0x00, 0, 0, 0, 0},
		"number beyond all":  append(abi.AppendUvarint([]byte{1}, store.MaxNumber+1), 0, 0, 0, 0),
		"attempts of nought": {1, 1, 1, 0, 0, 1},
		"host too long":      append([]byte{1, 1, 1, 0, 0, 0}, make([]byte, store.MaxHost+1)...),
	} {
		if _, err := decodeMeta(b); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decodeMeta([]byte{2, 0, 0, 0, 0, 0}); !errors.Is(err, store.ErrFormat) {
		t.Errorf("version 2: %v", err)
	}
}

// Golden rows of format 1: a change here needs a new format number.
func TestGoldenRows(t *testing.T) {
	m := meta{number: 300, time: 5, alarm: store.Alarm{Scheduled: 7, Due: 8, Attempt: 2}, host: []byte("h")}
	for _, tc := range []struct{ got, want string }{
		{string(appendMeta(nil, &m)), "\x01\xac\x02\x05\x07\x08\x02h"},
		{string(roomKey(spaceMeta, roomA)), "mchat\x00a\x00"},
		{string(roomKey(spaceRow, roomA)), "rchat\x00a\x00"},
		{string(after(roomKey(spaceRow, roomA))), "rchat\x00a\x01"},
		{string(roomKey(spaceOutbox, roomA)), "ochat\x00a\x00"},
		{string(alarmKey(258, roomA)), "a\x00\x00\x00\x00\x00\x00\x01\x02chat\x00a\x00"},
		{formatKey, "\x00format"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
}

// The engine's own format is part of ours.
func TestEngineFormat(t *testing.T) {
	if engineFormat != 20 {
		t.Errorf("doc.go says 20, it is %d", engineFormat)
	}
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendMeta(nil, &meta{number: 300, time: 5, alarm: store.Alarm{Scheduled: 7, Due: 8, Attempt: 2}, host: []byte("h")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat) {
				t.Fatalf("untyped: %v", err)
			}
			return
		}
		if got := appendMeta(nil, &m); !bytes.Equal(got, b) {
			t.Fatalf("%x decodes and encodes as %x", b, got)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(alarmKey(1, roomA)))
	f.Add(append(roomKey(spaceOutbox, roomA), 0, 0, 0, 0, 0, 0, 0, 1))
	f.Add([]byte("a\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("k", 129) + "\x00n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAlarmKey(b)
		if err == nil && !bytes.Equal(alarmKey(a.Due, a.Room), b) {
			t.Fatalf("%x is %+v", b, a)
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("untyped: %v", err)
		}
		id, _, err := parseOutboxKey(b)
		if err == nil && !bytes.HasPrefix(b, roomKey(spaceOutbox, id)) {
			t.Fatalf("%x is %v", b, id)
		}
		if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("untyped: %v", err)
		}
	})
}
