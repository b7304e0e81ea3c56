package redis

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// What is in Redis is a format: another program reads it after an upgrade.
func TestGoldenFormat(t *testing.T) {
	if got := roomKeys("oriel", roomA); got != [4]string{"oriel:{chat/a}:m", "oriel:{chat/a}:r", "oriel:{chat/a}:k", "oriel:{chat/a}:o"} {
		t.Errorf("%q", got)
	}
	if got := wakeKeys("oriel", shardOf(roomA)); !slices.Equal(got, []string{"oriel:{wake:23}", "oriel:{wake:23}:w"}) {
		t.Errorf("%q", got)
	}
	c := shared.Client(t)
	s := onShared(t, Options{Prefix: unique("p"), Node: "host:1#7", ClaimTime: never})
	r := open1(t, s, roomA)
	cm := store.Commit{
		Number: 1, Time: 1790000000000, Writes: []store.Write{put("k\x00\xff", "v\x00\xff")}, Alarm: &store.Alarm{Scheduled: 5, Due: 1e15, Attempt: 1<<64 - 1},
		Host: []byte("h\xff"), Outbox: [][]byte{{0xff}, nil},
	}
	if err := wait(r, cm); err != nil {
		t.Fatal(err)
	}
	got := c.HGetAll(ctx, r.keys[0]).Val()
	want := map[string]string{
		"o": "host:1#7 1 " + r.State().Term, "e": "1", "l": "", "n": "1", "t": "1790000000000", "a": "5 1000000000000000 18446744073709551615", "h": "h\xff",
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("record %q, want %q", got, want)
	}
	if got := c.HGetAll(ctx, r.keys[1]).Val(); len(got) != 1 || got["k\x00\xff"] != "v\x00\xff" {
		t.Errorf("rows %q", got)
	}
	if got := c.ZRangeWithScores(ctx, r.keys[2], 0, -1).Val(); len(got) != 1 || got[0].Member != "k\x00\xff" || got[0].Score != 0 {
		t.Errorf("row keys %v", got)
	}
	if got := c.ZRange(ctx, r.keys[3], 0, -1).Val(); !slices.Equal(got, []string{"\x00\x00\x00\x00\x00\x00\x40\x00\xff", "\x00\x00\x00\x00\x00\x00\x40\x01"}) {
		t.Errorf("outbox %q", got)
	}
	if got := c.HGetAll(ctx, wakeKeys(s.opts.Prefix, 23)[1]).Val(); len(got) != 1 || got["chat/a"] != "1 1" {
		t.Errorf("who wrote the index: %q", got)
	}
	if err := r.Release(ctx, true); err != nil {
		t.Fatal(err)
	}
	if got := c.HMGet(ctx, r.keys[0], "o", "l").Val(); got[0] != nil || got[1] != "c" {
		t.Errorf("given back: %q", got)
	}
}

// Ids of outbox rows up to the greatest keep their order and are removed one by one.
func TestOutboxBounds(t *testing.T) {
	ids := []uint64{0, 1, 0xff, 0x100, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 2, 1<<64 - 1}
	rows := make([][]byte, len(ids))
	for i, id := range ids {
		rows[i] = appendOutboxRow(nil, id, []byte{0xff, 0})
	}
	if !slices.IsSortedFunc(rows, bytes.Compare) {
		t.Error("out of order")
	}
	within := func(row []byte, from, to string) bool {
		return string(row) >= from[1:] && (to == "+" || string(row) < to[1:])
	}
	for i, first := range ids {
		for j, last := range ids[i:] {
			from, to := outboxBounds(first, last)
			if from[0] != '[' || to != "+" && to[0] != '(' {
				t.Fatalf("%q %q", from, to)
			}
			for k, row := range rows {
				if within(row, from, to) != (k >= i && k <= i+j) {
					t.Errorf("row %d, bounds %d to %d", ids[k], first, last)
				}
			}
		}
	}
}

func TestToken(t *testing.T) {
	term := strings.Repeat("ab", termBytes)
	for _, o := range []store.Owner{{Node: "h:1#2", Epoch: 1, Term: term}, {Node: strings.Repeat("n", maxNode), Epoch: maxEpoch, Term: term}} {
		if got, ok := parseToken(token(o)); !ok || got != o {
			t.Errorf("%+v: %+v %v", o, got, ok)
		}
	}
	for _, s := range []string{"", " ", "n", "n 1", "n 0 " + term, "n 01 " + term, "n -1 " + term, "n 1 " + term + " ", "n 1 short", " 1 " + term, "n  " + term, "n 9007199254740992 " + term, strings.Repeat("n", maxNode+1) + " 1 " + term} {
		if o, ok := parseToken(s); ok {
			t.Errorf("%q is %+v", s, o)
		}
	}
}

