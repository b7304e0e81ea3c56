package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Membership is this node's place in the fleet, under one identity. Its methods may be called
// concurrently. It works in the background until it is lost or [Membership.Leave] is called.
type Membership struct {
	o     Options
	keys  keys
	id    string
	lease lease
	view  atomic.Pointer[View]

	// turn holds a token for whoever speaks to Redis for this identity: answers are then applied in
	// the order in which they were made. It guards self and highest's rising.
	turn    chan struct{}
	self    Member // guarded by turn
	highest atomic.Uint64

	extended chan struct{} // a renewal succeeded; has room for one
	once     sync.Once     // guards cause and the closing of lost
	cause    error
	lost     chan struct{}
	stop     context.CancelFunc
	stopped  context.Context // ends with the membership
	work     sync.WaitGroup
}

// Join makes this process a node of the fleet. It asks Redis once: if that fails, the node is not
// a member (a lease whose answer was lost ends by itself), and Join may be called again.
// The context is for the call only. Errors are of type [*Error].
func Join(ctx context.Context, o Options) (*Membership, error) {
	fail := func(err error) (*Membership, error) {
		return nil, &Error{Op: "join", Node: o.Address, Err: err}
	}
	o, err := o.withDefaults()
	if err != nil {
		return fail(err)
	}
	k, err := newKeys(o.Prefix)
	if err != nil {
		return fail(err)
	}
	self := Member{Address: o.Address, Weight: o.Weight, Meta: o.Meta}
	rec, err := self.encode()
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrOptions, err))
	}
	m := &Membership{
		o: o, keys: k, lease: lease{now: o.Now, length: o.Lease}, turn: make(chan struct{}, 1),
		extended: make(chan struct{}, 1), lost: make(chan struct{}),
	}
	sent := o.Now()
	reply, err := k.run(ctx, o.Redis, joinScript, o.Address, rec, o.Lease.Milliseconds(), o.Above, MaxMembers)
	if err != nil {
		return fail(err)
	}
	list, ok := reply.([]any)
	if ok && len(list) == 0 {
		return fail(ErrFull)
	}
	if len(list) == 3 {
		return fail(misfit(list, o.Meta))
	}
	if len(list) != 2 {
		return fail(fmt.Errorf("%w: answer of a script", ErrFormat))
	}
	self.ID, _ = list[0].(string)
	if _, self.Generation, err = ParseID(self.ID); err != nil {
		return fail(err)
	}
	a, err := decodeView(list[1])
	if err != nil {
		return fail(err)
	}
	m.id, m.self = self.ID, self
	m.lease.hard.Store(int64(sent + part(o.Lease, hardPart)))
	if s, _ := m.lease.state(); s == Over {
		return fail(ErrExpired)
	}
	m.apply(a)

	m.stopped, m.stop = context.WithCancel(context.Background())
	m.work.Go(m.watch)
	m.work.Go(func() { m.renew(sent, a.first) })
	return m, nil
}

// Self returns this node as the others see it.
func (m *Membership) Self() Member {
	if self, ok := m.view.Load().Member(m.id); ok {
		return self
	}
	return m.joined()
}

// joined is what Self was at the join: it is missing in a view only if Redis lost it.
func (m *Membership) joined() Member {
	address, generation, _ := ParseID(m.id)
	return Member{ID: m.id, Address: address, Generation: generation, Weight: m.o.Weight, Meta: m.o.Meta}
}

// View returns the newest view, never nil. It stays the last one when the membership is lost.
func (m *Membership) View() *View { return m.view.Load() }

// Highest returns the highest generation ever seen in a view: see [Options.Above].
func (m *Membership) Highest() uint64 { return m.highest.Load() }

// Certain reports whether this identity cannot be dead yet: nobody else can have taken over what it
// owns. Once it was false it is false for ever, and Lost is closed. It costs one system call.
func (m *Membership) Certain() bool { return m.State() != Over }

// State returns how sure this node is of its lease, now.
func (m *Membership) State() State {
	s, _ := m.lease.state()
	if s == Over {
		m.end(ErrExpired)
	}
	return s
}

// Lost is closed when the identity is over: the node must let go of everything it owns. It happens before the
// lease can end at Redis, unless Redis lost it, or the node has left.
func (m *Membership) Lost() <-chan struct{} { return m.lost }

// Cause returns why the membership is lost: [ErrExpired], [ErrGone] or [ErrLeft]; nil if it is not.
func (m *Membership) Cause() error {
	select {
	case <-m.lost:
		return m.cause
	default:
		return nil
	}
}

// end makes the membership lost, for the first cause given.
func (m *Membership) end(cause error) {
	m.once.Do(func() {
		m.lease.end()
		m.cause = cause
		close(m.lost)
		m.stop()
	})
}

// Alive asks Redis whether an identity lives. False is for ever: a lease found ended is removed in the
// same step. Errors are of type [*Error] and say nothing about the identity.
func (m *Membership) Alive(ctx context.Context, id string) (bool, error) {
	reply, err := m.keys.run(ctx, m.o.Redis, aliveScript, id)
	if n, ok := reply.(int64); err == nil && ok {
		return n == 1, nil
	} else if err == nil {
		err = fmt.Errorf("%w: answer of a script", ErrFormat)
	}
	return false, &Error{Op: "alive", Node: id, Err: err}
}

