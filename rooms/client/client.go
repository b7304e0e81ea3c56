package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A Client keeps one room open. Its methods may be called concurrently.
type Client struct {
	o      Options
	ctx    context.Context // ends with the client
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // tells the writer that there is something to write
	nudge  chan struct{} // ends the wait between attempts

	mu        sync.Mutex // guards the fields below
	state     State
	changed   chan struct{} // closed and replaced at each change of state
	place     Place
	queue     queue
	link      *conn // that is open, or nil
	requests  map[uint64]chan<- answer
	requestID uint64
	outbox    [][]byte // requests and signals for link
	leaving   bool     // Close was called: the session ends with 1000
}

// New starts a client. The error wraps [ErrOptions]; that a server cannot be reached is no
// error: the client tries again.
func New(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{
		o: o, done: make(chan struct{}), state: State{Phase: Connecting}, changed: make(chan struct{}),
		place: o.Resume, requests: make(map[uint64]chan<- answer),
		wake: make(chan struct{}, 1), nudge: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	go c.run()
	return c, nil
}

// Close ends the session: the room forgets it, and publishes that have no answer yet fail. It
// returns when the connection is closed, after [Options.CloseTimeout] at the latest.
func (c *Client) Close() {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	c.cancel()
	<-c.done
}

// Abandon ends the client without a word to the server, as a crash would: the session stays, and
// another client may go on with [Options.Resume] at [Client.Place].
func (c *Client) Abandon() {
	c.cancel()
	<-c.done
}

// Done is closed when the client has ended, by Close or because the server said that coming
// back is of no use.
func (c *Client) Done() <-chan struct{} { return c.done }

// Place returns the session and the place of the last event that the client has handled.
func (c *Client) Place() Place {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.place
}

// Reconnect ends the wait between two attempts, for a user who knows that the network is back.
// It does nothing in another phase.
func (c *Client) Reconnect() {
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}

// run connects again and again.
func (c *Client) run() {
	defer close(c.done)
	failures := 0
	for {
		c.become(State{Phase: Connecting}, nil)
		began := time.Now()
		welcomed, end := c.connect()
		if welcomed && time.Since(began) > stableAfter {
			failures = 0
		}
		if c.ctx.Err() != nil {
			c.end(ErrClosed)
			return
		}
		if c.final(end) {
			c.end(&StopError{Code: end.code, Reason: end.reason})
			return
		}
		wait := c.o.backoff(failures, end.retry)
		failures++
		if !c.wait(wait, end.err) {
			c.end(ErrClosed)
			return
		}
	}
}

// final reports whether coming back is of no use.
func (c *Client) final(e ending) bool {
	switch e.action() {
	case abi.ActionStop:
		return true
	case abi.ActionReauthenticate:
		return c.o.Credential == nil // there is no other to show
	}
	return false
}

// wait returns false if the client was closed meanwhile.
func (c *Client) wait(d time.Duration, why error) bool {
	select { // what was asked for in another phase
	case <-c.nudge:
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	c.become(State{Phase: Waiting, Until: time.Now().Add(d), Err: why}, nil)
	select {
	case <-t.C:
	case <-c.nudge:
	case <-c.ctx.Done():
		return false
	}
	return true
}

// end fails everything that waits.
func (c *Client) end(err error) {
	c.cancel()
	c.become(State{Phase: Closed, Err: err}, func() {
		c.queue.fail(err)
		c.dropRequests()
	})
}

// Publish publishes an event, exactly once as long as the session lives, and waits until it is
// durable. It may be called before the client is open. offset is 0 if the publish became no durable
// event.
//
// The error is a *[RoomError] if the room refused it, or would because it is larger than the
// room takes; [ErrOutcomeUnknown] if it may have happened or not; [ErrInvalid], [ErrQueueFull],
// or [ErrClosed]. When ctx ends, a publish that was never sent is taken back and the error is ctx's
// alone; one that was sent is of unknown outcome.
func (c *Client) Publish(ctx context.Context, event string, p protocol.Payload) (offset uint64, err error) {
	if err := check(event, p); err != nil {
		return 0, err
	}
	// It may stay in the queue when ctx has ended and the caller uses its bytes again.
	p.Data = slices.Clone(p.Data)
	item := &publish{event: event, payload: p, answered: make(chan struct{})}
	c.mu.Lock()
	if c.state.Phase == Closed {
		err := c.state.Err
		c.mu.Unlock()
		return 0, err
	}
	if !c.queue.push(item, c.o.QueueLength, c.o.QueueBytes) {
		c.mu.Unlock()
		return 0, ErrQueueFull
	}
	c.mu.Unlock()
	c.stir()
	select {
	case <-item.answered:
		return item.offset, item.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-item.answered:
		return item.offset, item.err
	default:
	}
	if c.queue.withdraw(item) {
		return 0, ctx.Err()
	}
	return 0, &unknown{ctx.Err()}
}

// check refuses what would come out as a message that no room can read.
func check(event string, p protocol.Payload) error {
	if !protocol.ValidEventName(event) {
		return &invalid{"the event's name is not 1 to 64 printable ASCII characters"}
	}
	if err := p.Valid(); err != nil {
		return &invalid{err.Error()}
	}
	return nil
}

// stir wakes the writer.
func (c *Client) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
