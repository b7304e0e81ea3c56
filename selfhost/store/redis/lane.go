package redis

import (
	"fmt"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A pending is a commit on its way to its answer.
type pending struct {
	room   *room
	number uint64 // 0 if it writes nothing
	size   int
	done   func(error)

	// All below are guarded by the lane's mu, but not while the room is being sent.
	args  []any // of the commit's script; nil if there is nothing to send
	err   error // refused or failed: it only waits for its place
	wake  *wake // what the time index has to have before, or nil
	asked bool  // Options.Fault was
	// unsure says that it was sent and not answered: until it is applied, it may be at any moment.
	unsure bool
	boxed  int64 // rows in the outbox after it, -1 if unknown
}

// A lane sends the commits of some of the rooms, and takes the answers. A room stays in its lane, and is
// in at most one pipeline at a time, so its commits run in their order.
//
//	room.Commit -> the room's queue -> one pipeline at a time: ready rooms   -> answers
//	                                -> one pipeline at a time: retried rooms -'
//
// Rooms whose commits got no answer go another way: while a part of a Redis Cluster is down, it holds up
// the rest only with each room's first try.
type lane struct {
	s *Store

	mu     sync.Mutex // guards all below, and the fields of rooms that say so
	work   sync.Cond  // a list, or ended, changed
	lists  [2][]*room // by way: rooms with something to send
	flight [2][]*room // by way: rooms that are being sent
	ended  bool
}

const (
	wayReady = iota
	wayRetried
)

// queue is what a lane keeps of a room.
type queue struct {
	pending []*pending // not decided, in order
	way     int
	busy    bool // listed, or being sent
	sending bool
	source  bool   // send scripts with their source
	fault   error  // why what comes is void; nil after a reset
	seq     uint64 // of the room's writes to the time index
}

// A step is what one pipeline does for one room: its next commits, or what has to be in the time
// index before.
type step struct {
	room    *room
	wake    *wake
	covers  int // commits for which wake is enough
	commits []*pending
	cmds    []redis.Command
}

// batchCommands bounds the commands of one pipeline.
const batchCommands = 512

// submit queues a commit. The caller holds the room's mu, which keeps the room's order.
func (l *lane) submit(p *pending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := &p.room.queue
	if p.err == nil {
		if p.err = l.s.halted(); p.err == nil {
			p.err = q.fault
		}
	}
	q.pending = append(q.pending, p)
	l.advance(p.room)
}

// advance decides what stands at the head of a room's queue and needs no sending, and lists the
// room if there is more. The caller holds mu.
func (l *lane) advance(r *room) {
	q := &r.queue
	if q.sending && !l.ended { // an ended lane waits for no answer
		return
	}
	for len(q.pending) > 0 {
		p := q.pending[0]
		if p.err == nil && p.args != nil {
			break
		}
		l.pop(r, p.err)
	}
	if len(q.pending) > 0 && !q.busy {
		q.busy = true
		l.lists[q.way] = append(l.lists[q.way], r)
		l.work.Broadcast()
	}
}

// pop decides the head of a room's queue. After a failure all that follows is void.
func (l *lane) pop(r *room, err error) {
	q := &r.queue
	p := q.pending[0]
	q.pending[0] = nil
	if q.pending = q.pending[1:]; len(q.pending) == 0 {
		q.pending = nil
	}
	if err != nil {
		l.fail(r, store.ErrVoid)
	}
	l.s.answers.add(p, err)
}

// fail makes all that waits and comes fail with err. The caller holds mu.
func (l *lane) fail(r *room, err error) {
	q := &r.queue
	if q.fault == nil {
		q.fault = err
	}
	for _, p := range q.pending {
		if p.err == nil {
			p.err = q.fault
		}
	}
}

// end decides everything that waits, for good, and lets the lane's goroutines go.
func (l *lane) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.work.Broadcast()
	for _, list := range [][]*room{l.lists[0], l.lists[1], l.flight[0], l.flight[1]} {
		for _, r := range list {
			l.fail(r, err)
			for len(r.queue.pending) > 0 {
				l.pop(r, r.queue.pending[0].err)
			}
		}
	}
	l.lists = [2][]*room{}
}

// run sends what one way has.
func (l *lane) run(way int) {
	var wait time.Duration
	for {
		if way == wayRetried {
			if !l.await(way) || !l.s.pause(wait) {
				return
			}
		}
		steps := l.take(way)
		if steps == nil {
			return
		}
		if l.send(way, steps) {
			wait = 0
		} else {
			wait = backOff(wait)
		}
	}
}

// backOff returns the time to wait after another failure.
func backOff(last time.Duration) time.Duration {
	return min(max(2*last, 10*time.Millisecond), time.Second)
}

// await waits until a way has something to send, and reports false when the lane has ended.
func (l *lane) await(way int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lists[way]) == 0 && !l.ended {
		l.work.Wait()
	}
	return !l.ended
}

// take waits for the next pipeline's steps. It returns none when the lane has ended.
func (l *lane) take(way int) []*step {
	if !l.await(way) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var steps []*step
	size, commands, n := 0, 0, 0
	for _, r := range l.lists[way] {
		if size >= l.s.opts.GroupBytes || commands >= batchCommands {
			break
		}
		st := l.step(r, l.s.opts.GroupBytes-size)
		for _, p := range st.commits {
			size += p.size
		}
		commands += max(1, len(st.commits))
		steps = append(steps, st)
		n++
	}
	l.flight[way] = slices.Clone(l.lists[way][:n])
	l.lists[way] = slices.Delete(l.lists[way], 0, n)
	return steps
}

