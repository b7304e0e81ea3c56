//go:build unix

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

// TestClockJumps runs rooms on a node whose clock is set to and fro by hours, and has them move to others and back:
// nothing is lost or out of order, time does not go back in a room, and one line says what is wrong.
func TestClockJumps(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another binary")
	}
	t.Parallel()
	binary, err := faulty()
	if err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, 2, time.Second, redistest.Durable, "--module", built.kinds, "--drain-timeout", "10s")
	f.nodes[0].oriel, f.nodes[0].env = binary, []string{"ORIEL_PLANTED=clock jumps"}
	f.start()
	rooms := spread("journal", 4)
	ledgers := make(map[string]*ledger)
	hourAhead := make(map[string]<-chan struct{}) // closed by the room's first event of an hour that has not come
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for i, room := range rooms {
		ledgers[room] = &ledger{acks: make(chan struct{}, 1)}
		ahead := make(chan struct{})
		hourAhead[room] = ahead
		seen := sync.OnceFunc(func() { close(ahead) })
		f.door.client(room, "watcher", func(o *client.Options) {
			o.Event = func(e *protocol.Event) {
				if time.UnixMilli(int64(e.Time)).After(time.Now().Add(30 * time.Minute)) {
					seen()
				}
			}
		})
		for k := range 2 {
			p := publisher{name: fmt.Sprintf("pub-%d-%d", i, k), event: "message", open: 1, every: 5 * time.Millisecond}
			c := f.door.client(room, p.name, func(o *client.Options) { o.Binary = k == 1 })
			wg.Go(func() { p.run(ctx, t, c, ledgers[room]) })
		}
	}
	settled := func() {
		t.Helper()
		for _, room := range rooms {
			for range 2 { // the first may be of before
				select {
				case <-ledgers[room].acks:
				case <-time.After(patience):
					t.Fatalf("%s: nothing is acknowledged any more", room)
				}
			}
		}
	}
	settled()
	f.nodes[0].process.log.await(t, "this node's clock is not the one of Redis")
	f.nodes[0].process.log.await(t, "this machine's clock has been set")
	for _, p := range f.nodes { // its rooms go to the other, and come back
		p.process.signal(t, syscall.SIGTERM)
		if code := p.process.wait(t); code != 0 {
			t.Errorf("the node that drained ended with %d", code)
		}
		settled()
		if p == f.nodes[1] { // all rooms are on the node whose clock is ahead, every other moment
			for _, room := range rooms {
				select {
				case <-hourAhead[room]:
				case <-time.After(patience):
					t.Fatalf("%s: no event is an hour ahead", room)
				}
			}
		}
		p.node.start()
		settled()
	}
	stop()
	wg.Wait()
	for _, room := range rooms {
		got := history(t, f.door.addr, room, token(t, "auditor"))
		for _, fault := range faults(got, ledgers[room].claims) {
			t.Errorf("%s: %s", room, fault)
		}
		if len(got) > 0 && !time.UnixMilli(int64(got[len(got)-1].Time)).After(time.Now().Add(30*time.Minute)) {
			t.Errorf("%s: its time has gone back", room)
		}
	}
	if log := f.nodes[1].process.log.String(); strings.Contains(log, "clock") {
		t.Errorf("the other node complains of a clock:\n%s", log)
	}
}
