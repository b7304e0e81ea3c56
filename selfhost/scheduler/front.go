package scheduler

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A front is another node's gateway, attached to a room that runs here.
type front struct {
	r      *room
	node   string
	stream Stream
	// list and recorded are what it said when it came.
	list     []abi.Connection
	recorded bool

	// Guarded by the room's mu.
	sealed bool // no event of it comes any more before the move
	gone   bool // its stream has ended

	mu     sync.Mutex // guards the fields below; taken after the room's
	queue  [][]byte
	bytes  int
	ending bool
	ready  chan struct{} // has a token when the queue or ending changed
}

// maxFrontQueue bounds what waits for one gateway. Beyond it the stream is cut: the gateway
// attaches anew, and its clients resynchronise.
const maxFrontQueue = 4 * abi.MaxEffects

// Accept serves a stream that another node, which the link has authenticated, has opened. It
// returns when the stream has ended.
func (s *Scheduler) Accept(node string, stream Stream) {
	defer stream.Close()
	b, err := stream.Recv(MaxFrame)
	if err != nil || len(b) == 0 {
		return
	}
	switch b[0] {
	case frameAttach:
		f, err := decodeAttach(b[1:])
		if err != nil {
			s.o.Log.Warn("a node sends what cannot be read", "node", node, "err", err)
			return
		}
		s.acceptFront(node, stream, f)
	case frameRoll:
		d := abi.NewDecoder(b[1:])
		id, epoch, dead := decodeRoomID(d), d.Uvarint("roll.epoch", 1<<63), d.Bool("roll.dead")
		if d.End("roll") != nil {
			return
		}
		_ = stream.Send(abi.AppendBool([]byte{frameRolled}, s.rolled(node, id, epoch, dead)))
		_, _ = stream.Recv(1) // until the other side has read it and closes
	case frameNotify:
		s.notified(node, stream, b[1:])
	}
}

func (s *Scheduler) acceptFront(node string, stream Stream, a attachFrame) {
	var r *room
	f := &front{node: node, stream: stream, list: a.connections, recorded: a.recorded, ready: make(chan struct{}, 1)}
	for {
		if r = s.room(a.id); r == nil {
			_ = stream.Send(refused(abi.CodeRestarting, time.Second))
			_, _ = stream.Recv(1)
			return
		}
		r.mu.Lock()
		if !r.dead {
			break
		}
		r.mu.Unlock()
	}
	if answer := r.answerAtOnce(f); answer != nil {
		r.stir() // to be put away, if it was made just now
		r.mu.Unlock()
		_ = stream.Send(answer)
		_, _ = stream.Recv(1) // until the other side has read it and closes
		return
	}
	f.r = r
	r.knocking = append(r.knocking, f)
	r.stir()
	s.links.Add(1)
	r.mu.Unlock()
	r.nudge()
	go func() {
		defer s.links.Done()
		f.write()
	}()
	err := f.read()
	r.frontGone(f)
	f.end()
	if s.ctx.Err() == nil {
		s.o.Log.Debug("a gateway's stream has ended", "room", r.id.String(), "node", node, "err", err)
	}
}

// answerAtOnce answers a gateway without the turn goroutine, which may be waiting for that very
// gateway, or be asking it. nil: the turn goroutine decides. An owner always lets it in, also one that is to
// give the room away: it may be gathering, and lose whom it turns away. Only one that has begun to seal does not any
// more: who asks then waits, and is sent on to the next owner ([room.handOver]). mu is held.
func (r *room) answerAtOnce(f *front) []byte {
	owner := r.s.o.Cluster.Owner(r.id)
	switch {
	case r.closing, r.asking:
		return refused(abi.CodeRestarting, 20*time.Millisecond)
	case r.owns:
		return nil
	case r.away != nil:
		return appendElsewhere(r.away.node, r.epoch)
	case owner != r.s.o.Cluster.Self() && !f.recorded:
		return appendElsewhere(owner, 0)
	}
	return nil
}

// answerQueue does the same with those who have knocked before. mu is held.
func (r *room) answerQueue() {
	r.knocking = slices.DeleteFunc(r.knocking, func(f *front) bool {
		b := r.answerAtOnce(f)
		if b != nil {
			f.send(b)
			f.end()
		}
		return b != nil
	})
}

