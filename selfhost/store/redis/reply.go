package redis

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

// What Redis answers is checked as if a stranger had written it: somebody may have.

// meta is what is kept of a room beside its rows.
type meta struct {
	number uint64
	time   uint64
	alarm  store.Alarm
	host   []byte // never changed in place
	boxed  int64  // rows in the outbox
}

func corrupt(what string) error { return fmt.Errorf("%w: %s", store.ErrCorrupt, what) }

// A decoder reads the elements of an answer one after the other, and keeps the first fault.
type decoder struct {
	rest []any
	err  error
}

func decode(reply any) *decoder {
	list, ok := reply.([]any)
	d := &decoder{rest: list}
	if !ok {
		d.fail("answer")
	}
	return d
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = corrupt(what)
	}
	d.rest = nil
}

func (d *decoder) next(what string) any {
	if len(d.rest) == 0 {
		d.fail(what)
		return nil
	}
	v := d.rest[0]
	d.rest = d.rest[1:]
	return v
}

// text reads a string, of which nothing at all is as good as an empty one.
func (d *decoder) text(what string, limit int) string {
	v := d.next(what)
	s, ok := v.(string)
	if !ok && v != nil || len(s) > limit {
		d.fail(what)
		return ""
	}
	return s
}

func (d *decoder) uint(what string, limit uint64) uint64 {
	s := d.text(what, 20)
	if s == "" && d.err == nil {
		return 0
	}
	n, ok := parseUint(s, limit)
	if !ok {
		d.fail(what)
	}
	return n
}

func (d *decoder) int(what string) int64 {
	n, ok := d.next(what).(int64)
	if !ok || n < 0 {
		d.fail(what)
		return 0
	}
	return n
}

// meta reads number, time, alarm, host and the length of the outbox.
func (d *decoder) meta() meta {
	m := meta{number: d.uint("number", store.MaxNumber), time: d.uint("time", abi.MaxTime)}
	alarm, ok := parseAlarm(d.text("alarm", maxAlarm))
	if m.alarm = alarm; !ok {
		d.fail("alarm")
	}
	if host := d.text("host", store.MaxHost); host != "" {
		m.host = []byte(host)
	}
	m.boxed = d.int("outbox")
	return m
}

// rows reads keys and values to the end.
func (d *decoder) rows() []rows.Row {
	if len(d.rest)%2 != 0 {
		d.fail("rows")
	}
	found := make([]rows.Row, 0, len(d.rest)/2)
	for d.err == nil && len(d.rest) > 0 {
		row := rows.Row{Key: d.text("key", abi.MaxKey), Value: []byte(d.text("value", abi.MaxKeyValue))}
		if row.Key == "" {
			d.fail("key")
		}
		found = append(found, row)
	}
	if d.err != nil {
		return nil
	}
	return found
}

// maxAlarm bounds an alarm as text: two times and a count.
const maxAlarm = 16 + 1 + 16 + 1 + 20

func alarmText(a store.Alarm) string {
	if a == (store.Alarm{}) {
		return ""
	}
	b := strconv.AppendUint(nil, a.Scheduled, 10)
	b = strconv.AppendUint(append(b, ' '), a.Due, 10)
	return string(strconv.AppendUint(append(b, ' '), a.Attempt, 10))
}

func parseAlarm(s string) (store.Alarm, bool) {
	if s == "" {
		return store.Alarm{}, true
	}
	scheduled, rest, _ := strings.Cut(s, " ")
	due, attempt, _ := strings.Cut(rest, " ")
	var a store.Alarm
	var ok1, ok2, ok3 bool
	a.Scheduled, ok1 = parseUint(scheduled, abi.MaxTime)
	a.Due, ok2 = parseUint(due, abi.MaxTime)
	a.Attempt, ok3 = parseUint(attempt, 1<<64-1)
	return a, ok1 && ok2 && ok3 && a.Scheduled > 0
}

// A claimed is the answer of claim.lua.
type claimed struct {
	owned string // the token of the owner, if it is another
	epoch uint64
	left  store.Left
	meta  meta
	whole bool // rows are all that there are
	rows  []rows.Row
}

func parseClaim(reply any) (claimed, error) {
	d := decode(reply)
	var c claimed
	switch status := d.text("status", 8); {
	case d.err != nil:
		return c, d.err
	case status == "owned":
		if c.owned = d.text("owner", maxNode+64); c.owned == "" {
			d.fail("owner")
		}
		return c, d.err
	case status != "ok":
		return c, corrupt("status")
	}
	if c.epoch = d.uint("epoch", maxEpoch); c.epoch == 0 {
		d.fail("epoch")
	}
	switch d.text("left", 1) {
	case "":
		c.left = store.LeftEmpty
	case "c":
		c.left = store.LeftConnected
	case "d":
		c.left = store.LeftDead
	default:
		d.fail("left")
	}
	c.meta = d.meta()
	c.whole = d.int("whole") == 1
	c.rows = d.rows()
	return c, d.err
}

// An applied is the answer of commit.lua.
type applied struct {
	// owner and number are the record's where it does not fit; refused says that one of them is set.
	refused       bool
	owner, number string
	boxed         int64 // rows in the outbox, -1 if the commit did not touch it
}

func parseCommit(reply any) (applied, error) {
	d := decode(reply)
	a := applied{boxed: -1}
	switch d.text("status", 8) {
	case "ok", "again":
		if len(d.rest) > 0 {
			a.boxed = d.int("outbox")
		}
	case "owner":
		a.refused, a.owner = true, d.text("owner", maxNode+64)
	case "number":
		a.refused, a.number = true, d.text("number", 20)
	default:
		d.fail("status")
	}
	return a, d.err
}

// parseList parses the answer of list.lua.
func parseList(reply any) (found []rows.Row, more bool, err error) {
	d := decode(reply)
	more = d.int("more") == 1
	found = d.rows()
	if more && len(found) == 0 {
		d.fail("rows")
	}
	return found, more, d.err
}

// parseOutbox parses the answer of outbox.lua.
func parseOutbox(reply any) (found []store.OutboxRow, more bool, err error) {
	d := decode(reply)
	more = d.int("more") == 1
	last := uint64(0)
	for d.err == nil && len(d.rest) > 0 {
		s := d.text("outbox row", outboxID+store.MaxOutboxRow)
		if len(s) < outboxID {
			d.fail("outbox row")
			break
		}
		row := store.OutboxRow{ID: binary.BigEndian.Uint64([]byte(s[:outboxID])), Data: []byte(s[outboxID:])}
		if row.ID <= last {
			d.fail("outbox row")
		}
		last = row.ID
		found = append(found, row)
	}
	if d.err != nil {
		return nil, false, d.err
	}
	return found, more && len(found) > 0, nil
}

// parseRooms parses the answer of take.lua. Entries that name no room are left out.
func parseRooms(reply any) ([]store.RoomID, error) {
	d := decode(reply)
	var ids []store.RoomID
	for d.err == nil && len(d.rest) > 0 {
		if id, ok := parseRoom(d.text("room", 2*abi.MaxName+1)); ok {
			ids = append(ids, id)
		}
	}
	return ids, d.err
}
