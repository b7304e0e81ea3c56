package rooms

import (
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/small"
)

// A Room is one living room as its handlers see it. It is valid in handlers only; a pointer
// to it may be kept in the kind's value, which lives exactly as long.
type Room struct {
	instance *Instance
	handle   uint64
	options  *abi.KindOptions
	name     string
	term     string
	reason   abi.StartReason
	alarm    uint64
	kind     handlers

	byID        small.Map[uint64, *Connection] // also those that the room has closed, until their close event
	first, last *Connection
	open        int          // connections that the room has not closed
	seats       []Connection // made with the room or for its start, not used yet

	storage store
	watches map[string]struct{} // users; see Watch

	// what the current turn brought
	turn      uint64
	now       uint64
	source    rand.ChaCha8
	rand      *rand.Rand // of source
	seeded    bool       // source has this turn's seed
	storeAway bool
	alarmSet  bool // this turn has set or cleared the alarm

	notifiesIn uint64 // the turn that notifies counts in
	notifies   int
}

// Kind is the name of the room's kind.
func (r *Room) Kind() string { return r.options.Name }

// Name is the room's name within its kind.
func (r *Room) Name() string { return r.name }

// Options are the kind's options, with defaults.
func (r *Room) Options() abi.KindOptions { return *r.options }

// Term is the token of the ownership under which the room runs: the incarnation of
// what it numbers now.
func (r *Room) Term() string { return r.term }

// StartReason says why the room began to run.
func (r *Room) StartReason() abi.StartReason { return r.reason }

// Now is the turn's time. It is the same in the whole turn and never goes back.
func (r *Room) Now() time.Time { return time.UnixMilli(int64(r.now)).UTC() }

// NowMillis is [Room.Now] in milliseconds since 1970.
func (r *Room) NowMillis() int64 { return int64(r.now) }

// Turn numbers the turns since the room began to run, from 1. It starts again after a sleep, so
// it is good for what lasts one turn, such as a budget of bytes.
func (r *Room) Turn() uint64 { return r.turn }

// Rand is the turn's generator, seeded by the host from a cryptographic source (ChaCha8).
// It is valid until the turn ends.
func (r *Room) Rand() *rand.Rand {
	if !r.seeded {
		r.seeded = true
		r.source.Seed(r.instance.batch.Head.Seed)
	}
	return r.rand
}

// Log writes one line to the host's log, also if the turn fails afterwards. Lines over
// 8,192 bytes are cut.
func (r *Room) Log(level abi.LogLevel, line string) {
	if len(line) > abi.MaxLogLine {
		line = strings.ToValidUTF8(line[:abi.MaxLogLine], "")
	}
	r.instance.host.Log(level, line)
}

// StoreAway reports that the store cannot be written at the moment: a turn that puts,
// deletes, tells or sets the alarm will fail with a retryable error. Reading works.
func (r *Room) StoreAway() bool { return r.storeAway }

// Len is the number of connections that the room has not closed. In Connect it counts the
// newcomer.
func (r *Room) Len() int { return r.open }

// Connections yields the connections in the order of their joining, without those that the
// room has closed. Closing them while ranging is allowed.
func (r *Room) Connections() iter.Seq[*Connection] {
	return func(yield func(*Connection) bool) {
		for c := r.first; c != nil; c = c.next {
			if !c.closed && !yield(c) {
				return
			}
		}
	}
}

// Connection returns the connection of an ID, or nil if there is none that the room has not
// closed.
func (r *Room) Connection(id uint64) *Connection {
	if c := r.byID.Get(id); c != nil && !c.closed {
		return c
	}
	return nil
}

// Broadcast sends one message to every connection that is not muted.
func (r *Room) Broadcast(m Message) { r.BroadcastTo(Audience{}, m) }

// BroadcastTo sends one message to the part of the room that a says. It panics if the
// message is over 1 MiB.
func (r *Room) BroadcastTo(a Audience, m Message) {
	checkPayload(m)
	var except []uint64
	for _, c := range a.Except {
		except = append(except, c.info.ID)
	}
	r.instance.emit(abi.AppendBroadcast(r.instance.out, m.encoding(), a.Protocol, a.Tag, m.Key, except, m.Data))
}

// Storage is the author's part of the room's storage.
func (r *Room) Storage() *Storage { return &Storage{room: r} }

// SetAlarm asks for an alarm event at t, to the millisecond, at once if t has passed. A room
// has one alarm: a new one takes the place of the old. It survives sleep and crashes.
func (r *Room) SetAlarm(t time.Time) {
	r.alarm, r.alarmSet = uint64(min(max(t.UnixMilli(), 1), abi.MaxTime)), true
	r.instance.emit((&abi.AlarmEffect{Time: r.alarm}).Append(r.instance.out))
}

// ClearAlarm takes the alarm back.
func (r *Room) ClearAlarm() {
	if r.alarm != 0 {
		r.alarm, r.alarmSet = 0, true
		r.effect(&abi.AlarmEffect{})
	}
}

// Alarm returns the time of the alarm that is set.
func (r *Room) Alarm() (t time.Time, ok bool) {
	if r.alarm == 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(r.alarm)).UTC(), true
}

// SetTick asks for a tick every d, from 10 ms to 60 s (cut to that); 0 stops it. A ticking
// room does not sleep, and costs accordingly; ticks end with the room's memory, so a
// room asks again in Start.
func (r *Room) SetTick(d time.Duration) {
	ms := max(d.Milliseconds(), 0)
	if d > 0 {
		ms = min(max(ms, abi.MinTick), abi.MaxTick)
	}
	r.effect(&abi.TickEffect{Interval: uint64(ms)})
}

// Tell sends data, at most 64 KiB, to another room of the same service, which gets it in
// Told, at least once. It leaves when the turn is durable. It panics on a bad name or size.
func (r *Room) Tell(kind, room string, data []byte) {
	if !abi.ValidName(kind) || !abi.ValidName(room) {
		panic("rooms: Tell: not a room's name")
	}
	if len(data) > abi.MaxTell {
		panic("rooms: Tell: more than 64 KiB")
	}
	r.effect(&abi.TellEffect{Kind: kind, Room: room, Data: data})
}

func (r *Room) effect(e abi.Effect) { r.instance.emit(e.Append(r.instance.out)) }

func (r *Room) add(c *Connection) {
	c.room = r
	r.byID.Set(c.info.ID, c)
	r.open++
	c.prev = r.last
	if r.last == nil {
		r.first = c
	} else {
		r.last.next = c
	}
	r.last = c
}

// remove takes c out of the list; c keeps its own links so that a running range goes on.
func (r *Room) remove(c *Connection) {
	c.close()
	r.byID.Delete(c.info.ID)
	if c.prev == nil {
		r.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		r.last = c.prev
	} else {
		c.next.prev = c.prev
	}
}

func millis(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }
