package pebble

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A pending is a commit on its way to its answer. It does not change after it was
// submitted.
type pending struct {
	room   *room
	number uint64        // 0 if it writes nothing
	after  meta          // the room's state once it is durable
	batch  *engine.Batch // nil if it writes nothing
	size   int
	quick  bool  // need not wait for an fsync
	err    error // refused, and only waits for its place
	done   func(error)
}

// A group is what is written and answered together, in order.
type group struct {
	commits []*pending
	faults  []error // of the commits, by Options.Fault; nil if there are none
	err     error   // of all commits that have no other
	batch   *engine.Batch
	written int  // commits in batch
	flush   bool // sync what the log has, even with nothing to write
	began   time.Time
}

// A committer takes the commits of all rooms to the disk and their answers back.
//
//	room.Commit -> queue -> committing: one batch -> syncing: its fsync -> answering: done
//	            -> quick ----------------'  no fsync  ----------------------'
//
// quick holds commits that need no fsync, of rooms with nothing in the other way: so they
// overtake a running fsync and never a commit of their own room.
type committer struct {
	s       *Store
	stopped chan struct{} // closed by stop
	cause   error         // set before stopped is closed
	waiting atomic.Int64  // bytes of commits without an answer
	sync    chan *group   // to syncLoop; at most one at a time

	mu        sync.Mutex // guards all below
	work      sync.Cond  // of committing: something was queued, or an fsync ended
	answer    sync.Cond  // of answering: something was decided
	queue     []*pending
	quick     []*pending
	syncing   bool        // an fsync runs
	relaxed   *time.Timer // runs while relaxed commits are not on the disk
	flush     bool        // it has fired
	inflight  []*group    // taken and not decided
	decided   []*group    // to be answered
	answering bool        // answerLoop runs
	closing   bool        // no more is queued
	drained   bool        // committing has ended in good order
	err       error       // why the store stopped
	idle      sync.Cond   // of finish: answering has ended
}

func (c *committer) init(s *Store) {
	c.s = s
	c.stopped = make(chan struct{})
	c.work.L, c.answer.L, c.idle.L = &c.mu, &c.mu, &c.mu
	c.sync = make(chan *group, 1)
}

func (c *committer) start() {
	go c.commitLoop()
	go c.syncLoop()
}

// Stopped implements [store.Store].
func (c *committer) Stopped() <-chan struct{} { return c.stopped }

// Err implements [store.Store].
func (c *committer) Err() error {
	select {
	case <-c.stopped:
	default:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// submit queues a commit. The caller holds the room's mu, which keeps the room's order.
func (c *committer) submit(p *pending) {
	c.waiting.Add(int64(p.size))
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.err == nil {
		p.err = c.err
	}
	if p.err == nil && c.closing {
		p.err = store.ErrClosed
	}
	if c.err != nil || c.drained {
		// Nobody takes from the queues any more, and all that was in them is decided.
		c.decide(&group{commits: []*pending{p}})
		return
	}
	if p.quick {
		c.quick = append(c.quick, p)
	} else {
		c.queue = append(c.queue, p)
	}
	c.work.Signal()
}

// decide hands a group to be answered. The caller holds mu.
func (c *committer) decide(g *group) {
	c.decided = append(c.decided, g)
	if !c.answering {
		c.answering = true
		go c.answerLoop()
	}
	c.answer.Signal()
}

// stop ends the store for good. It may be called from any goroutine, under any of the
// engine's locks, and does not wait.
func (c *committer) stop(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.cause = cause
	c.err = fmt.Errorf("%w: %w", store.ErrStopped, cause)
	c.s.fence.tripped.Store(true)
	g := &group{err: c.err}
	for _, f := range c.inflight {
		g.commits = append(g.commits, f.commits...)
	}
	g.commits = append(append(g.commits, c.quick...), c.queue...)
	c.inflight, c.quick, c.queue = nil, nil, nil
	c.decide(g)
	close(c.stopped)
	c.work.Broadcast()
	if c.relaxed != nil {
		c.relaxed.Stop()
	}
}

// commitLoop writes one group after the other.
func (c *committer) commitLoop() {
	defer close(c.sync)
	for {
		quick, slow := c.take()
		if quick == nil && slow == nil {
			return
		}
		// A room's quick commits come before its slow ones.
		if quick != nil && !c.write(quick, false) || slow != nil && !c.write(slow, true) {
			return
		}
	}
}

// take waits for the next groups. It returns none when the store is closed or stopped.
func (c *committer) take() (quick, slow *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.err != nil {
			return nil, nil
		}
		if len(c.quick) > 0 {
			quick = &group{}
			// All of them: a slow commit of the same room must not be written before.
			quick.commits, c.quick = c.quick, nil
			c.inflight = append(c.inflight, quick)
		}
		if (len(c.queue) > 0 || c.flush) && !c.syncing {
			slow = &group{}
			slow.commits, c.queue = c.split(c.queue)
			c.inflight = append(c.inflight, slow)
			slow.flush = c.flush
			c.syncing, c.flush = true, false
		}
		if quick != nil || slow != nil {
			return quick, slow
		}
		if c.closing && !c.syncing {
			c.drained = true
			c.answer.Broadcast()
			c.idle.Broadcast()
			if c.relaxed != nil {
				c.relaxed.Stop()
			}
			return nil, nil
		}
		c.work.Wait()
	}
}

// split takes as many commits as fit one group.
func (c *committer) split(q []*pending) (taken, rest []*pending) {
	size := 0
	for i, p := range q {
		size += p.size
		if i > 0 && size > c.s.opts.GroupBytes {
			return slices.Clone(q[:i]), slices.Clone(q[i:])
		}
	}
	return q, nil
}

// gather puts a group's commits into one batch.
func (c *committer) gather(g *group) error {
	for i, p := range g.commits {
		if p.err != nil {
			continue
		}
		if c.s.opts.Fault != nil {
			if err := p.judge(c.s.opts.Fault); err != nil {
				if g.faults == nil {
					g.faults = make([]error, len(g.commits))
				}
				g.faults[i] = err
				continue
			}
		}
		if p.batch == nil {
			continue
		}
		g.written++
		if g.batch == nil {
			g.batch = p.batch
			continue
		}
		if err := g.batch.Apply(p.batch, nil); err != nil {
			return err
		}
		_ = p.batch.Close()
	}
	return nil
}

// write hands a group to the engine, which shows it to readers at once. It reports
// whether the committer goes on.
func (c *committer) write(g *group, sync bool) bool {
	err := c.gather(g)
	if err == nil && g.batch == nil {
		if !g.flush {
			c.settle(g, sync)
			return true
		}
		g.batch = c.s.db.NewBatch()
		err = g.batch.LogData(nil, nil)
	}
	g.began = time.Now()
	switch {
	case err != nil:
	case sync:
		// Apply would end the process if the log cannot be synced.
		err = c.s.db.ApplyNoSyncWait(g.batch, engine.Sync)
	default:
		err = c.s.db.Apply(g.batch, engine.NoSync)
	}
	if err != nil {
		c.stop(fmt.Errorf("writing a group: %w", err))
		return false
	}
	c.remind(sync)
	if sync {
		c.sync <- g
		return true
	}
	c.s.count(g, false)
	c.settle(g, false)
	return true
}

// remind sees to it that relaxed commits reach the disk within a bounded time.
func (c *committer) remind(sync bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case sync && c.relaxed != nil:
		c.relaxed.Stop() // this fsync takes them along
		c.relaxed = nil
	case !sync && c.relaxed == nil && c.err == nil:
		c.relaxed = time.AfterFunc(c.s.opts.RelaxedSync, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.flush = true
			c.work.Signal()
		})
	}
}

// syncLoop waits for the fsync of one group after the other.
func (c *committer) syncLoop() {
	for {
		var g *group
		select {
		case g = <-c.sync:
		case <-c.stopped: // commitLoop may be parked in the engine
		}
		if g == nil {
			return
		}
		if err := g.batch.SyncWait(); err != nil {
			c.stop(fmt.Errorf("syncing the log: %w", err))
			return
		}
		c.s.count(g, true)
		c.settle(g, true)
	}
}

// settle decides a group that is as durable as it was asked to be. slow says that it
// held the place of the one fsync.
func (c *committer) settle(g *group, slow bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slow {
		c.syncing = false
		c.work.Signal()
	}
	if c.err != nil {
		return // stop has decided it
	}
	c.inflight = slices.DeleteFunc(c.inflight, func(f *group) bool { return f == g })
	c.decide(g)
}

// answerLoop calls the done functions. It ends when the store is closed; a commit that
// comes later starts it again.
func (c *committer) answerLoop() {
	for {
		c.mu.Lock()
		for len(c.decided) == 0 {
			if c.closing && (c.err != nil || c.drained) {
				c.answering = false
				c.idle.Broadcast()
				c.mu.Unlock()
				return
			}
			c.answer.Wait()
		}
		groups := c.decided
		c.decided = nil
		c.mu.Unlock()
		for _, g := range groups {
			for i, p := range g.commits {
				err := p.err
				if err == nil && g.faults != nil {
					err = g.faults[i]
				}
				if err == nil {
					err = g.err
				}
				c.reply(p, err)
			}
			if g.batch != nil {
				_ = g.batch.Close()
			}
		}
	}
}

func (c *committer) reply(p *pending, err error) {
	if err != nil {
		err = &store.Error{Op: "commit", Room: p.room.id, Err: err}
	}
	p.room.settle(p, err)
	c.s.answered(p, err)
	c.waiting.Add(-int64(p.size))
	p.done(err)
}

// finish waits until everything that was submitted is answered. It reports false if it
// was called before.
func (c *committer) finish() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.closing
	c.closing = true
	c.work.Broadcast()
	c.answer.Broadcast()
	for c.answering || c.err == nil && !c.drained {
		c.idle.Wait()
	}
	return !again
}