func refused(code abi.Code, retry time.Duration) []byte {
	b := abi.AppendUvarint([]byte{frameRefused}, uint64(code))
	return abi.AppendUvarint(b, uint64(min(max(retry.Milliseconds(), 0), maxRetry)))
}

// read takes the gateway's events.
func (f *front) read() error {
	for {
		b, err := f.stream.Recv(MaxFrame)
		if err != nil {
			return err
		}
		if len(b) == 0 {
			return malformed("frame", "empty")
		}
		switch b[0] {
		case frameEvents:
			events, err := decodeEvents(b[1:])
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := f.r.postFrom(f, e); err != nil {
					return err
				}
			}
		case frameSealed:
			f.r.mu.Lock()
			f.sealed = true
			f.r.stir()
			f.r.mu.Unlock()
		case frameForget:
			d := abi.NewDecoder(b[1:])
			id := d.Uvarint("forget.request", 1<<64-1)
			if err := d.End("forget"); err != nil {
				return err
			}
			f.r.mu.Lock()
			if f.r.asked[id] == f {
				delete(f.r.asked, id)
				f.r.rest() // it was kept awake for the answer
			}
			f.r.mu.Unlock()
		default:
			return malformed("frame", "not of a gateway")
		}
	}
}

// write sends what is queued. The room never waits for a gateway.
func (f *front) write() {
	defer f.stream.Close()
	for {
		f.mu.Lock()
		queue, ending := f.queue, f.ending
		f.queue, f.bytes = nil, 0
		f.mu.Unlock()
		for _, b := range queue {
			if f.stream.Send(b) != nil {
				f.end()
				return
			}
		}
		if len(queue) > 0 {
			continue
		}
		if ending {
			return
		}
		<-f.ready
	}
}

// send queues one frame.
func (f *front) send(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ending {
		return
	}
	if f.bytes > 0 && f.bytes+len(b) > maxFrontQueue {
		f.r.s.stats.frontsCut.Add(1)
		f.queue, f.ending = nil, true
	} else {
		f.queue = append(f.queue, b)
		f.bytes += len(b)
	}
	f.tick()
}

// end closes the stream behind what is queued.
func (f *front) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ending = true
	f.tick()
}

// cut closes the stream at once: what is queued is not to be heard any more.
func (f *front) cut() {
	f.mu.Lock()
	f.queue, f.ending = nil, true
	f.tick()
	f.mu.Unlock()
	_ = f.stream.Close()
}

func (f *front) tick() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// postFrom puts a gateway's event into the mailbox, and waits while it is full: the gateway's
// further events then wait in its stream, and in the end its clients.
func (r *room) postFrom(f *front, e abi.Event) error {
	for {
		r.mu.Lock()
		if f.gone || r.dead || r.closing || !r.owns || r.fronts[f.node] != f {
			r.mu.Unlock()
			return errDead
		}
		size := eventBytes(e)
		switch e.(type) {
		case *abi.CloseEvent, *abi.AlarmEvent:
		default:
			if len(r.mailbox) >= r.s.o.MailboxEvents || r.bytes > 0 && r.bytes+size > r.s.o.MailboxBytes {
				r.mu.Unlock()
				select {
				case <-r.space():
				case <-r.s.ctx.Done():
					return r.s.ctx.Err()
				}
				continue
			}
		}
		switch e := e.(type) {
		case *abi.ConnectEvent:
			if wait := r.retryAt.Sub(r.s.o.Now()); wait > 0 {
				r.mu.Unlock()
				f.refuse(e.Connection.ID, abi.CodeRoomUnavailable, wait)
				return nil
			}
			r.setHome(e.Connection.ID, f)
		case *abi.CloseEvent:
			if home := r.homes[e.Connection]; home != f { // nothing else will answer this gateway
				f.send(appendTurn(nil, &host.Turn{Decision: true, Events: []abi.Event{e}}))
				if home == nil { // the room does not have it
					r.mu.Unlock()
					return nil
				}
			}
		case *abi.RequestEvent:
			if r.asked == nil {
				r.asked = make(map[uint64]*front)
			}
			r.asked[e.ID] = f
		case *abi.ToldEvent:
			if r.acks == nil {
				r.acks = make(map[*abi.ToldEvent]func())
			}
			k := keyOf(e)
			r.acks[e] = func() { f.send(k.append(nil)) }
		}
		r.mailbox = append(r.mailbox, e)
		r.bytes += size
		r.stir()
		r.mu.Unlock()
		return nil
	}
}