// step says what to send of a room. The caller holds mu.
func (l *lane) step(r *room, room int) *step {
	q := &r.queue
	q.sending = true
	st := &step{room: r}
	if q.pending[0].wake != nil {
		q.seq++
		st.wake = &wake{}
		for _, p := range q.pending {
			if p.wake != nil {
				st.wake.join(p.wake)
			}
		}
		st.covers = len(q.pending)
		return st
	}
	for _, p := range q.pending {
		if p.err != nil || p.args == nil || p.wake != nil || len(st.commits) > 0 && (room < p.size || len(st.commits) == batchCommands) {
			break
		}
		st.commits = append(st.commits, p)
		room -= p.size
	}
	return st
}

// send sends steps in one pipeline, and takes what came of them. It reports whether Redis
// answered.
func (l *lane) send(way int, steps []*step) bool {
	pipe := l.s.client.Pipeline()
	commits := 0
	for _, st := range steps {
		l.ask(st)
		q := &st.room.queue // nobody else touches source and seq while it is being sent
		if st.wake != nil {
			st.cmds = append(st.cmds, l.s.wakeCommand(q.source, st.room.id, st.room.owner.Epoch, q.seq, "min", st.wake, 0))
		}
		for i, p := range st.commits {
			// The first with its source makes the script known to those that follow it.
			st.cmds = append(st.cmds, commitScript.Command(l.s.ctx, q.source && i == 0, st.room.keys[:], p.args...))
		}
		commits += len(st.commits)
		for _, cmd := range st.cmds {
			_ = pipe.Process(l.s.ctx, cmd)
		}
	}
	ok := true
	if pipe.Len() > 0 {
		began := time.Now()
		var cmds []goredis.Cmder
		cmds, _ = pipe.Exec(l.s.ctx)
		ok = false
		for _, cmd := range cmds {
			o := judge(cmd.Err())
			ok = ok || o == answered || o == refused || o == unknownScript
		}
		l.s.count(commits, time.Since(began))
		l.s.heard(ok)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flight[way] = nil
	for _, st := range steps {
		l.finish(st)
	}
	return ok
}

// ask asks Options.Fault for the commits of a step, and cuts it short at the first that has one.
func (l *lane) ask(st *step) {
	fault := l.s.opts.Fault
	if fault == nil {
		return
	}
	for i, p := range st.commits {
		if p.asked {
			continue
		}
		p.asked = true
		if err := fault(st.room.id, p.number); err != nil {
			l.mu.Lock()
			p.err = err
			l.mu.Unlock()
			st.commits = st.commits[:i]
			return
		}
	}
}

// finish takes what came of a step. The caller holds mu.
func (l *lane) finish(st *step) {
	r := st.room
	q := &r.queue
	q.sending, q.busy = false, false
	if l.ended {
		return // end has decided it
	}
	way := wayReady
	if st.wake != nil {
		switch err := st.cmds[0].Err(); judge(err) {
		case answered:
			q.source = false
			for _, p := range q.pending[:st.covers] {
				p.wake = nil
			}
		case unknownScript:
			q.source = true
		case later, unsure:
			way = wayRetried
		case refused:
			l.refuse(r, err)
		}
	}
	for i, p := range st.commits {
		reply, err := st.cmds[i].Result()
		o := judge(err)
		if o == answered {
			q.source = false
			if !l.applied(r, p, reply) {
				break
			}
			continue
		}
		for j, sent := range st.commits[i:] {
			sent.unsure = sent.unsure || judge(st.cmds[i+j].Err()) == unsure
		}
		switch {
		case o == unknownScript:
			q.source = true
		case o == refused && !p.unsure:
			l.refuse(r, err)
		default:
			way = wayRetried
		}
		break
	}
	q.way = way
	l.advance(r)
}

// applied takes the answer to the commit at the head of a room's queue, and reports whether the next
// one's means anything.
func (l *lane) applied(r *room, p *pending, reply any) bool {
	a, err := parseCommit(reply)
	switch {
	case err != nil:
		l.fence(r, fmt.Errorf("%w: %w", store.ErrFenced, err))
	case a.refused && a.number != "":
		// All before it were applied, by this token: Redis has lost some of them.
		l.fence(r, fmt.Errorf("%w: the record is at %.20q, before %d: %w", store.ErrFenced, a.number, p.number, store.ErrNumber))
	case a.refused:
		l.fence(r, fmt.Errorf("%w: the record names %q", store.ErrFenced, a.owner))
	default:
		p.boxed = a.boxed
		l.pop(r, nil)
		return true
	}
	return false
}

// fence ends the room's token: all that waits and comes is another's.
func (l *lane) fence(r *room, err error) {
	l.fail(r, err)
	l.pop(r, err)
}

// refuse fails the head of a room's queue for certain. While a later commit may yet be applied
// the token must not be used again: with it a reset room would give that commit's number anew.
func (l *lane) refuse(r *room, err error) {
	q := &r.queue
	if slices.ContainsFunc(q.pending[1:], func(p *pending) bool { return p.unsure }) {
		l.fail(r, fmt.Errorf("%w: an earlier commit failed while this one was on its way", store.ErrFenced))
	}
	l.pop(r, readable(err))
}

// clear ends the void state of a room that waits for nothing.
func (l *lane) clear(r *room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.queue.fault = nil
}

// lost returns why the room's token is spent, or nil.
func (l *lane) lost(r *room) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := r.queue.fault; err != nil && err != store.ErrVoid {
		return err
	}
	return nil
}
