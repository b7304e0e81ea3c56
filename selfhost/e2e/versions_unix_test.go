//go:build unix

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

// nextPatches make a version that does not exist yet: it speaks version 2 of the link, in which every frame begins
// with a byte that a node of version 1 takes for a length, and reads format 2 in Redis, in which a term is a byte
// longer, so that a program that reads format 1 only takes it for corrupt.
var nextPatches = []patch{
	{"../link/version.go", "MaxVersion = 1", "MaxVersion = 2"},
	{"../link/version.go", "func appendHead(b []byte, _ uint64, n int) []byte {", `func appendHead(b []byte, version uint64, n int) []byte {
	if version >= 2 {
		b = append(b, 0xff)
	}
`},
	{"../link/version.go", "func readHead(r *bufio.Reader, _ uint64) (uint64, error) {", `func readHead(r *bufio.Reader, version uint64) (uint64, error) {
	if version >= 2 {
		if c, err := r.ReadByte(); err != nil {
			return 0, err
		} else if c != 0xff {
			return 0, ErrFrame
		}
	}
`},
	{"../redis/format.go", "Format = 1", "Format = 2"},
	{"../store/redis/key.go", "return len(s) == termBytes*2 &&", "return (len(s) == termBytes*2 || len(s) == termBytes*2+2) &&"},
	{"../store/redis/store.go", "term := newTerm()", `term := newTerm() + "00"[:2*(r.s.format.Load()-1)]`},
}

