package scheduler

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A room is one living room of this node.
type room struct {
	s  *Scheduler
	id store.RoomID

	mu      sync.Mutex // guards the fields up to the next comment
	kind    abi.KindOptions
	mailbox []abi.Event
	bytes   int           // of mailbox
	full    chan struct{} // closed when the mailbox has space again; nil if nobody waits
	running bool          // the turn goroutine is there
	dead    bool          // put away: ask the scheduler again
	closing bool          // the scheduler closes: take nothing but what must not be lost
	renew   bool          // a new version of the module waits
	outbox  bool          // the outbox of an earlier life has been read
	joining map[uint64]*gateway.Connection
	members int // connections whose close event is not in the mailbox yet
	answers map[uint64]chan<- *abi.RespondEffect
	acks    map[*abi.ToldEvent]func()
	done    []uint64 // outbox rows whose removal is to be committed
	retryAt time.Time
	// forgetAt is how long a room that does not start is kept, so that who comes meanwhile
	// meets its back-off, and who comes right after it the next, longer one.
	forgetAt time.Time
	active   time.Time // of the last batch
	sleeper  *time.Timer
	ticker   *ticker

	presenceWaits bool // a presence event is in the mailbox, or comes after a while
	retell        bool // the room has to be told of everybody whom it watches
	notifying     bool // the goroutine that delivers notices is there
	delivering    bool // the delivery goroutine is there
	void          bool // a commit failed: nothing is delivered until the turn goroutine has reset
	notices       []*abi.NotifyEffect
	noticeBytes   int

	pending  []*pendingTurn // submitted, not delivered, in turn order
	voids    int            // resets since a turn became durable
	answered chan struct{}  // gets a token at every answer; the turn goroutine waits on it

	// Of a room between nodes ([Cluster]); guarded by mu.
	owns      bool   // the store's record names this node; rows is set
	recorded  bool   // hint is what the store's record says
	asking    bool   // another node is being asked for the room
	sealing   bool   // it is about to move
	abandoned bool   // the ownership is lost
	away      *away  // the room runs on another node
	hint      string // the node to try first, "" for the ring's
	called    string // the new owner that has asked for this node's connections
	moveTo    string // the ring gives the room to this node now
	sealBy    time.Time
	epoch     uint64            // the newest that was heard of
	knocking  []*front          // gateways that want to be attached
	fronts    map[string]*front // attached gateways, by node
	homes     map[uint64]*front // which of them holds a connection
	asked     map[uint64]*front // which of them waits for a request's answer
	ghosts    int               // gateways that are gone and may come back
	forgets   []uint64          // requests that the owner need not answer any more
	drained   chan struct{}     // closed when fewer turns are pending; nil if nobody waits
	nudged    chan struct{}     // gets a token when who waits for an owner should look again

	// Of the turn goroutine.
	gap        bool // something may not have reached this node's connections
	watchful   bool // the store says that the room watches users
	revives    bool // it may have to be started, because nothing is watched for it
	untold     bool // the store does not have the newest of closed
	durability abi.Durability
	model      *host.Room
	rows       store.Room
	guest      Guest
	number     uint64
	failures   int
	// trapLogged is when a trap was last written to the log, trapsUnlogged how many were not since.
	trapLogged    time.Time
	trapsUnlogged int
	attempt       uint64      // of the alarm that is set
	closes        []abi.Event // close events that could not be run
	closed        []uint64    // the last connections of other nodes that the room has closed
	presenceFails int         // presence events in a row that did not happen

	watched watching

	// Of the delivery goroutine, and of the turn goroutine while void.
	table   host.Table
	sockets map[uint64]*gateway.Connection
}

func newRoom(s *Scheduler, id store.RoomID, kind abi.KindOptions) *room {
	s.stats.rooms.Add(1)
	return &room{s: s, id: id, kind: kind, answered: make(chan struct{}, 1), nudged: make(chan struct{}, 1)}
}

// A posting is an event on its way into a mailbox, with what the scheduler needs beside it.
type posting struct {
	event      abi.Event
	connection *gateway.Connection       // of a connect event
	answer     chan<- *abi.RespondEffect // of a request event
	ack        func()                    // of a told event: call it once the turn is durable
	force      bool                      // goes in however full the mailbox is
	leaving    bool                      // a close event that ends the gateway's part: goes in always
}

