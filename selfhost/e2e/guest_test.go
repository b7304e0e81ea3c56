package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// turnBudget is the one that the servers of this file are given. It is counted in fuel; a turn whose
// instructions are slower than that supposes ends when it has computed for a third longer.
const (
	turnBudget = 20 * time.Millisecond
	longest    = turnBudget * 4 / 3
)

// troubles are what the desk does when it is told to: none of it may have an effect, or cost
// anybody else more than one turn.
var troubles = []string{
	"panic", "nil", "loop", "recurse", "hoard", "absurd", "exit", "sleep", "block", "deadlock",
	"goroutine", "busy-goroutine", "value", "key", "message", "flood", "log", "print", "attach",
}

// TestHostileGuests: whatever a room does, its turn has no effect, the room is back, its
// connections stay, and a neighbor's acks come as they did before.
func TestHostileGuests(t *testing.T) {
	trouble, err := module("trouble", "./testdata/trouble")
	if err != nil {
		t.Fatal(err)
	}
	// One worker, which a room may have for itself: the neighbor has to wait for it.
	n := newNode(t, "--module", trouble, "--module", built.kinds, "--turn-budget", turnBudget.String(),
		"--memory-per-room", "16MiB", "--room-budget", "1s", "--workers", "1")
	p := n.start()

	t.Run("start", func(t *testing.T) { // a room that cannot start
		c := dialRaw(t, n, "start/room", "ann")
		if code, _ := c.closed(); code.String() != "room_unavailable" {
			t.Errorf("closed with %v", code)
		}
	})

	victim := dialRaw(t, n, "desk/room", "victim")
	culprit := dialRaw(t, n, "desk/room", "culprit")
	count := func(want int, tag string) {
		t.Helper()
		victim.send("count " + tag)
		// Anything that a failed turn had said would come before.
		_, b, err := victim.ws.Read(limited(t))
		if err != nil {
			t.Fatalf("%s: the victim's connection: %v", tag, err)
		}
		if got := string(b); got != fmt.Sprintf("count %d%s", want, tag) {
			t.Fatalf("%s: the victim got %.80q, want %d", tag, got, want)
		}
	}
	counted := 0
	traps := func() float64 { return trapsOf(t, n, p) }
	for _, command := range troubles {
		t.Run(command, func(t *testing.T) {
			before := traps()
			counted++
			count(counted, "before "+command)
			culprit.send(command)
			counted++
			count(counted, "after "+command)
			// The culprit's connection stays too, and it heard nothing of the turn.
			culprit.send("count culprit")
			counted++
			if _, b, err := culprit.ws.Read(limited(t)); err != nil || string(b) != fmt.Sprintf("count %dculprit", counted) {
				t.Errorf("the culprit got %.80q, %v", b, err)
			}
			if traps() <= before {
				t.Error("no trap is counted")
			}
		})
	}

	t.Run("neighbor", func(t *testing.T) {
		// The neighbor is a durable chat-like room; the culprit does its worst the whole time.
		c := n.client("journal/neighbor", "neighbor")
		ready(t, c)
		// measure returns how long publishes take up to their acks, at the 99th percentile. While a
		// thread of the server or of this test waits for a core, somebody else has it: that is the
		// machine's, and is taken off.
		measure := func() (p99, raw time.Duration) {
			t.Helper()
			var cleaned, all []time.Duration
			for len(all) < 120 {
				began, delayed := time.Now(), runDelay(p.cmd.Process.Pid)+runDelay(os.Getpid())
				if _, err := c.Publish(limited(t), "message", protocol.JSONPayload("1")); err != nil {
					t.Fatal(err)
				}
				took := time.Since(began)
				all = append(all, took)
				delayed = runDelay(p.cmd.Process.Pid) + runDelay(os.Getpid()) - delayed
				cleaned = append(cleaned, max(0, took-max(0, delayed)))
			}
			slices.Sort(cleaned)
			slices.Sort(all)
			return percentile(cleaned, 99), percentile(all, 99)
		}
		measure() // warm
		measured := troubles
		if testing.Short() {
			measured = []string{"panic", "loop", "hoard", "recurse", "flood"}
		}
		for _, command := range measured {
			for attempt := 1; ; attempt++ { // a disk can be slow for a while
				calm, calmRaw := measure()
				before := traps()
				stop := misbehave(t, culprit, command)
				stormy, stormyRaw := measure()
				stop()
				failed := traps() - before
				// Beside the turn there are the trap, the room's new start, and its commits.
				allowed := calm + slowly(longest+5*time.Millisecond)
				t.Logf("%s: p99 %v (%v with the machine's delays), calm %v (%v), allowed %v; %v turns failed", command, stormy, stormyRaw, calm, calmRaw, allowed, failed)
				if failed < 5 {
					t.Errorf("%s: only %v turns failed meanwhile", command, failed)
				}
				culprit = dialRaw(t, n, "desk/room", "culprit")
				culprit.send("count") // its answer comes when the storm is over
				if _, _, err := culprit.ws.Read(limited(t)); err != nil {
					t.Fatal(err)
				}
				if stormy <= allowed {
					break
				}
				if attempt == 3 {
					t.Errorf("%s: the neighbor's p99 is %v, calm %v, allowed %v", command, stormy, calm, allowed)
					break
				}
			}
		}
		if c.State().Phase != client.Open {
			t.Error("the neighbor was disconnected")
		}
	})
	for _, c := range []*rawClient{victim, culprit} {
		c.ws.CloseNow()
	}
}

