package scheduler

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

const (
	// MaxReached bounds the devices that one notification goes to; the newest are reached.
	MaxReached = 100
	// maxNotices and maxNoticeBytes bound the notifications of one room that wait to be delivered. Beyond
	// it they are lost.
	maxNotices     = 4 * abi.MaxNotifies
	maxNoticeBytes = 4 << 20
	// notifyTimeout bounds one notification.
	notifyTimeout = 2 * time.Second
)

// Notify says something to a user on all devices, and returns how many there were whose rooms took it. n is the
// event without a connection. What is lost on its way is lost: at most once. The error is of presence, or of a
// malformed event.
func (s *Scheduler) Notify(ctx context.Context, user string, n *abi.NotifiedEvent) (devices int, err error) {
	sample := *n
	sample.Connection = 1
	if err := abi.CheckEvent(&sample); err != nil {
		return 0, err
	}
	all, err := s.o.Presence.Devices(ctx, user)
	if err != nil {
		return 0, err
	}
	nodes := make(map[string][]notice)
	for _, d := range presence.Newest(all.Devices, MaxReached) {
		e := *n
		e.Connection = d.ID
		nodes[d.Node] = append(nodes[d.Node], notice{store.RoomID{Kind: d.Place.Kind, Name: d.Place.Room}, &e})
	}
	var work sync.WaitGroup
	var taken atomic.Int64
	for node, notices := range nodes {
		if s.o.Cluster == nil || node == "" || node == s.o.Cluster.Self() {
			taken.Add(int64(s.hand(notices)))
			continue
		}
		work.Go(func() { taken.Add(int64(s.handTo(ctx, node, notices))) })
	}
	work.Wait()
	return int(taken.Load()), nil
}

// A notice is a notification for a connection of a room.
type notice struct {
	room  store.RoomID
	event *abi.NotifiedEvent
}

// hand gives notices to the rooms of connections whose sockets are here, which hand them on to their owners.
func (s *Scheduler) hand(notices []notice) (taken int) {
	for _, n := range notices {
		s.mu.Lock()
		r := s.rooms[n.room] // is there as long as it has connections
		s.mu.Unlock()
		if r != nil && r.post(posting{event: n.event}) == nil {
			taken++
		}
	}
	return taken
}

// handTo gives notices to the node that holds the sockets.
func (s *Scheduler) handTo(ctx context.Context, node string, notices []notice) (taken int) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	stream, err := s.o.Cluster.Open(ctx, node)
	if err != nil {
		return 0
	}
	stop := context.AfterFunc(ctx, func() { _ = stream.Close() })
	defer stop()
	defer stream.Close()
	if stream.Send(appendNotify(notices)) != nil {
		return 0
	}
	b, err := stream.Recv(16)
	if err != nil || len(b) == 0 || b[0] != frameNotified {
		return 0
	}
	d := abi.NewDecoder(b[1:])
	n := d.Uvarint("notified.count", uint64(len(notices)))
	if d.End("notified") != nil {
		return 0
	}
	return int(n)
}

// notified takes what another node hands over.
func (s *Scheduler) notified(node string, stream Stream, b []byte) {
	notices, err := decodeNotify(b)
	if err != nil {
		s.o.Log.Warn("a node sends what cannot be read", "node", node, "err", err)
		return
	}
	_ = stream.Send(abi.AppendUvarint([]byte{frameNotified}, uint64(s.hand(notices))))
	_, _ = stream.Recv(1) // until the other side has read it and closes
}

// notify queues a room's notification behind its earlier ones.
func (r *room) notify(e *abi.NotifyEffect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.notices) >= maxNotices || r.noticeBytes > maxNoticeBytes {
		r.s.stats.notifiesLost.Add(1)
		return
	}
	waiting := *e
	waiting.Data = slices.Clone(e.Data) // the effect is a part of all that its turn wants
	r.notices = append(r.notices, &waiting)
	r.noticeBytes += len(e.Data)
	if !r.notifying {
		r.notifying = true
		r.s.work.Add(1)
		go r.sendNotices()
	}
}

// sendNotices delivers a room's notifications in their order, and ends.
func (r *room) sendNotices() {
	defer r.s.work.Done()
	for {
		r.mu.Lock()
		if len(r.notices) == 0 || r.s.ctx.Err() != nil {
			r.notices, r.noticeBytes, r.notifying = nil, 0, false
			r.mu.Unlock()
			return
		}
		e := r.notices[0]
		r.notices = r.notices[1:]
		r.noticeBytes -= len(e.Data)
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.s.ctx, notifyTimeout)
		n, err := r.s.Notify(ctx, e.User, &abi.NotifiedEvent{
			FromKind: r.id.Kind, FromRoom: r.id.Name, Event: e.Event, Encoding: e.Encoding, Data: e.Data,
		})
		cancel()
		if err != nil {
			r.s.stats.notifiesLost.Add(1)
			r.s.o.Log.Debug("a notification is lost", "room", r.id.String(), "err", err)
		}
		r.s.stats.notified.Add(uint64(n))
	}
}

// deviceOf is what a client's URL calls its device.
func deviceOf(query string) string {
	if query == "" {
		return ""
	}
	q, _ := url.ParseQuery(query) // what can be read counts
	return q.Get("device")
}
