package main

import (
	"context"
	"fmt"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime"
)

// guest measures one publish in a room, from the bytes of a batch to the bytes of its effects,
// and beside it the emptiest turn there is.
func guest(ctx context.Context, binary []byte) error {
	r, err := runtime.New(ctx, runtime.Options{})
	if err != nil {
		return err
	}
	defer r.Close(ctx)
	m, err := r.Load(ctx, binary)
	if err != nil {
		return err
	}
	c, err := newChat(ctx, m, "publish", 4)
	if err != nil {
		return err
	}
	const turns, warm = 20_000, 2_000
	clock := uint64(time.Now().UnixMilli())
	measure := func(name string, events func() []abi.Event) error {
		samples := make([]time.Duration, 0, turns)
		for i := range warm + turns {
			clock += 1000 // the room's clock, so that no rate limit is measured
			b := abi.Batch{Handle: handles.Load(), Time: clock, Events: events()}
			batch := abi.AppendBatch(nil, &b)
			began := time.Now()
			out, err := c.room.Turn(ctx, batch, &c.rows)
			took := time.Since(began)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			effects, err := abi.DecodeEffects(out)
			if err != nil {
				return err
			}
			c.rows.Apply(effects)
			if i >= warm {
				samples = append(samples, took)
			}
		}
		figure(name+"_p50", percentile(samples, 50), "us")
		figure(name+"_fuel", float64(c.room.Fuel()), "units")
		figure(name+"_p99", percentile(samples, 99), "us")
		return nil
	}
	// What a turn costs before the room's code has anything to do: the token, the swap, the copies.
	if err := measure("turn_empty", func() []abi.Event { return nil }); err != nil {
		return err
	}
	if err := measure("turn_tick", func() []abi.Event { return []abi.Event{&abi.TickEvent{}} }); err != nil {
		return err
	}
	if err := measure("turn_chat_publish", func() []abi.Event { return []abi.Event{c.next()} }); err != nil {
		return err
	}
	const together = 16
	return measure("turn_16_chat_publishes", func() []abi.Event {
		events := make([]abi.Event, together)
		for i := range events {
			events[i] = c.next()
		}
		return events
	})
}
