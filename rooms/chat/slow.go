package chat

import (
	"encoding/binary"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
)

// In slow mode the time of each member's last message is a row, because the room may sleep
// for as long as the member waits. Rows whose time is over are swept by the alarm.
const (
	prefixPace = "pace/"
	sweepEvery = time.Hour
)

// slowDown refuses a message that comes too early after the member's last one.
func (c *Chat) slowDown(room *session.Room, from *session.Member) error {
	if c.settings.slow == 0 || c.moderates(from) {
		return nil
	}
	now := uint64(room.NowMillis())
	key := prefixPace + from.User()
	if b, ok := room.Storage().Get(key); ok && len(b) == 8 {
		next := binary.BigEndian.Uint64(b) + c.settings.slow*1000
		if now < next {
			return session.Retry(abi.CodeRateLimited, time.Duration(next-now)*time.Millisecond, "slow mode is on")
		}
	}
	room.Storage().Put(key, binary.BigEndian.AppendUint64(nil, now))
	if _, set := room.Alarm(); !set {
		room.SetAlarm(room.Now().Add(sweepEvery))
	}
	return nil
}

// maxSweep bounds the rows that one sweep removes: they are effects of one turn.
const maxSweep = 4096

// Alarm sweeps rows that no longer hold anybody back.
func (c *Chat) Alarm(room *session.Room, _ rooms.Alarm) {
	now := uint64(room.NowMillis())
	removed, waiting := 0, false
	for start := prefixPace; start != ""; {
		rows, more := room.Storage().List(rooms.ListOptions{Start: start, End: paceEnd})
		for _, row := range rows {
			if len(row.Value) == 8 && binary.BigEndian.Uint64(row.Value)+c.settings.slow*1000 > now {
				waiting = true
				continue
			}
			if removed == maxSweep {
				room.SetAlarm(room.Now().Add(time.Second))
				return
			}
			room.Storage().Delete(row.Key)
			removed++
		}
		start = ""
		if more {
			start = rows[len(rows)-1].Key + "\x00"
		}
	}
	if waiting {
		room.SetAlarm(room.Now().Add(sweepEvery))
	}
}

// paceEnd sorts after every row of slow mode.
const paceEnd = "pace0"

func forgetPaces(room *session.Room) {
	room.Storage().DeleteRange(prefixPace, paceEnd)
	room.ClearAlarm()
}
