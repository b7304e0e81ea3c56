//go:build unix

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

// tortureRounds is how many things are broken, one after the other.
func tortureRounds(t *testing.T) int {
	rounds := 14
	if testing.Short() {
		rounds = 5
	}
	if s := os.Getenv("ORIEL_TORTURE_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return rounds
}

// A harm is something that happens to a fleet, and is over when its function returns.
type harm struct {
	name string
	do   func(f *fleet, r *rand.Rand, i int)
}

// pause waits: how long a fault lasts is chance, and part of the test's seed.
func pause(r *rand.Rand, least, most time.Duration) {
	<-time.After(least + time.Duration(r.Int64N(int64(most-least))))
}

func harms(lease time.Duration) []harm {
	return []harm{
		{"kill -9", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].kill()
			pause(r, 0, 2*lease)
			f.nodes[i].node.start()
		}},
		{"stop and continue", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].process.signal(f.t, syscall.SIGSTOP)
			pause(r, lease/4, 3*lease)
			f.nodes[i].process.signal(f.t, syscall.SIGCONT)
		}},
		{"drain", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].process.signal(f.t, syscall.SIGTERM)
			f.nodes[i].process.wait(f.t)
			pause(r, 0, lease)
			f.nodes[i].node.start()
		}},
		{"links to a node cut", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].links.Refuse(true)
			f.nodes[i].links.Cut()
			pause(r, lease/10, 2*lease)
			f.nodes[i].links.Refuse(false)
		}},
		{"links to a node silent one way", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].links.HoldAsks(true)
			pause(r, lease/10, 5*time.Second)
			f.nodes[i].links.HoldAsks(false)
		}},
		{"links to a node silent the other way", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].links.HoldAnswers(true)
			pause(r, lease/10, 5*time.Second)
			f.nodes[i].links.HoldAnswers(false)
		}},
		{"answers of Redis to a node dropped", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].store.DropAnswers(true)
			pause(r, lease/10, lease)
			f.nodes[i].store.DropAnswers(false)
			f.nodes[i].store.Cut()
		}},
		{"a node cut off from Redis", func(f *fleet, r *rand.Rand, i int) {
			f.nodes[i].store.Refuse(true)
			f.nodes[i].store.Cut()
			pause(r, lease/10, 3*lease)
			f.nodes[i].store.Refuse(false)
		}},
		{"Redis killed", func(f *fleet, r *rand.Rand, _ int) {
			f.redis.Kill()
			pause(r, 0, 2*lease)
			f.redis.Restart(f.t)
		}},
		{"Redis paused", func(f *fleet, r *rand.Rand, _ int) {
			f.redis.Pause(f.t)
			pause(r, lease/10, 2*lease)
			f.redis.Continue(f.t)
		}},
	}
}

// TestTorture breaks nodes, links and Redis while people publish and read through a balancer. What
// was acknowledged is there, once, in order, where it was acknowledged, every reader saw the same, no owner
// wrote after a later one, and soon after each harm presence says exactly who is connected.
func TestTorture(t *testing.T) {
	const lease = time.Second
	r, rounds := crashSeed(t), tortureRounds(t)
	f := newFleet(t, 3, lease, redistest.Durable, "--module", built.kinds, "--drain-timeout", "10s")
	w := newWitness(t, f.redis.Addr)
	f.start()
	rooms := spread("journal", 4)
	there := attendance{client: make(map[string]*client.Client), in: make(map[string]string)}
	ledgers := make(map[string]*ledger)
	type watched struct {
		room, user string
		reader     *reader
		client     *client.Client
	}
	var readers []*watched
	for i, room := range rooms {
		ledgers[room] = &ledger{acks: make(chan struct{}, 1)}
		for k := range 2 {
			w := &watched{room: room, user: fmt.Sprintf("reader-%d-%d", i, k), reader: &reader{}}
			w.client = f.door.client(room, w.user, w.reader.options, func(o *client.Options) { o.Binary = k == 1 })
			ready(t, w.client)
			there.add(w.user, room, w.client)
			readers = append(readers, w)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for i, room := range rooms {
		for k := range 3 {
			p := publisher{name: fmt.Sprintf("pub-%d-%d", i, k), event: "message", open: 1 + 7*(k/2), every: 5 * time.Millisecond}
			c := f.door.client(room, p.name, func(o *client.Options) { o.Binary = k == 1 })
			there.add(p.name, room, c)
			wg.Go(func() { p.run(ctx, t, c, ledgers[room]) })
		}
		wg.Go(func() { post(ctx, t, f.door, room, fmt.Sprintf("post-%d", i), ledgers[room]) })
	}
	all := slices.DeleteFunc(harms(lease), func(h harm) bool { return !strings.Contains(h.name, os.Getenv("ORIEL_TORTURE_HARM")) })
	for round := range rounds {
		h := all[r.IntN(len(all))]
		if round < len(all) && rounds >= len(all) { // each at least once in a whole run
			h = all[round]
		}
		i := r.IntN(len(f.nodes))
		t.Logf("%s: %s, node %d", time.Now().Format("15:04:05.000"), h.name, i)
		h.do(f, r, i)
		for _, room := range rooms { // the dust settles: every room is written to again
			l := ledgers[room]
			select {
			case <-l.acks: // of before
			default:
			}
			select {
			case <-l.acks:
			case <-time.After(patience):
				t.Fatalf("%s: nothing is acknowledged after %q", room, h.name)
			}
		}
		there.check(t, f.door, h.name, lease)
		if t.Failed() {
			break
		}
	}
	t.Logf("presence was right at most %s after everybody was connected again; in the rooms %s", there.users, there.members)
	stop()
	wg.Wait()
	for _, room := range rooms {
		got := history(t, f.door.addr, room, token(t, "auditor"))
		t.Logf("%s: %d events, %d claims", room, len(got), len(ledgers[room].claims))
		for _, fault := range faults(got, ledgers[room].claims) {
			t.Errorf("%s: %s", room, fault)
		}
		for _, w := range readers {
			if w.room == room {
				w.reader.await(t, w.client, uint64(len(got)))
				w.client.Abandon()
				w.reader.check(t, w.user, got)
			}
		}
	}
	direct := f.redis.Client(t)
	wrote, commits := w.faults(t, func(word string) { _ = direct.Echo(context.Background(), word) })
	for _, fault := range wrote {
		t.Error(fault)
	}
	t.Logf("%d commits", commits)
}
