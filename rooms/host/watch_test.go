package host_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// asking answers each batch with effects, and writes down the events.
type asking struct {
	effects []abi.Effect
	heard   []string
}

func (a *asking) Turn(_ context.Context, batch []byte, _ host.Storage) ([]byte, error) {
	b, err := abi.DecodeBatch(batch)
	if err != nil {
		return nil, err
	}
	for _, e := range b.Events {
		switch e := e.(type) {
		case *abi.PresenceEvent:
			a.heard = append(a.heard, fmt.Sprint(e.Users))
		default:
			a.heard = append(a.heard, e.Type().String())
		}
	}
	return abi.AppendEffects(nil, a.effects), nil
}

func (a *asking) Sleep() {}

func (a *asking) words() string {
	s := strings.Join(a.heard, " ")
	a.heard = nil
	return s
}

func watches(from, to int, on bool) (list []abi.Effect) {
	for i := from; i < to; i++ {
		list = append(list, &abi.WatchEffect{User: fmt.Sprint("user", i), On: on})
	}
	return list
}

// TestWatches counts whom a room watches: at the limit, one past it, and from a start on.
func TestWatches(t *testing.T) {
	g := &asking{}
	handle := uint64(0)
	r := host.New(host.Config{
		Kind: abi.KindOptions{Name: "k"}.WithDefaults(), Name: "r", Guest: g, Now: time.Now,
		Seed: func(*[abi.SeedSize]byte) {}, Handle: func() uint64 { handle++; return handle },
	})
	run := func(effects []abi.Effect, events ...abi.Event) host.Result {
		g.effects = effects
		return r.Run(t.Context(), false, events)
	}
	tick := &abi.TickEvent{}
	for _, step := range []struct {
		effects []abi.Effect
		refused bool
		watches int
	}{
		{watches(0, abi.MaxWatches, true), false, abi.MaxWatches},
		{watches(0, abi.MaxWatches, true), false, abi.MaxWatches}, // again
		{append(watches(0, 1, false), watches(2000, 2001, true)...), false, abi.MaxWatches},
		{append(watches(0, abi.MaxWatches+1, true), watches(0, 1, false)...), true, 0}, // one too many in between
		{nil, false, 0}, // it started
		{watches(0, 2, false), false, 0},
		{watches(0, 2, true), false, 2},
	} {
		result := run(step.effects, tick)
		if refused := len(result.Rejections) == 1 || errors.Is(result.Err, abi.ErrLimit); refused != step.refused {
			t.Fatalf("refused %v: %+v", refused, result)
		}
		if !step.refused && r.Watches() != step.watches {
			t.Fatalf("%d are watched, want %d", r.Watches(), step.watches)
		}
	}
	g.words()

	// Of a presence event it hears what it has asked for; one that asks in its start, all of it.
	on := &abi.PresenceEvent{Users: []abi.UserPresence{{User: "user0", Online: true}, {User: "user7", Online: true}}}
	run(nil, on)
	run(nil, &abi.PresenceEvent{Users: []abi.UserPresence{{User: "user7"}}})
	if got := g.words(); got != "[{user0 true}]" {
		t.Errorf("heard %q", got)
	}
	r.Sleep()
	run(watches(7, 8, true), on)
	if got := g.words(); got != "start [{user0 true} {user7 true}]" || r.Watches() != 1 {
		t.Errorf("heard %q, watches %d", got, r.Watches())
	}

	notify := func(n int) (list []abi.Effect) {
		for range n {
			list = append(list, &abi.NotifyEffect{User: "u", Event: "e", Encoding: abi.Text})
		}
		return list
	}
	if result := run(notify(abi.MaxNotifies), tick); len(result.Turns) != 1 || len(result.Turns[0].Effects) != abi.MaxNotifies {
		t.Errorf("%+v", result)
	}
	if result := run(notify(abi.MaxNotifies+1), tick); len(result.Turns) != 0 {
		t.Errorf("%+v", result)
	}
	// What is said to a connection that is not there is not said.
	g.effects = nil
	g.words()
	run(nil, &abi.NotifiedEvent{Connection: 7, Event: "e", Encoding: abi.Text})
	run(nil, &abi.ConnectEvent{Connection: abi.Connection{ID: 7}}, &abi.NotifiedEvent{Connection: 7, Event: "e", Encoding: abi.Text})
	if got := g.words(); got != "start connect notified" && got != "connect notified" {
		t.Errorf("heard %q", got)
	}
	if result := run(nil, &abi.PresenceEvent{Users: make([]abi.UserPresence, 1)}); len(result.Rejections) != 1 || result.Rejections[0].Trap.Cause != host.CauseEvent {
		t.Errorf("%+v", result)
	}
}
