//go:build linux || darwin

package runtime_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/oriel-rooms/oriel/runtime"
)

// storm runs turns of hostile rooms, one after another in each, until the returned function is
// called. It returns when each room has had a turn. Rooms that are throttled wait as the
// scheduler of a server makes them wait.
func storm(t *testing.T, rooms []*runtime.Room, events []byte, throttled bool) (stop func() (turns int)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex // guards turns
	turns := 0
	var first, all sync.WaitGroup
	first.Add(len(rooms))
	for _, room := range rooms {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if throttled {
					select {
					case <-time.After(room.Throttle(time.Now())):
					case <-ctx.Done():
						return
					}
				}
				room.Turn(ctx, events, nil)
				mu.Lock()
				turns++
				mu.Unlock()
				if n == 0 {
					first.Done()
				}
			}
		})
	}
	first.Wait()
	return func() int {
		cancel()
		all.Wait()
		return turns
	}
}

// A neighbour is a room that does its work.
type neighbour struct{ room *runtime.Room }

// p99 runs turns for a while, at least so many, and returns how long one takes from asking for it to
// its end, at the 99th percentile: in computing time of the process, which always has a turn to
// compute while somebody waits, and in time. What else the machine does is in the second only.
//
// The neighbour pauses between its turns: if it asked for the next as soon as one ends, most
// would fit between two turns of the storm, and those that wait would be few, however long they do.
func (n neighbour) p99(t *testing.T, turns int, least time.Duration) (computing, wall time.Duration) {
	t.Helper()
	pause := time.NewTicker(time.Millisecond)
	defer pause.Stop()
	var computed, waited []time.Duration
	for first := time.Now(); len(waited) < turns || time.Since(first) < least; {
		<-pause.C
		began, cpu := time.Now(), processTime(t)
		if _, err := ask(n.room, nil, "count"); err != nil {
			t.Fatal(err)
		}
		waited, computed = append(waited, time.Since(began)), append(computed, processTime(t)-cpu)
	}
	return percentile(computed, 99), percentile(waited, 99)
}

// within compares calm and storm, three times if need be: the storm adds no more than one turn.
func (n neighbour) within(t *testing.T, rooms []*runtime.Room, events []byte, throttled bool) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		calm, _ := n.p99(t, 100, 0)
		stop := storm(t, rooms, events, throttled)
		stormy, wall := n.p99(t, 120, 500*time.Millisecond)
		turns := stop()
		// Beside the turn there are the trap, the memory that is given back, and the collector.
		allowed := calm + slowly(turnTime+4*time.Millisecond)
		t.Logf("p99 %v of computing (%v), calm %v, allowed %v; %d hostile turns", stormy, wall, calm, allowed, turns)
		switch {
		case turns < len(rooms)+3:
			t.Fatalf("%d hostile turns", turns)
		case stormy <= allowed:
			return
		case attempt == 3:
			t.Fatalf("p99 %v of computing, calm %v, allowed %v", stormy, calm, allowed)
		}
	}
}

// TestNeighbours measures a room beside one that does its worst, turn after turn without a pause,
// on one worker: the worst costs the neighbour no more than one turn of delay.
func TestNeighbours(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	r := newRuntime(t, runtime.Options{Workers: 1, MemoryLimit: 16 << 20})
	m := load(t, r, guest(t))
	n := neighbour{newRoom(t, m, "neighbour")}
	for _, command := range []string{
		"panic x", "loop", "empty-loop", "recurse", "hoard", "wild", "exit 1", "sleep 2", "deadlock", "noise", "far", "huge",
		"copy 1000000", "logs 100000000", goLike,
	} {
		t.Run(command, func(t *testing.T) {
			n.within(t, []*runtime.Room{newRoom(t, m, "worst")}, batch(command), false)
		})
	}
}

// TestManyNeighbours is TestNeighbours with many rooms that do their worst, as often as their
// buckets let them: together they want more than there is, and the neighbour still waits for the
// turn that has begun only.
func TestManyNeighbours(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	r := newRuntime(t, runtime.Options{Workers: 1})
	m := load(t, r, guest(t))
	n := neighbour{newRoom(t, m, "neighbour")}
	var worst []*runtime.Room
	for range 12 {
		room := newRoom(t, m, "worst")
		worst = append(worst, room)
		// Its first second's share is gone.
		for room.Throttle(time.Now()) == 0 {
			if _, err := ask(room, nil, "loop"); err == nil {
				t.Fatal("it ended")
			}
		}
	}
	n.within(t, worst, batch("loop"), true)
}

// TestShare: a room that burns all it gets, turn after turn, gets its share.
func TestShare(t *testing.T) {
	r := newRuntime(t, runtime.Options{TurnFuel: 16_000_000, FuelPerSecond: 160_000_000})
	room := newRoom(t, load(t, r, guest(t)), "room")
	now := time.Unix(1_790_000_000, 0)
	burnt := int64(0)
	const turns = 50
	began := now
	for range turns {
		now = now.Add(room.Throttle(now))
		if _, err := ask(room, nil, "loop"); err == nil {
			t.Fatal("it ended")
		}
		burnt += room.Fuel()
	}
	// A second's share is there at the beginning, and the last turn may take the bucket below zero.
	took := now.Sub(began)
	share := int64((took + time.Second).Seconds() * float64(r.Options().FuelPerSecond))
	if burnt > share+2*r.Options().TurnFuel || burnt < share {
		t.Errorf("it burnt %d in %v, its share is %d a second", burnt, took, r.Options().FuelPerSecond)
	}
}

// processTime returns the computing time of the process.
func processTime(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
		t.Skip(err)
	}
	return time.Duration(ts.Nano())
}
