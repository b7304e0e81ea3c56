package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Cluster is what a scheduler needs of the nodes that share its store. Its methods may be called
// concurrently. Without one ([Options.Cluster] is nil) every room runs here.
//
// A node has one room object for each room that it runs or has connections of. At any time
// the object either runs the room, because this node is its owner, or hands its mailbox to
// the owner over a [Stream] and lets out what comes back. It changes from one to the other between
// two turns, while its connections stay.
type Cluster interface {
	// Self is the identity of this node.
	Self() string
	// Owner names the node that the ring gives a room to; "" if no node takes rooms. After a change
	// [Scheduler.Rebalance] is called.
	Owner(id store.RoomID) string
	// Certain reports whether this node's lease is certain to live on for a while. While it is
	// not, the node runs no room.
	Certain() bool
	// Peers are the other living nodes.
	Peers() []string
	// Open begins a stream to another node. It fails when the node does not answer.
	Open(ctx context.Context, node string) (Stream, error)
}

// A Stream carries frames about one room between two nodes, in order, each whole, until one of
// the two closes it or the link breaks. Send and Recv may be called concurrently, each by one
// goroutine at a time.
type Stream interface {
	// Send hands over one frame of at most [MaxFrame] bytes. It blocks while the other side does
	// not read, so that a busy room holds up nothing but itself. b is not kept.
	Send(b []byte) error
	// Recv returns the next frame, in memory of its own. A frame over limit bytes is an error.
	Recv(limit int) ([]byte, error)
	// Close ends the stream: what was sent before still arrives, and calls that block return with an error.
	Close() error
}

// Times of a room between nodes.
const (
	// attachTimeout bounds the answer of a node that is asked for a room.
	attachTimeout = 3 * time.Second
	// gatherTimeout bounds how long a new owner waits for the gateways of the room.
	gatherTimeout = 2 * time.Second
	// sealTimeout bounds how long a room that moves waits for the last events of its gateways.
	sealTimeout = time.Second
	// ghostTime is how long an owner keeps the connections of a gateway whose stream broke: until the
	// gateway is back, or certainly gone.
	ghostTime = 6 * time.Second
	// releaseTimeout bounds the store's answer when a room is given back.
	releaseTimeout = 2 * time.Second
	// settleFirst and settleMost bound the pause between two attempts to find a room's owner.
	settleFirst, settleMost = 10 * time.Millisecond, time.Second
	// settlePatience is how long clients who want to connect, and requests, wait for that.
	settlePatience = 5 * time.Second
)

var (
	errUncertain = errors.New("scheduler: this node's lease is not certain")
	errNoOwner   = errors.New("scheduler: no node takes the room")
)

// Rebalance looks at every room again after the ring or the set of nodes has changed: rooms
// that belong elsewhere now are handed over, and those that wait for an owner try at once.
func (s *Scheduler) Rebalance() {
	var leave []*room
	for _, r := range s.all() {
		r.mu.Lock()
		if r.owns && !r.dead {
			if to := s.o.Cluster.Owner(r.id); to == "" || to == s.o.Cluster.Self() {
				r.moveTo = ""
			} else if r.moveTo == "" {
				leave = append(leave, r)
			} else {
				r.moveTo = to
			}
		}
		r.mu.Unlock()
		r.nudge()
	}
	s.mover.set(leave)
}

// Vacate waits until no room runs here any more, after a [Scheduler.Rebalance] with a ring that
// this node is not in.
func (s *Scheduler) Vacate(ctx context.Context) error {
	for s.stats.owned.Load() > 0 {
		select {
		case <-s.vacated:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select { // another may be waiting
	case s.vacated <- struct{}{}:
	default:
	}
	return nil
}

// Abandon gives up every room at once, because this node's lease is lost: nothing of them is
// let out any more, and each is looked for anew. The store refuses this node's commits from then on.
func (s *Scheduler) Abandon() {
	for _, r := range s.all() {
		r.mu.Lock()
		if r.owns && !r.dead {
			r.abandoned = true
			r.stir()
		}
		r.mu.Unlock()
		r.signal()
	}
}

// Wake has rooms opened by whoever should own them: an alarm of theirs is due, or rows wait in
// their outbox ([store.Shared.Claim]).
func (s *Scheduler) Wake(ids []store.RoomID) {
	for _, id := range ids {
		s.alarms.wake(id)
	}
}

func (s *Scheduler) all() []*room {
	s.mu.Lock()
	defer s.mu.Unlock()
	rooms := make([]*room, 0, len(s.rooms))
	for _, r := range s.rooms {
		rooms = append(rooms, r)
	}
	return rooms
}

// Where a room of this node runs, as [Scheduler.Where] says it.
type Where struct {
	Room store.RoomID
	// Owner is the node that runs it; this node, another one, or "" while it is looked for.
	Owner string
	// Epoch is the ownership's, 0 while it is not known.
	Epoch uint64
	// Ring is the node that the ring gives it to.
	Ring string
	// Connections are those of this node; Gateways are the other nodes that are attached to it here.
	Connections, Gateways int
}

// Where lists the rooms of this node. It is for operators.
func (s *Scheduler) Where() []Where {
	var list []Where
	for _, r := range s.all() {
		w := Where{Room: r.id, Owner: ""}
		if s.o.Cluster != nil {
			w.Ring = s.o.Cluster.Owner(r.id)
		}
		r.mu.Lock()
		w.Connections, w.Gateways, w.Epoch = r.members, len(r.fronts), r.epoch
		switch {
		case r.owns && s.o.Cluster != nil:
			w.Owner = s.o.Cluster.Self()
		case r.away != nil:
			w.Owner = r.away.node
		}
		r.mu.Unlock()
		list = append(list, w)
	}
	return list
}