// Refresh renews the lease and returns the view as it is at Redis now.
func (m *Membership) Refresh(ctx context.Context) (*View, error) {
	if _, err := m.ask(ctx, false); err != nil {
		return nil, &Error{Op: "renew", Node: m.id, Err: err}
	}
	return m.View(), nil
}

// Drain asks the others to leave this node out of the ring. It stays alive and keeps what it owns
// until it hands it over.
func (m *Membership) Drain(ctx context.Context) error {
	if _, err := m.ask(ctx, true); err != nil {
		return &Error{Op: "drain", Node: m.id, Err: err}
	}
	return nil
}

// Leave ends the membership and tells Redis, so that nobody has to wait for the lease. The node must have let
// go of what it owns. The membership is over also if Leave fails, and also if it was before; it is called
// at most once.
func (m *Membership) Leave(ctx context.Context) error {
	m.end(ErrLeft)
	m.work.Wait()
	if _, err := m.keys.run(ctx, m.o.Redis, leaveScript, m.id); err != nil {
		return &Error{Op: "leave", Node: m.id, Err: err}
	}
	return nil
}

// ask renews the lease, says that the node drains if that is new, and applies the answer. It returns
// how long it is until the first lease of all may end.
func (m *Membership) ask(ctx context.Context, drain bool) (first time.Duration, err error) {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-m.turn }()
	if !m.Certain() {
		return 0, m.Cause()
	}
	rec, self := "", m.self
	if drain && !self.Draining {
		self.Draining = true
		if rec, err = self.encode(); err != nil {
			return 0, err
		}
	}
	sent := m.o.Now()
	reply, err := m.keys.run(ctx, m.o.Redis, renewScript, m.id, m.o.Lease.Milliseconds(), m.View().tag, rec)
	if err != nil {
		return 0, err
	}
	if list, ok := reply.([]any); ok && len(list) == 0 {
		m.end(ErrGone)
		return 0, ErrGone
	}
	a, err := decodeView(reply)
	if err != nil {
		return 0, err
	}
	if !m.lease.extend(sent) {
		m.end(ErrExpired)
		return 0, m.Cause()
	}
	select {
	case m.extended <- struct{}{}:
	default:
	}
	m.self = self
	m.apply(a)
	return a.first, nil
}

// apply makes a view of an answer.
func (m *Membership) apply(a answer) {
	if !a.full {
		return
	}
	for _, err := range a.strange {
		m.o.Log.Warn("a node is left out of the view", "err", err)
	}
	old := m.view.Load()
	next := old.next(a.version, a.tag, a.members)
	for _, n := range next.Members {
		m.highest.Store(max(m.highest.Load(), n.Generation))
	}
	m.view.Store(next)
	if old != nil {
		close(old.superseded)
	}
}

// watch tells of doubt, and of the end when it comes by time.
func (m *Membership) watch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	doubtful := false
	for {
		s, left := m.lease.state()
		if s == Over {
			m.end(ErrExpired)
			m.o.Log.Log(context.Background(), level(m.Cause()), "membership over", "node", m.id, "cause", m.Cause())
			return
		}
		if d := s == Doubtful; d != doubtful {
			if doubtful = d; d {
				m.o.Log.Warn("the lease is in doubt", "node", m.id, "left", left)
			} else {
				m.o.Log.Info("the lease is renewed", "node", m.id)
			}
			if m.o.Doubt != nil {
				m.o.Doubt(d)
			}
		}
		timer.Reset(left)
		select {
		case <-timer.C:
		case <-m.extended:
		case <-m.stopped.Done():
		}
	}
}

// breath is the least time between two questions that nobody waits for.
const breath = 5 * time.Millisecond

// renew keeps the lease and the view new.
func (m *Membership) renew(sent, first time.Duration) {
	push, changes := m.keys.subscribe(m.o.Redis)
	defer func() {
		_ = push.Close()
		for range changes { // lets its sender go
		}
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := m.due(sent, first)
	failing := false
	for {
		timer.Reset(max(0, due-m.o.Now()))
		select {
		case <-timer.C:
		case <-changes:
			// All nodes hear of it at the same moment; in a large fleet they spread their questions.
			spread := time.Duration(len(m.View().Members)) * 200 * time.Microsecond
			due = min(due, max(m.o.Now()+rand.N(spread+1), sent+breath))
			continue
		case <-m.stopped.Done():
			return
		}
		sent = m.o.Now()
		ctx, cancel := context.WithTimeout(m.stopped, part(m.o.Lease, renewPart))
		first, err := m.ask(ctx, false)
		cancel()
		switch {
		case m.stopped.Err() != nil:
			return
		case err != nil:
			if !failing {
				m.o.Log.Warn("renewing the lease fails", "node", m.id, "err", err)
			}
			failing = true
			due = m.o.Now() + part(m.o.Lease, retryPart)
		default:
			failing = false
			due = m.due(sent, first)
		}
	}
}

// due returns when to ask again: when the lease wants it, or right after another node's would end. A fleet in
// order never gets that far, so this costs nothing and finds the dead at once.
func (m *Membership) due(sent, first time.Duration) time.Duration {
	own := part(m.o.Lease, renewPart)
	own -= rand.N(own/10 + 1)
	return min(sent+own, m.o.Now()+first+breath+rand.N(20*time.Millisecond))
}

// level is how loud the end of a membership is.
func level(cause error) slog.Level {
	if errors.Is(cause, ErrLeft) {
		return slog.LevelInfo
	}
	return slog.LevelError
}
