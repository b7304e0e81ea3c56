package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
)

const (
	moveRooms  = 120
	moveKills  = 2
	moveDrains = 8
	// The rooms of the node that is killed and drained are published to at the rate that the kind takes,
	// the others to be there: the machine has the clients too.
	paceOften  = 20 * time.Millisecond
	paceSeldom = time.Second
)

// moves measures how long publishing in a room stands still when its owner is killed, drained, or comes back.
// Two nodes have the clients, one to a room, and the third is killed and drained. A pause is the longest time
// between two answers, so the pace is a part of it, and so is whatever else the machine does.
func moves(ctx context.Context, f *fleet) error {
	ctx, stop := context.WithCancel(ctx)
	var beating sync.WaitGroup
	defer beating.Wait()
	defer stop()
	last := len(f.nodes) - 1
	victim := f.nodes[last]
	rooms := make([]*pulse, moveRooms)
	for i := range rooms {
		p := &pulse{room: fmt.Sprint("moving-", i)}
		var err error
		if p.client, err = f.client(ctx, f.nodes[i%last], "ann", p.room); err != nil {
			return err
		}
		defer p.client.Abandon()
		p.pace.Store(int64(paceSeldom))
		rooms[i] = p
		beating.Go(func() { p.beat(ctx) })
	}
	time.Sleep(time.Second)
	var owned []*pulse
	for _, p := range rooms {
		m, err := f.owner(ctx, p.room)
		if err != nil {
			return err
		}
		if m == victim { // the ring gives it the same ones whenever it is back
			owned = append(owned, p)
			p.pace.Store(int64(paceOften))
		}
	}
	// pauses returns the longest pause of each room that moves since the last call.
	pauses := func() (all []time.Duration) {
		for _, p := range owned {
			all = append(all, p.longest())
		}
		return all
	}
	back := func() error {
		if err := f.start(victim); err != nil {
			return err
		}
		if err := f.whole(ctx); err != nil {
			return err
		}
		time.Sleep(time.Second)
		return nil
	}

	time.Sleep(2 * paceSeldom)
	pauses()
	time.Sleep(2 * time.Second)
	still := pauses()
	figure("moving_rooms", float64(len(owned)), "rooms")
	figure("moving_rooms_publishes", float64(len(owned))*float64(time.Second/paceOften), "messages/s")
	figure("pause_in_2s_of_nothing_p50", percentile(still, 50)/1000, "ms")
	figure("pause_in_2s_of_nothing_p99", percentile(still, 99)/1000, "ms")

	var drained, joined, killed []time.Duration
	for range moveDrains {
		pauses()
		if err := victim.stop(syscall.SIGTERM); err != nil {
			return fmt.Errorf("a node that drains: %w", err)
		}
		time.Sleep(200 * time.Millisecond)
		drained = append(drained, pauses()...)
		if err := back(); err != nil {
			return err
		}
		joined = append(joined, pauses()...)
	}
	figure("drained_pause_p50", percentile(drained, 50)/1000, "ms")
	figure("drained_pause_p99", percentile(drained, 99)/1000, "ms")
	figure("joined_pause_p50", percentile(joined, 50)/1000, "ms")
	figure("joined_pause_p99", percentile(joined, 99)/1000, "ms")
	for range moveKills {
		pauses()
		began := time.Now()
		if err := victim.stop(os.Kill); err != nil {
			return err
		}
		for _, p := range owned {
			if err := p.since(ctx, began); err != nil {
				return err
			}
		}
		killed = append(killed, pauses()...)
		if err := back(); err != nil {
			return err
		}
	}
	figure("killed_pause_p50", percentile(killed, 50)/1000, "ms")
	figure("killed_pause_longest", percentile(killed, 100)/1000, "ms")
	stop()
	beating.Wait()
	for _, p := range rooms {
		if err := p.failed.Load(); err != nil {
			return fmt.Errorf("a publish in %s: %w", p.room, *err)
		}
	}
	return nil
}

// A pulse is one room that is published to all the time, each message after the answer to the one before.
type pulse struct {
	room   string
	client *client.Client
	pace   atomic.Int64
	failed atomic.Pointer[error]

	mu       sync.Mutex    // guards the fields below
	worst    time.Duration // since longest was called
	answered time.Time     // the last time
	sent     time.Time     // of the last message that was answered
}

func (p *pulse) beat(ctx context.Context) {
	p.answered = time.Now()
	for ctx.Err() == nil {
		sent := time.Now()
		_, err := p.client.Publish(ctx, "message", message)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.failed.Store(&err)
			return
		}
		now := time.Now()
		p.mu.Lock()
		p.worst, p.answered, p.sent = max(p.worst, now.Sub(p.answered)), now, sent
		p.mu.Unlock()
		time.Sleep(time.Duration(p.pace.Load()) - now.Sub(sent))
	}
}

// longest returns the longest time between two answers since the last call.
func (p *pulse) longest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.worst
	p.worst = 0
	return d
}

// since waits until a message is answered that was sent after a time.
func (p *pulse) since(ctx context.Context, t time.Time) error {
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		ok := p.sent.After(t)
		p.mu.Unlock()
		switch {
		case ok:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case p.failed.Load() != nil:
			return *p.failed.Load()
		case time.Now().After(until):
			return fmt.Errorf("%s is silent", p.room)
		}
	}
}