// misbehave lets a room do its worst, again and again, until the returned function is called. The
// client is of no use afterwards.
func misbehave(t *testing.T, culprit *rawClient, command string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			// The answer to count comes behind the failed turn: one at a time.
			if culprit.ws.Write(ctx, websocket.MessageText, []byte(command)) != nil ||
				culprit.ws.Write(ctx, websocket.MessageText, []byte("count")) != nil {
				return
			}
			if _, _, err := culprit.ws.Read(ctx); err != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// slowly returns what a time is on this machine, if it is slower than the one on which budgets were
// measured: a turn's fuel is the same everywhere.
func slowly(d time.Duration) time.Duration {
	const passes, usual = 20_000, 31 * time.Microsecond
	best := time.Hour
	for range 20 {
		began := time.Now()
		a, b, c, e := uint64(began.UnixNano()), uint64(1), uint64(2), uint64(3)
		for range passes {
			a ^= a << 13
			b ^= b << 13
			c += c>>7 ^ b
			e += e>>7 ^ a
			a ^= a >> 17
			b ^= b >> 17
			c ^= c << 5
			e ^= e << 5
		}
		best = min(best, time.Since(began))
		runtime.KeepAlive(a + b + c + e)
	}
	return max(d, time.Duration(float64(d)*float64(best)/float64(usual)))
}

// runDelay returns how long the threads of a process have waited for a core, all together, where the
// system says so: the second number of Linux's schedstat.
func runDelay(pid int) time.Duration {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	sum := time.Duration(0)
	for _, task := range tasks {
		var ran, waited int64
		if b, err := os.ReadFile(task); err == nil { // the thread may have ended
			_, _ = fmt.Sscan(string(b), &ran, &waited)
		}
		sum += time.Duration(waited)
	}
	return sum
}

// TestRoomBudget: a room that burns whole turns, one after the other, gets its share of a worker.
func TestRoomBudget(t *testing.T) {
	trouble, err := module("trouble", "./testdata/trouble")
	if err != nil {
		t.Fatal(err)
	}
	const share = 10 // turns in a second
	n := newNode(t, "--module", trouble, "--turn-budget", turnBudget.String(), "--room-budget", (share * turnBudget).String())
	p := n.start()
	culprit := dialRaw(t, n, "desk/room", "culprit")
	began := time.Now()
	const turns = 4 * share // more than it gets at once
	for range turns {
		culprit.send("loop")
		culprit.send("count") // its answer comes behind the failed turn
		if _, _, err := culprit.ws.Read(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	if n := trapsOf(t, n, p); n != turns {
		t.Errorf("%v turns failed, want %d", n, turns)
	}
	// It begins with a second's share, and its last turn may be more than what is left.
	if most := share*(1+took.Seconds()) + 2; turns > most {
		t.Errorf("%v whole turns in %v, its share is %v", turns, took, most)
	}
	culprit.ws.CloseNow()
}

// trapsOf returns how many turns have trapped.
func trapsOf(t *testing.T, n *node, p *process) float64 {
	_, body := n.get(p.metrics + "/metrics")
	values, _ := prometheus(t, body)
	sum := 0.0
	for name, v := range values {
		if strings.HasPrefix(name, "oriel_traps_total") {
			sum += v
		}
	}
	return sum
}