// post puts an event into the mailbox and starts the turn goroutine.
func (r *room) post(p posting) error {
	size := eventBytes(p.event)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.dead:
		return errDead
	case p.leaving: // is taken as long as the room is there
	case r.closing:
		return &gateway.Refusal{Code: abi.CodeRestarting, Retry: time.Second}
	case p.force:
	case len(r.mailbox) >= r.s.o.MailboxEvents, r.bytes > 0 && r.bytes+size > r.s.o.MailboxBytes:
		r.s.stats.mailboxFull.Add(1)
		if p.connection != nil {
			return &gateway.Refusal{Code: abi.CodeOverloaded, Retry: time.Second}
		}
		return gateway.ErrMailboxFull
	}
	if c := p.connection; c != nil {
		if wait := r.retryAt.Sub(r.s.o.Now()); wait > 0 {
			return &gateway.Refusal{Code: abi.CodeRoomUnavailable, Retry: wait}
		}
		c.Local = &seat{room: r}
		if r.joining == nil {
			r.joining = make(map[uint64]*gateway.Connection)
		}
		r.joining[c.ID] = c
		r.members++
	}
	if p.answer != nil {
		if r.answers == nil {
			r.answers = make(map[uint64]chan<- *abi.RespondEffect)
		}
		r.answers[p.event.(*abi.RequestEvent).ID] = p.answer
	}
	if p.ack != nil {
		if r.acks == nil {
			r.acks = make(map[*abi.ToldEvent]func())
		}
		r.acks[p.event.(*abi.ToldEvent)] = p.ack
	}
	if p.leaving {
		r.members--
	}
	r.mailbox = append(r.mailbox, p.event)
	r.bytes += size
	r.start()
	return nil
}

// A seat is what the scheduler keeps with a gateway's connection.
type seat struct {
	room *room
	// closed is set once the gateway has said that the connection has ended.
	closed atomic.Pointer[abi.CloseEvent]
}

func seatOf(c *gateway.Connection) *seat { return c.Local.(*seat) }

// start makes sure that the turn goroutine is there. mu is held.
func (r *room) start() {
	if !r.running {
		r.running = true
		r.s.work.Add(1)
		go r.loop()
	}
}

// wake runs the turn goroutine once without an event: to read the outbox, or to put the room
// away.
func (r *room) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stir()
}

// stir is wake with mu held.
func (r *room) stir() {
	if !r.dead && !r.closing {
		r.start()
	}
}

// space returns a channel that is closed when the mailbox has room again.
func (r *room) space() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full == nil {
		r.full = make(chan struct{})
		if len(r.mailbox) < r.s.o.MailboxEvents && r.bytes < r.s.o.MailboxBytes {
			c := r.full
			close(c)
			r.full = nil
			return c
		}
	}
	return r.full
}

// take empties the mailbox, at most one batch of events. mu is held.
func (r *room) take() []abi.Event { return r.takeAtMost(abi.MaxBatchEvents) }

func (r *room) takeAtMost(n int) []abi.Event {
	n = min(n, len(r.mailbox), abi.MaxBatchEvents)
	events := r.mailbox[:n:n]
	if r.mailbox = r.mailbox[n:]; len(r.mailbox) == 0 {
		r.mailbox = nil
	}
	r.bytes = 0
	for _, e := range r.mailbox {
		r.bytes += eventBytes(e)
	}
	if r.full != nil && len(r.mailbox) <= r.s.o.MailboxEvents/2 && r.bytes <= r.s.o.MailboxBytes/2 {
		close(r.full)
		r.full = nil
	}
	return events
}

func (r *room) forgetRequest(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.answers, id)
	if r.away != nil {
		r.forgets = append(r.forgets, id)
		r.stir()
	}
	r.rest() // it was kept awake for the answer
}

// replace asks the turn goroutine for the newest version of the module.
func (r *room) replace(options abi.KindOptions) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kind, r.renew = options, true
	if !r.dead && !r.closing {
		r.start()
	}
}

// shut takes nothing new from now on.
func (r *room) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
	if r.sleeper != nil {
		r.sleeper.Stop()
	}
	r.stopTicker()
	if len(r.mailbox) == 0 && len(r.pending) == 0 && !r.running {
		r.endRequests()
	}
}

// endRequests tells those who wait for an answer that there will be none. mu is held.
func (r *room) endRequests() {
	for id, answer := range r.answers {
		close(answer)
		delete(r.answers, id)
	}
	for id, f := range r.asked {
		f.unanswered(id)
		delete(r.asked, id)
	}
}

// putAway gives everything back. Nothing of the room runs any more, but other nodes and operators may still ask for it:
// they do not wait for the store.
func (r *room) putAway() {
	r.mu.Lock()
	r.dead = true
	r.endRequests()
	r.mu.Unlock()
	r.release()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaveBack()
	r.disconnect()
}

// release closes the guest and the store's room. Nothing of the room runs.
func (r *room) release() {
	r.dropGuest()
	if r.rows != nil {
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		if err := release(ctx, r.rows, r.table.Len() > 0); err != nil {
			r.s.o.Log.Debug("room not closed", "room", r.id.String(), "err", err)
		}
		r.rows = nil
	}
}

// eventBytes is what an event weighs in a mailbox.
func eventBytes(e abi.Event) int {
	switch e := e.(type) {
	case *abi.MessageEvent:
		return 64 + len(e.Data)
	case *abi.RequestEvent:
		return 512 + len(e.Body)
	case *abi.ToldEvent:
		return 128 + len(e.Data)
	case *abi.NotifiedEvent:
		return 128 + len(e.Data)
	}
	return 512
}
