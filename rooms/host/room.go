package host

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Config says what a [Room] stands on. The fields from Kind to Handle are needed.
type Config struct {
	Kind    abi.KindOptions // with defaults
	Name    string
	Term    string
	Guest   Guest
	Storage Storage
	// Now is the host's clock. Turns never go back behind it or behind Time.
	Now func() time.Time
	// Seed fills a turn's seed, from a cryptographic source unless a test replays.
	Seed func(*[abi.SeedSize]byte)
	// Handle returns a fresh handle at each call.
	Handle func() uint64

	// Time is the last committed turn's time, milliseconds since 1970.
	Time uint64
	// Alarm is the time of the alarm that is set, or 0.
	Alarm uint64
	// Reason is told at the first start. Default [abi.StartCold].
	Reason abi.StartReason
	// Connections are those that the room has already, if it ran elsewhere. They are copied.
	Connections *Table
	// Culprits is what [Room.Culprits] said in an earlier life of the room. The newest 16 count.
	Culprits [][sha256.Size]byte
}

// A Room is the host's model of one living room. It is not safe for concurrent use: a room is
// single-threaded.
type Room struct {
	c        Config
	table    Table
	started  bool
	reason   abi.StartReason
	handle   uint64
	time     uint64
	alarm    uint64
	batch    []byte
	culprits culprits
	// watching are the users whom the room watches since its last start, as its turns left them.
	watching map[string]struct{}
	// most is how many events a turn has at most, good the turns since it was lowered.
	most, good int
	// owed are rejections that the room has not heard of yet.
	owed owed
	// closed are the close events of connections that the room has closed.
	closed []abi.Event
}

// New returns a room that has not started. Its first [Room.Run] starts it.
func New(c Config) *Room {
	if c.Reason == 0 {
		c.Reason = abi.StartCold
	}
	r := &Room{c: c, reason: c.Reason, time: c.Time, alarm: c.Alarm, most: maxTurnEvents}
	r.culprits.keep(c.Culprits)
	if c.Connections != nil {
		r.table = *c.Connections.Clone()
		r.closed = r.table.closing(nil)
	}
	return r
}

// Connections is the table as the turns left it. The caller must not change it.
func (r *Room) Connections() *Table { return &r.table }

// Started reports whether the room is in memory.
func (r *Room) Started() bool { return r.started }

// Alarm is the time of the alarm as the turns left it, or 0.
func (r *Room) Alarm() uint64 { return r.alarm }

// Pending reports whether the room has something to be told that needs no new event: after a
// [Room.Void] or a Run that ended with an error, a Run without events tells it.
func (r *Room) Pending() bool { return len(r.closed) > 0 || r.owed.len() > 0 }

// Sleep gives the room's memory back; its connections stay. The next Run wakes it.
func (r *Room) Sleep() {
	if r.started {
		r.drop(abi.StartWake)
	}
}

// Void forgets every turn since the last durable one, because a commit failed for certain: the
// memory goes, and the connections and the alarm are those that the caller has delivered.
// lost are the events of the turns that are void, in order ([Turn.Lost]). What the room still
// has to hear comes back in its next turns: messages as rejected with a retryable code,
// so that it can tell their senders; rejections and closes as they were. The caller sees to
// the rest: it closes connections whose connect event was lost and answers lost requests with
// the same code, brings lost alarms and told events again, and brings a close event for every
// connection of the table whose socket has ended meanwhile. Turns that are a [Turn.Decision] are
// not void: the caller delivers them.
func (r *Room) Void(durable *Table, alarm uint64, lost []abi.Event, code abi.Code) {
	r.drop(abi.StartTrap)
	r.table = *durable.Clone()
	r.alarm = alarm
	r.closed = nil
	for _, e := range lost {
		switch e := e.(type) {
		case *abi.MessageEvent:
			if r.table.Has(e.Connection) {
				r.owed.add(e, code)
			}
		case *abi.RejectedEvent:
			r.owed.again(e)
		case *abi.CloseEvent:
			if _, ok := r.table.Get(e.Connection); ok {
				r.closed = append(r.closed, e)
			}
		}
	}
	r.closed = r.table.closing(r.closed)
}

// Replace puts another guest in the place of the present one, which is put to sleep: a new
// version of the module between two turns.
func (r *Room) Replace(g Guest) {
	r.drop(abi.StartReplaced)
	r.c.Guest = g
}

// SetKind changes the room's options between two turns, because a new version of the module has
// others. Connections beyond a smaller number of members stay.
func (r *Room) SetKind(k abi.KindOptions) { r.c.Kind = k }

func (r *Room) drop(reason abi.StartReason) {
	r.c.Guest.Sleep()
	if r.started { // else the reason of the start that is owed already stands
		r.reason = reason
	}
	r.started = false
}

// Start starts the room if it is not in memory, in a turn without other events except the
// rejections that it has not heard of. A Run does so by itself.
func (r *Room) Start(ctx context.Context, storeAway bool) Result {
	x := &run{Room: r, ctx: ctx, storeAway: storeAway}
	if !r.started {
		x.result.Err = x.begin()
	}
	return x.result
}

// Run hands events to the room, in as few turns as the limits allow. If a batch traps, its
// events are run again one by one, and the one that did it is rejected: the room hears of it in
// the first turn after its restart; a connect is refused, a request is answered with 500, a
// close or a tick is dropped. A failing alarm is only listed in Rejections: the caller
// tries it again later.
//
// Connections that the room closes bring their close events in a further turn of the same Run.
// Events that are malformed or cross a limit of the ABI never reach the room: a message closes its
// connection, a connect is refused, a request is answered, and all are listed in Rejections.
func (r *Room) Run(ctx context.Context, storeAway bool, events []abi.Event) Result {
	x := &run{Room: r, ctx: ctx, storeAway: storeAway}
	x.all(events)
	return x.result
}

// Result is what a [Room.Run] brought.
type Result struct {
	// Turns that succeeded, in order.
	Turns []*Turn
	// Rejections are events that made the room trap alone, or never reached it.
	Rejections []Rejection
	// Err is nil, or says why Unrun were not run: a *[StartError], a *[Trap] with
	// [CauseStorage], or the guest's own error.
	Err error
	// Unrun are events that did not happen; they may be run again.
	Unrun []abi.Event
}

// A Rejection is an event that did not happen and will not.
type Rejection struct {
	Event abi.Event
	// Trap says why. Never nil.
	Trap *Trap
	// Known is true if the room was not even asked: it failed on the same event before, or the
	// event is malformed ([CauseEvent]).
	Known bool
}