// setHome notes where a connection is held. mu is held.
func (r *room) setHome(id uint64, f *front) {
	if r.homes == nil {
		r.homes = make(map[uint64]*front)
	}
	r.homes[id] = f
}

// refuse ends a connection of the gateway that the room never had or has no longer.
func (f *front) refuse(id uint64, code abi.Code, wait time.Duration) {
	f.send(appendTurn(nil, &host.Turn{Decision: true, Effects: []abi.Effect{
		&abi.CloseEffect{Connection: id, Code: code, Reason: abi.CloseReason(code, wait, "")}}}))
}

// unanswered tells the gateway that there will be no answer to a request.
func (f *front) unanswered(id uint64) {
	info := abi.CodeRoomUnavailable.Info()
	f.send(appendTurn(nil, &host.Turn{Decision: true, Effects: []abi.Effect{&abi.RespondEffect{
		Request: id, Status: uint64(info.Status),
		Headers: []abi.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Retry-After", Value: "1"}},
		Body:    []byte(`{"code":"` + info.Name + `","message":"` + info.Text + `"}`),
	}}}))
}

// connects reports whether a connection comes with the turn.
func connects(t *host.Turn, id uint64) bool {
	return slices.ContainsFunc(t.Events, func(e abi.Event) bool {
		c, ok := e.(*abi.ConnectEvent)
		return ok && c.Connection.ID == id
	})
}

// deliverFar sends each gateway what it has to hear of a turn. It runs on the delivery goroutine,
// when the table does not have the turn yet.
func (r *room) deliverFar(t *host.Turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.fronts) == 0 && len(r.homes) == 0 {
		return
	}
	parts := make(map[*front]*host.Turn, len(r.fronts))
	part := func(f *front) *host.Turn {
		p := parts[f]
		if p == nil {
			p = &host.Turn{Decision: t.Decision}
			parts[f] = p
		}
		return p
	}
	var ended []uint64
	for _, e := range t.Events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			if f := r.homes[e.Connection.ID]; f != nil {
				p := part(f)
				p.Events = append(p.Events, e)
			}
		case *abi.CloseEvent:
			if f := r.homes[e.Connection]; f != nil {
				p := part(f)
				p.Events = append(p.Events, e)
				ended = append(ended, e.Connection)
			}
		}
	}
	for _, e := range t.Effects {
		var id uint64
		switch e := e.(type) {
		case *abi.BroadcastEffect:
			for _, f := range r.fronts {
				p := part(f)
				p.Effects = append(p.Effects, e)
			}
			continue
		case *abi.SendEffect:
			id = e.Connection
		case *abi.CloseEffect:
			id = e.Connection
			if _, known := r.table.Get(id); !known && !connects(t, id) { // refused: no close event follows
				ended = append(ended, id)
			}
		case *abi.AttachEffect:
			id = e.Connection
		case *abi.TagsEffect:
			id = e.Connection
		case *abi.MuteEffect:
			id = e.Connection
		case *abi.JoinEffect:
			id = e.Connection
		case *abi.RespondEffect:
			if f := r.asked[e.Request]; f != nil {
				delete(r.asked, e.Request)
				p := part(f)
				p.Effects = append(p.Effects, e)
			}
			continue
		default:
			continue
		}
		if f := r.homes[id]; f != nil {
			p := part(f)
			p.Effects = append(p.Effects, e)
		}
	}
	for f, p := range parts {
		b := appendTurn(nil, p)
		r.s.stats.crossed(len(b))
		f.send(b)
	}
	for _, id := range ended {
		delete(r.homes, id)
	}
}

// frontGone takes a gateway out whose stream has ended. Its connections stay for a while: the gateway
// may be back with them.
func (r *room) frontGone(f *front) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.gone = true
	r.knocking = slices.DeleteFunc(r.knocking, func(k *front) bool { return k == f })
	for id, a := range r.asked {
		if a == f {
			delete(r.asked, id)
		}
	}
	if r.fronts[f.node] != f {
		return
	}
	delete(r.fronts, f.node)
	ghosts := false
	for _, h := range r.homes {
		ghosts = ghosts || h == f
	}
	if ghosts {
		r.ghosts++
		time.AfterFunc(ghostTime, func() { r.bury(f) })
	}
	r.stir() // it may be time to leave
}