// next builds an oriel of that version.
func next(t *testing.T, name string, more ...patch) string {
	t.Helper()
	path, err := patched(name, append(slices.Clip(nextPatches), more...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRollingVersions rolls a cluster under load from one version to the next and back, node by node.
// Nodes of both speak to each other, nothing is lost, nobody is disconnected whose own node is not the
// one that restarts, and the new format is written only once every node reads it.
func TestRollingVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds other binaries")
	}
	t.Parallel()
	between := next(t, "between") // reads the new format and does not write it
	newer := next(t, "newer", patch{"../redis/format.go", "Writes = 1", "Writes = 2"})
	const lease = 2 * time.Second
	f := newFleet(t, 4, lease, redistest.Durable, "--module", built.kinds)
	f.start()
	away := f.nodes[3] // has no clients
	store := f.redis.Client(t)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	rooms := spread("journal", 12)
	ledgers := make(map[string]*ledger)
	states := make([]*changes, len(rooms))
	var wg sync.WaitGroup
	for i, room := range rooms {
		states[i] = &changes{}
		c := f.nodes[i%3].client(room, "ann", states[i].options)
		ready(t, c)
		l := &ledger{acks: make(chan struct{}, 1)}
		ledgers[room] = l
		p := publisher{name: "ann", event: "message", open: 1, every: 5 * time.Millisecond}
		wg.Go(func() { p.run(ctx, t, c, l) })
		<-l.acks
	}
	// advance waits until every room has been written to, after now.
	advance := func() {
		t.Helper()
		for _, room := range rooms {
			l := ledgers[room]
			for range 2 { // the first may be from before
				select {
				case <-l.acks:
				case <-time.After(patience):
					t.Fatalf("%s: nothing is acknowledged any more", room)
				}
			}
		}
	}
	roll := func(i int, oriel string) {
		t.Helper()
		var before []int64
		for _, s := range states {
			before = append(before, s.connects())
		}
		f.nodes[i].process.signal(t, syscall.SIGTERM)
		if code := f.nodes[i].process.wait(t); code != 0 {
			t.Errorf("node %d ended with %d", i, code)
		}
		f.nodes[i].oriel = oriel
		f.nodes[i].start()
		advance()
		for j, s := range states {
			if j%3 != i && s.connects() != before[j] {
				t.Errorf("a client of node %d connected again when node %d was restarted", j%3, i)
			}
		}
	}
	format := func() string { return store.HGet(ctx, "oriel:{meta}", "format").Val() }
	// owners counts rooms whose record is written in format 1 and in format 2.
	owners := func() (n [3]int) {
		for _, room := range rooms {
			if words := strings.Fields(store.HGet(ctx, "oriel:{"+room+"}:m", "o").Val()); len(words) == 3 {
				n[len(words[2])/2-15]++
			}
		}
		return n
	}

	// old checks that everything is in format 1, because a node reads nothing else.
	old := func() {
		t.Helper()
		if f, n := format(), owners(); f != "1" || n[1] == 0 || n[2] != 0 {
			t.Fatalf("format %s is on record, %d rooms are in format 1, %d in format 2", f, n[1], n[2])
		}
	}

	roll(0, newer)
	roll(1, newer)
	old()
	roll(0, built.oriel) // back in the middle
	roll(0, newer)
	old()
	away.process.signal(t, syscall.SIGSTOP) // until it counts as dead
	roll(2, newer)
	for _, p := range f.nodes[:3] {
		p.process.log.await(t, "every node reads the new format")
	}
	if f := format(); f != "2" {
		t.Fatalf("format %s is on record, although format 2 is written", f)
	}

	// A Redis that has failed over to a lagging replica may have forgotten that.
	store.Del(ctx, "oriel:{nodes}:formats")
	store.HSet(ctx, "oriel:{meta}", "format", 1)
	eventually(t, func() bool {
		return format() == "2" && store.HGet(ctx, "oriel:{nodes}:formats", "redis").Val() == "2"
	})

	// Who reads format 1 only does not take part any more, and says so: whether it comes now, or was away.
	tooOld := func(p *process) {
		t.Helper()
		if code := p.wait(t); code != 1 {
			t.Errorf("a node that is too old ended with %d", code)
		}
		lines := strings.Split(strings.TrimSpace(p.log.String()), "\n")
		last := lines[len(lines)-1]
		joins := strings.Contains(last, `version 2 of the format "redis", it reads up to 1: it is too old`)
		looks := strings.Contains(last, "holds format 2, this program reads 1: it is older than the nodes that use it") // its store did, before it joined
		if !strings.HasPrefix(last, "oriel: ") || !joins && !looks {
			t.Errorf("a node that is too old says at last: %s", last)
		}
	}
	late := f.add(lease, "--module", built.kinds).launch()
	tooOld(late)
	if said := late.log.String(); strings.Count(said, "\n") != 1 {
		t.Errorf("a node that is too old says more than a line:\n%s", said)
	}
	away.process.signal(t, syscall.SIGCONT)
	tooOld(away.process)
	f.nodes = f.nodes[:3]
	advance()

	// Back by one release, with rooms in the new format: whatever is opened now.
	for i := range 3 {
		room := fmt.Sprint("journal/new-", i)
		rooms = append(rooms, room)
		l := &ledger{acks: make(chan struct{}, 1)}
		ledgers[room] = l
		states = append(states, &changes{})
		c := f.nodes[i].client(room, "ann", states[len(states)-1].options)
		ready(t, c)
		p := publisher{name: "ann", event: "message", open: 1, every: 5 * time.Millisecond}
		wg.Go(func() { p.run(ctx, t, c, l) })
	}
	if n := owners()[2]; n < 3 {
		t.Fatalf("%d rooms are written in format 2", n)
	}
	roll(1, between)
	roll(0, between)
	roll(2, between)
	stop()
	wg.Wait()
	for i, room := range rooms {
		got := history(t, f.nodes[i%3].addr, room, token(t, "auditor"))
		for _, fault := range faults(got, ledgers[room].claims) {
			t.Errorf("%s: %s", room, fault)
		}
	}
	for _, bad := range []string{"lost to another owner", "what cannot be read", "level=ERROR"} {
		if n := f.logged(bad); n != 0 {
			t.Errorf("nodes have logged %q %d times", bad, n)
		}
	}
}

// TestShortlyAway: in the middle of an upgrade the nodes of the old version are away for a little longer than their
// leases. They are not shut out for that.
func TestShortlyAway(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another binary")
	}
	t.Parallel()
	newer := next(t, "newer-alone", patch{"../redis/format.go", "Writes = 1", "Writes = 2"})
	const lease = 3 * time.Second
	f := newFleet(t, 2, lease, redistest.Durable, "--module", built.kinds)
	f.nodes[0].oriel = newer
	f.start()
	old, store := f.nodes[1], f.redis.Client(t)
	alive := func() int64 { return store.ZCard(t.Context(), "oriel:{nodes}:leases").Val() }
	old.store.Refuse(true)
	old.store.Cut()
	eventually(t, func() bool { return alive() == 1 })
	<-time.After(lease) // nothing is to happen meanwhile
	old.store.Refuse(false)
	eventually(t, func() bool { return alive() == 2 })
	old.process.signal(t, syscall.SIGTERM)
	if code := old.process.wait(t); code != 0 {
		t.Errorf("the old node ended with %d", code)
	}
	f.nodes[0].process.log.await(t, "every node reads the new format") // once it has left
}
