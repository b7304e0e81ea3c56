package scheduler_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
)

// stillborn is a room that does not start.
type stillborn struct{ starts *atomic.Int64 }

func (s stillborn) Start(*rooms.Room) { s.starts.Add(1); panic("no") }

// TestARoomThatDoesNotStartBacksOff: clients that come back at once do not make it start again
// and again, also when none is left in between.
func TestARoomThatDoesNotStartBacksOff(t *testing.T) {
	var starts atomic.Int64
	m := &rooms.Module{}
	m.Register("stillborn", func() rooms.Kind { return stillborn{&starts} }, rooms.Options{})
	now := time.Now() // it stands still: a slow machine must not outlast the back-off
	n := openWith(t, natives{m}, memory(t, nil), func(o *scheduler.Options) { o.Now = func() time.Time { return now } })
	for range 20 {
		c := n.dial("stillborn", "one", "ann")
		_, _, err := c.ws.Read(deadline(t))
		if code := abi.Code(websocket.CloseStatus(err)); code != abi.CodeRoomUnavailable {
			t.Fatalf("closed with %v: %v", code, err)
		}
		if abi.RetryHint(reason(err)) <= 0 {
			t.Fatalf("no delay is suggested: %v", err)
		}
	}
	first := starts.Load()
	if first > 3 { // a start is tried again once for its own sake, see rooms/host
		t.Errorf("20 clients made it start %d times", first)
	}
}

func reason(err error) string {
	var e websocket.CloseError
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}
