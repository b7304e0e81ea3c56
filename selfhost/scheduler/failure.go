package scheduler

import (
	"errors"
	"log/slog"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// failed deals with events that could not run.
func (r *room) failed(events []abi.Event, err error) {
	code := abi.CodeRoomUnavailable
	var trap *host.Trap
	switch {
	case errors.Is(err, host.ErrStart):
		r.s.stats.startFailures.Add(1)
	case errors.As(err, &trap) && trap.Cause == host.CauseStorage, errors.Is(err, store.ErrStopped):
		code = abi.CodeStorageUnavailable
	}
	wait := time.Second
	level := slog.LevelError
	switch {
	case errors.Is(err, host.ErrStart):
		wait <<= min(r.failures, 6)
		wait = min(wait, time.Minute)
		r.failures++
	case errors.Is(err, store.ErrStopped):
		level = slog.LevelDebug // the node says so once, for all its rooms
	}
	r.s.o.Log.Log(r.s.ctx, level, "the room does not run", "room", r.id.String(), "retry", wait.String(), "err", err)
	r.mu.Lock()
	now := r.s.o.Now()
	r.retryAt = now.Add(wait)
	if r.failures > 0 {
		r.forgetAt = r.retryAt.Add(wait)
	}
	r.mu.Unlock()
	r.fail(events, code, wait)
	if errors.Is(err, host.ErrStart) {
		r.submit(&host.Turn{Decision: true}, extra{evict: code, retry: wait})
	}
}

func (r *room) backingOff() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.retryAt.Sub(r.s.o.Now())
}

// fail answers events that did not happen: their senders may try again after wait.
func (r *room) fail(events []abi.Event, code abi.Code, wait time.Duration) {
	t := &host.Turn{Decision: true}
	for _, e := range events {
		switch e := e.(type) {
		case *abi.ConnectEvent:
			t.Effects = append(t.Effects, &abi.CloseEffect{Connection: e.Connection.ID, Code: code, Reason: abi.CloseReason(code, wait, "")})
		case *abi.MessageEvent:
			t.Effects = append(t.Effects, &abi.CloseEffect{Connection: e.Connection, Code: code, Reason: abi.CloseReason(code, wait, "")})
		case *abi.RequestEvent:
			r.answerRequest(e.ID, nil)
		case *abi.CloseEvent:
			r.closes = append(r.closes, e) // the room hears of it when it runs again
		case *abi.AlarmEvent:
			r.s.alarms.set(r.id, uint64(r.s.o.Now().Add(wait).UnixMilli()))
		case *abi.ToldEvent:
			r.forgetAck(e) // the sender's outbox still has it
			r.s.retryTold(r.id, e)
		case *abi.PresenceEvent:
			r.presenceLost(wait)
		}
	}
	if len(t.Effects) > 0 {
		r.submit(t, extra{})
	}
}

// rejected reports an event that made the room trap.
func (r *room) rejected(x host.Rejection) {
	r.s.stats.trap(x.Trap.Cause)
	r.logTrap(x)
	switch e := x.Event.(type) {
	case *abi.ToldEvent:
		// What is delivered at least once must not make the room trap in every life.
		r.submit(&host.Turn{Time: uint64(r.s.o.Now().UnixMilli())}, extra{kept: r.beside()})
		r.ack(e)
	case *abi.AlarmEvent:
		r.retryAlarm(e)
	case *abi.PresenceEvent:
		r.presenceLost(0)
	}
}

// trapLogEvery bounds what one room writes to the log: a client can make a room trap as often as
// it can send.
const trapLogEvery = time.Second

func (r *room) logTrap(x host.Rejection) {
	now := r.s.o.Now()
	if now.Sub(r.trapLogged) < trapLogEvery {
		r.trapsUnlogged++
		return
	}
	r.s.o.Log.Error("the room trapped", "room", r.id.String(), "event", x.Event.Type().String(), "cause", string(x.Trap.Cause),
		"trap", cut(x.Trap.Message, 2048), "unlogged", r.trapsUnlogged)
	r.trapLogged, r.trapsUnlogged = now, 0
}

// maxAlarmAttempts is how often an alarm that traps is tried, as Durable Objects do.
const maxAlarmAttempts = 6

// retryAlarm puts off an alarm that trapped, longer each time, and parks it in the end.
func (r *room) retryAlarm(e *abi.AlarmEvent) {
	r.attempt = e.Attempt + 1
	a := &store.Alarm{Scheduled: e.Scheduled, Attempt: r.attempt}
	if a.Attempt < maxAlarmAttempts {
		a.Due = uint64(r.s.o.Now().Add(2 * time.Second << e.Attempt).UnixMilli())
	} else {
		r.s.stats.alarmsParked.Add(1)
		r.s.o.Log.Error("the room's alarm is parked: it failed too often", "room", r.id.String(), "attempts", a.Attempt)
	}
	r.submit(&host.Turn{Time: uint64(r.s.o.Now().UnixMilli())}, extra{alarm: a})
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// refuse tells a connection that its connect turn never became durable.
func refuse(c *gateway.Connection, code abi.Code, wait time.Duration) {
	c.Close(code, abi.CloseReason(code, wait, ""))
}