func TestAlarmText(t *testing.T) {
	for _, a := range []store.Alarm{{}, {Scheduled: 1}, {Scheduled: 1, Due: 2, Attempt: 3}, {Scheduled: abi.MaxTime, Due: abi.MaxTime, Attempt: 1<<64 - 1}} {
		s := alarmText(a)
		if got, ok := parseAlarm(s); !ok || got != a || len(s) > maxAlarm {
			t.Errorf("%+v: %q is %+v %v", a, s, got, ok)
		}
	}
	for _, s := range []string{"1", "1 2", "0 0 0", "0 1 2", "1 2 3 4", "01 2 3", "a b c", "9007199254740992 0 0", "1 2 18446744073709551616", " 1 2 3"} {
		if a, ok := parseAlarm(s); ok {
			t.Errorf("%q is %+v", s, a)
		}
	}
}

// build makes an answer of Redis out of bytes: strings, numbers, nothing, and lists of them.
func build(b []byte, depth int) (reply any, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	kind, b := b[0]%5, b[1:]
	switch {
	case kind == 0:
		return nil, b
	case kind == 1 && len(b) >= 2:
		return int64(int16(binary.BigEndian.Uint16(b))), b[2:]
	case kind <= 3 && len(b) > 0:
		n := min(int(b[0]), len(b)-1)
		return string(b[1 : 1+n]), b[1+n:]
	case depth < 3:
		list := []any{}
		for len(b) > 0 && b[0] != 0xff {
			var v any
			v, b = build(b, depth+1)
			list = append(list, v)
		}
		return list, b[min(1, len(b)):]
	}
	return errors.New("strange"), b
}

// unbuild is the other way round, for seeds.
func unbuild(reply any) []byte {
	switch v := reply.(type) {
	case int64:
		return binary.BigEndian.AppendUint16([]byte{1}, uint16(v))
	case string:
		return append([]byte{2, byte(len(v))}, v...)
	case []any:
		b := []byte{4}
		for _, e := range v {
			b = append(b, unbuild(e)...)
		}
		return append(b, 0xff)
	}
	return []byte{0}
}

func FuzzReplies(f *testing.F) {
	term := strings.Repeat("ab", termBytes)
	for _, reply := range []any{
		[]any{"owned", "n 1 " + term},
		[]any{"ok", "7", "d", "12", "99", "1 2 3", "host", int64(2), int64(1), "k", "v", "l", ""},
		[]any{"ok", "1", "", "0", "0", "", "", int64(0), int64(0)},
		[]any{"ok"}, []any{"ok", int64(3)}, []any{"again"}, []any{"owner", "x"}, []any{"number", "9"},
		[]any{int64(1), "k", "v"}, []any{int64(0)},
		[]any{int64(0), "\x00\x00\x00\x00\x00\x00\x00\x01data"},
		[]any{"chat/a", "k/b"}, []any{term, "5", "6", "", nil}, nil, "x", int64(1),
	} {
		f.Add(unbuild(reply))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, _ := build(b, 0)
		if c, err := parseClaim(reply); err == nil && c.owned == "" {
			if c.epoch == 0 || c.meta.number > store.MaxNumber || c.meta.time > abi.MaxTime || len(c.meta.host) > store.MaxHost || c.meta.boxed < 0 {
				t.Errorf("claimed %+v", c)
			}
			for _, row := range c.rows {
				if row.Key == "" || len(row.Key) > abi.MaxKey {
					t.Errorf("row %q", row.Key)
				}
			}
		} else if err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Error(err)
		}
		if a, err := parseCommit(reply); err == nil && a.refused && a.boxed != -1 {
			t.Errorf("%+v", a)
		}
		if rows, more, err := parseList(reply); err == nil && more && len(rows) == 0 {
			t.Error("more of nothing")
		}
		if rows, more, err := parseOutbox(reply); err == nil {
			if more && len(rows) == 0 {
				t.Error("more of nothing")
			}
			for i := 1; i < len(rows); i++ {
				if rows[i].ID <= rows[i-1].ID {
					t.Error("out of order")
				}
			}
		}
		if ids, err := parseRooms(reply); err == nil {
			for _, id := range ids {
				if !id.Valid() {
					t.Errorf("room %q", id)
				}
			}
		}
		if m, err := parseRecord(reply, int64(1), term); err == nil && (m.number > store.MaxNumber || m.alarm.Scheduled == 0 && m.alarm != store.Alarm{}) {
			t.Errorf("%+v", m)
		}
		_, _ = parseRoom(string(b))
		if o, ok := parseToken(string(b)); ok && token(o) != string(b) {
			t.Errorf("%q", b)
		}
	})
}
