package scheduler

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/host"
)

// Stats are counters since the scheduler began, and a few levels of now.
type Stats struct {
	// Rooms are here, Awake of them in memory.
	Rooms, Awake int64
	// Turns ran; TurnSeconds is the time that they took in all, waiting for a core included.
	Turns       uint64
	TurnSeconds float64
	// VoidTurns did not become durable.
	VoidTurns uint64
	// Sent counts messages to single connections, Broadcasts the broadcasts, Delivered what
	// they came to.
	Sent, Broadcasts, Delivered uint64
	// Sleeps, StartFailures, Throttled, MailboxFull and AlarmsParked count what they say.
	Sleeps, StartFailures, Throttled, MailboxFull, AlarmsParked uint64
	// Notified counts the devices that notifications of rooms reached, NotifiesLost the notifications that were not
	// delivered because of too many, or because presence was not to be had.
	Notified, NotifiesLost uint64
	// Of a node of a cluster: Owned rooms run here. Taken, TakenOver (from dead nodes), Moved
	// (handed over) and Lost count ownerships, Attached those of other nodes that this one
	// attached to, Gaps the attachments that broke, Forwarded the events handed to owners.
	Owned                                  int64
	Taken, TakenOver, Moved, Lost          uint64
	Attached, Gaps, Forwarded, GatewaysCut uint64
	// CrossedFrames and CrossedBytes are what other nodes' gateways were sent of turns.
	CrossedFrames, CrossedBytes uint64
	// Traps counts traps by their cause.
	Traps map[host.Cause]uint64
}

type counters struct {
	rooms, awake                                                atomic.Int64
	turns, nanos, voidTurns                                     atomic.Uint64
	sent, broadcasts, delivered                                 atomic.Uint64
	sleeps, startFailures, throttled, mailboxFull, alarmsParked atomic.Uint64

	notified, notifiesLost                                  atomic.Uint64
	owned                                                   atomic.Int64
	taken, takenOver, moved, lost, attached                 atomic.Uint64
	gaps, forwarded, frontsCut, crossedFrames, crossedBytes atomic.Uint64

	mu    sync.Mutex // guards traps
	traps map[host.Cause]uint64
}

func (c *counters) turn(d time.Duration, n int) {
	c.turns.Add(uint64(n))
	c.nanos.Add(uint64(d))
}

func (c *counters) broadcast(n, recipients int) {
	c.broadcasts.Add(uint64(n))
	c.delivered.Add(uint64(recipients))
}

func (c *counters) crossed(bytes int) {
	c.crossedFrames.Add(1)
	c.crossedBytes.Add(uint64(bytes))
}

func (c *counters) trap(cause host.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.traps == nil {
		c.traps = make(map[host.Cause]uint64)
	}
	c.traps[cause]++
}

// Stats returns the counters.
func (s *Scheduler) Stats() Stats {
	c := &s.stats
	out := Stats{
		Rooms: c.rooms.Load(), Awake: c.awake.Load(),
		Turns: c.turns.Load(), TurnSeconds: time.Duration(c.nanos.Load()).Seconds(), VoidTurns: c.voidTurns.Load(),
		Sent: c.sent.Load(), Broadcasts: c.broadcasts.Load(), Delivered: c.delivered.Load(),
		Sleeps: c.sleeps.Load(), StartFailures: c.startFailures.Load(), Throttled: c.throttled.Load(),
		MailboxFull: c.mailboxFull.Load(), AlarmsParked: c.alarmsParked.Load(),
		Notified: c.notified.Load(), NotifiesLost: c.notifiesLost.Load(),
		Owned: c.owned.Load(), Taken: c.taken.Load(), TakenOver: c.takenOver.Load(), Moved: c.moved.Load(), Lost: c.lost.Load(),
		Attached: c.attached.Load(), Gaps: c.gaps.Load(), Forwarded: c.forwarded.Load(), GatewaysCut: c.frontsCut.Load(),
		CrossedFrames: c.crossedFrames.Load(), CrossedBytes: c.crossedBytes.Load(),
		Traps: make(map[host.Cause]uint64),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, v := range c.traps {
		out.Traps[k] = v
	}
	return out
}
