package client

import (
	"context"
	"time"
)

// Phase is what a client does at the moment.
type Phase string

// The phases.
const (
	Connecting Phase = "connecting" // asks for a credential, dials, says hello; or says hello anew
	Open       Phase = "open"       // welcomed
	Waiting    Phase = "waiting"    // for the next attempt
	Closed     Phase = "closed"     // for good
)

// A State is what a client does, and why.
type State struct {
	Phase Phase
	// Until is when the next attempt begins, when Waiting.
	Until time.Time
	// Err is why the last connection ended or the last attempt failed, when Waiting or Closed.
	Err error
}

// State returns what the client does now.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Ready waits until the client is open. The error is ctx's, or says why it closed for good.
func (c *Client) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		state, changed := c.state, c.changed
		c.mu.Unlock()
		switch state.Phase {
		case Open:
			return nil
		case Closed:
			return state.Err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// become changes the state together with what belongs to it, and tells the user.
func (c *Client) become(s State, with func()) {
	c.mu.Lock()
	if with != nil {
		with()
	}
	c.state = s
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	if c.o.State != nil {
		c.o.State(s)
	}
}