// bury ends the connections of a gateway that has not come back.
func (r *room) bury(f *front) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ghosts--
	if r.dead || !r.owns {
		return
	}
	for id, h := range r.homes {
		if h == f {
			e := &abi.CloseEvent{Connection: id, Code: abi.CodeAbnormal}
			r.mailbox = append(r.mailbox, e)
			r.bytes += eventBytes(e)
		}
	}
	r.stir()
}

// knock deals with the gateways that want to be attached. It runs on the turn goroutine.
func (r *room) knock() {
	r.mu.Lock()
	owns := r.owns
	r.answerQueue()
	waiting := len(r.knocking) > 0
	r.mu.Unlock()
	if !waiting {
		return
	}
	if !owns {
		if err := r.openHere(); err != nil {
			var owned *store.OwnedError
			var elsewhere *elsewhereError
			switch {
			case errors.As(err, &owned):
				r.setHint(owned.Owner.Node, true)
				r.answer(appendElsewhere(owned.Owner.Node, owned.Owner.Epoch))
			case errors.As(err, &elsewhere):
				r.setHint(elsewhere.node, elsewhere.epoch > 0)
				r.answer(appendElsewhere(elsewhere.node, elsewhere.epoch))
			default:
				r.s.o.Log.Warn("a room cannot be taken", "room", r.id.String(), "err", err)
				r.answer(refused(abi.CodeRoomUnavailable, 200*time.Millisecond))
			}
			return
		}
	}
	r.mu.Lock()
	knocking := r.knocking
	r.knocking = nil
	r.mu.Unlock()
	for _, f := range knocking {
		r.attach(f)
	}
}

// changes are the effects that make one state of a connection the other: what was lost with a link.
func changes(from, to *abi.Connection) (missed []abi.Effect) {
	if !bytes.Equal(from.Attachment, to.Attachment) {
		missed = append(missed, &abi.AttachEffect{Connection: to.ID, Data: to.Attachment})
	}
	if !slices.Equal(from.Tags, to.Tags) {
		missed = append(missed, &abi.TagsEffect{Connection: to.ID, Tags: to.Tags})
	}
	if from.Muted != to.Muted {
		missed = append(missed, &abi.MuteEffect{Connection: to.ID, Muted: to.Muted})
	}
	return missed
}

// answer sends everybody who knocks away.
func (r *room) answer(b []byte) {
	r.mu.Lock()
	knocking := r.knocking
	r.knocking = nil
	r.mu.Unlock()
	for _, f := range knocking {
		f.send(b)
		f.end()
	}
}

// attach takes a gateway up. Until the room has started under this ownership, its list says which
// connections there are, and what they are; afterwards the room's table does.
func (r *room) attach(f *front) {
	fresh := r.model == nil
	r.awaitDelivery() // then the table stands still
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.gone {
		return
	}
	f.send(abi.AppendUvarint([]byte{frameAttached}, r.epoch))
	here := make(map[uint64]bool, len(f.list))
	for _, c := range f.list {
		here[c.ID] = true
		home := r.homes[c.ID]
		now, known := r.table.Get(c.ID)
		// A gateway may be back as another node: it has lost its lease, and its connections are what they were.
		was := home != nil && (home.node == f.node || home.gone)
		switch {
		case known && was:
			r.setHome(c.ID, f)
			if missed := changes(&c, &now); len(missed) > 0 {
				f.send(appendTurn(nil, &host.Turn{Decision: true, Effects: missed}))
			}
		case fresh && r.sockets[c.ID] == nil && (home == nil || was) && !slices.Contains(r.closed, c.ID):
			r.table.Add(c)
			r.setHome(c.ID, f)
		default:
			f.refuse(c.ID, abi.CodeRestarting, 0)
		}
	}
	f.list = nil
	for id, home := range r.homes { // those whose sockets ended meanwhile
		if home.node == f.node && !here[id] && home != f {
			r.setHome(id, f)
			e := &abi.CloseEvent{Connection: id, Code: abi.CodeAbnormal}
			r.mailbox = append(r.mailbox, e)
			r.bytes += eventBytes(e)
		}
	}
	if old := r.fronts[f.node]; old != nil {
		old.gone = true
		go old.cut()
	}
	if r.fronts == nil {
		r.fronts = make(map[string]*front)
	}
	r.fronts[f.node] = f
}
