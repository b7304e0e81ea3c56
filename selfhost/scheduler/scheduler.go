package scheduler

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Scheduler runs the rooms of one node. It implements [gateway.Rooms].
type Scheduler struct {
	o       Options
	alarms  *alarmClock
	stats   counters
	handles atomic.Uint64
	ctx     context.Context // of guests' turns; ends with Close
	cancel  context.CancelFunc
	work    sync.WaitGroup // goroutines of rooms and of the outbox
	links   sync.WaitGroup // goroutines of streams
	vacated chan struct{}  // gets a token when a room has left
	mover   *mover

	mu     sync.Mutex // guards rooms and closed
	rooms  map[store.RoomID]*room
	closed bool
}

var _ gateway.Rooms = (*Scheduler)(nil)

// New returns a scheduler, and starts what the store says is due: alarms, and messages to other
// rooms that were not delivered before the last end. ctx bounds only the reading of these.
func New(ctx context.Context, o Options) (*Scheduler, error) {
	s := &Scheduler{o: o.withDefaults(), rooms: make(map[store.RoomID]*room), vacated: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.mover = newMover(s)
	s.alarms = newAlarmClock(s)
	if err := s.alarms.refill(ctx); err != nil {
		s.alarms.stop()
		s.cancel()
		return nil, err
	}
	index, ok := s.o.Store.(store.Index)
	if !ok {
		return s, nil
	}
	for id, err := range index.Outboxes(ctx) {
		if err != nil {
			s.Close(context.Background())
			return nil, err
		}
		if r := s.room(id); r != nil {
			r.wake()
		}
	}
	return s, nil
}

// Kind implements [gateway.Rooms].
func (s *Scheduler) Kind(name string) (abi.KindOptions, bool) { return s.o.Modules.Kind(name) }

// room returns the room of a name, making it if need be; nil if the scheduler is closed or has
// no such kind.
func (s *Scheduler) room(id store.RoomID) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if r := s.rooms[id]; r != nil {
		return r
	}
	kind, ok := s.o.Modules.Kind(id.Kind)
	if !ok {
		return nil
	}
	r := newRoom(s, id, kind)
	s.rooms[id] = r
	return r
}

// post gives an event to a room that may be put away at the same moment.
func (s *Scheduler) post(id store.RoomID, p posting) error {
	for {
		r := s.room(id)
		if r == nil {
			return s.absent(id)
		}
		if err := r.post(p); err != errDead {
			return err
		}
	}
}

// absent says why there is no room.
func (s *Scheduler) absent(id store.RoomID) error {
	if _, ok := s.o.Modules.Kind(id.Kind); !ok {
		return abi.CodeUnknownKind
	}
	return &gateway.Refusal{Code: abi.CodeRestarting, Retry: time.Second}
}

// Connect implements [gateway.Rooms].
func (s *Scheduler) Connect(_ context.Context, c *gateway.Connection, ev *abi.ConnectEvent) error {
	id := store.RoomID{Kind: c.Kind, Name: c.Room}
	return s.post(id, posting{event: ev, connection: c})
}

// Message implements [gateway.Rooms].
func (s *Scheduler) Message(c *gateway.Connection, enc abi.Encoding, data []byte) error {
	return seatOf(c).room.post(posting{event: &abi.MessageEvent{Connection: c.ID, Encoding: enc, Data: data}})
}

// Space implements [gateway.Rooms].
func (s *Scheduler) Space(c *gateway.Connection) <-chan struct{} { return seatOf(c).room.space() }

// Closed implements [gateway.Rooms].
func (s *Scheduler) Closed(c *gateway.Connection, code abi.Code, reason string, clean bool) {
	ev := &abi.CloseEvent{Connection: c.ID, Code: code, Reason: reason, Clean: clean}
	seat := seatOf(c)
	seat.closed.Store(ev)
	// A room with a connection is never put away, so this cannot fail.
	_ = seat.room.post(posting{event: ev, leaving: true})
}

// Request implements [gateway.Rooms].
func (s *Scheduler) Request(ctx context.Context, kind, name string, ev *abi.RequestEvent) (*abi.RespondEffect, error) {
	id := store.RoomID{Kind: kind, Name: name}
	answer := make(chan *abi.RespondEffect, 1)
	var r *room
	for {
		if r = s.room(id); r == nil {
			return nil, s.absent(id)
		}
		err := r.post(posting{event: ev, answer: answer})
		if err == nil {
			break
		}
		if err == gateway.ErrMailboxFull {
			return nil, &gateway.Refusal{Code: abi.CodeOverloaded, Retry: time.Second}
		}
		if err != errDead {
			return nil, err
		}
	}
	select {
	case a := <-answer:
		if a == nil {
			return nil, &gateway.Refusal{Code: abi.CodeRoomUnavailable, Retry: time.Second}
		}
		return a, nil
	case <-ctx.Done():
		r.forgetRequest(ev.ID)
		return nil, ctx.Err()
	}
}

// Replace puts the newest version of a kind's module under all its rooms, each between two of
// its turns. What rooms held only in memory is lost, as in a sleep; connections stay.
func (s *Scheduler) Replace(kind string) {
	options, ok := s.o.Modules.Kind(kind)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, r := range s.rooms {
		if id.Kind == kind {
			r.replace(options)
		}
	}
}

// Close takes no more events, waits until every room has run what waits in its mailbox and every
// commit is answered, and gives the rooms back. When ctx ends first it stops the rooms where
// they stand: what was acknowledged is in the store all the same. The gateway is closed before. A
// second call does nothing.
func (s *Scheduler) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	rooms := make([]*room, 0, len(s.rooms))
	for _, r := range s.rooms {
		rooms = append(rooms, r)
	}
	s.mu.Unlock()
	s.alarms.stop()

	idle := make(chan struct{})
	go func() {
		defer close(idle)
		for _, r := range rooms {
			r.shut()
		}
		s.work.Wait()
	}()
	var err error
	select {
	case <-idle:
	case <-ctx.Done():
		err = fmt.Errorf("%w: rooms were still at work: %w", ErrClosed, ctx.Err())
		s.cancel()
		<-idle
	}
	s.cancel()
	for _, r := range rooms {
		r.putAway()
	}
	s.links.Wait()
	return err
}

// seed fills a turn's seed.
func seed(b *[abi.SeedSize]byte) { _, _ = rand.Read(b[:]) } // crypto/rand never fails

// handle returns a fresh room handle.
func (s *Scheduler) handle() uint64 { return s.handles.Add(1) }
