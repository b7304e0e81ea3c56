package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

// TestCluster runs three nodes: people of all three talk in rooms of all three, in one order.
func TestCluster(t *testing.T) {
	f := newFleet(t, 3, 2*time.Second, redistest.Durable, "--module", built.kinds)
	f.start()
	for _, room := range spread("journal", 6) {
		var readers []*reader
		var clients []*client.Client
		for i, p := range f.nodes {
			r := &reader{}
			readers = append(readers, r)
			c := p.client(room, fmt.Sprint("user", i), r.options)
			ready(t, c)
			clients = append(clients, c)
		}
		l := &ledger{acks: make(chan struct{}, 64)}
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() {
				for n := range 10 {
					p := publisher{name: fmt.Sprint("user", i), event: "message"}
					p.publish(t, c, l, p.data(n), n, p.name)
				}
			})
		}
		wg.Wait()
		for i, p := range f.nodes {
			got := history(t, p.addr, room, token(t, "auditor"))
			for _, fault := range faults(got, l.claims) {
				t.Errorf("%s through node %d: %s", room, i, fault)
			}
			readers[i].await(t, clients[i], uint64(len(got)))
			readers[i].check(t, fmt.Sprint("reader at node ", i), got)
		}
	}
	if n := f.logged("a link was refused"); n != 0 {
		t.Errorf("%d links were refused", n)
	}
}

// pauses publishes through a node until ctx ends, one at a time, and returns the longest time
// between two acks.
func pauses(ctx context.Context, t *testing.T, c *client.Client, name string, l *ledger) time.Duration {
	longest, last := time.Duration(0), time.Now()
	p := publisher{name: name, event: "message"}
	for n := 0; ctx.Err() == nil; n++ {
		p.publish(t, c, l, p.data(n), n, p.name)
		longest, last = max(longest, time.Since(last)), time.Now()
	}
	return longest
}

// TestClusterNodeDies kills one node of three with -9: publishing goes on in its rooms within a lease and
// a second, and clients of the other nodes keep their sockets.
func TestClusterNodeDies(t *testing.T) {
	const lease = 2 * time.Second
	f := newFleet(t, 3, lease, redistest.Durable, "--module", built.kinds)
	f.start()
	rooms := spread("journal", 9)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	var mu sync.Mutex // guards the two below
	longest := make(map[string]time.Duration)
	ledgers := make(map[string]*ledger)
	var states []*changes
	for i, room := range rooms {
		s := &changes{}
		c := f.nodes[i%2].client(room, "ann", s.options) // of the nodes that live on
		ready(t, c)
		states = append(states, s)
		l := &ledger{acks: make(chan struct{}, 1)}
		ledgers[room] = l
		wg.Go(func() {
			d := pauses(ctx, t, c, "ann", l)
			mu.Lock()
			defer mu.Unlock()
			longest[room] = d
		})
		<-l.acks
	}
	f.nodes[2].kill()
	for _, room := range rooms { // until every room is written to again, by owners that live
		l := ledgers[room]
		for len(l.acks) > 0 {
			<-l.acks
		}
		select {
		case <-l.acks:
		case <-time.After(patience):
			t.Fatalf("%s: nothing is acknowledged any more", room)
		}
	}
	settled := time.After(lease + time.Second)
	<-settled // whatever the lease held up has happened
	stop()
	wg.Wait()
	worst := time.Duration(0)
	for room, d := range longest {
		worst = max(worst, d)
		got := history(t, f.nodes[0].addr, room, token(t, "auditor"))
		for _, fault := range faults(got, ledgers[room].claims) {
			t.Errorf("%s: %s", room, fault)
		}
	}
	t.Logf("longest pause %s with a lease of %s", worst, lease)
	if worst < lease/2 {
		t.Errorf("no room felt the death of its node: the longest pause was %s", worst)
	}
	if limit := lease + time.Second; worst > limit+slack(t) {
		t.Errorf("the longest pause was %s, want at most %s", worst, limit)
	}
	for i, s := range states {
		if n := s.connects(); n != 1 {
			t.Errorf("%s: its client connected %d times", rooms[i], n)
		}
	}
}

// slack is what a busy machine may add to a limit of seconds.
func slack(testing.TB) time.Duration { return time.Second }

// changes counts how often a client has connected.
type changes struct{ opens atomic.Int64 }

func (s *changes) options(o *client.Options) {
	inner := o.HTTP.Transport
	o.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		s.opens.Add(1)
		return inner.RoundTrip(r)
	})}
}

func (s *changes) connects() int64 { return s.opens.Load() }

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestClusterDrain sends SIGTERM to one node of three: rooms move and no client of another node
// notices; the node's own clients come back elsewhere.
func TestClusterDrain(t *testing.T) {
	f := newFleet(t, 3, 2*time.Second, redistest.Durable, "--module", built.kinds)
	f.start()
	rooms := spread("journal", 9)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	var mu sync.Mutex // guards longest
	longest := make(map[string]time.Duration)
	ledgers := make(map[string]*ledger)
	for i, room := range rooms {
		c := f.nodes[i%2].client(room, "ann")
		ready(t, c)
		l := &ledger{acks: make(chan struct{}, 1)}
		ledgers[room] = l
		wg.Go(func() {
			d := pauses(ctx, t, c, "ann", l)
			mu.Lock()
			defer mu.Unlock()
			longest[room] = d
		})
		<-l.acks
	}
	own := f.door.client(rooms[0], "bob")
	ready(t, own)
	f.nodes[2].process.signal(t, syscall.SIGTERM)
	if code := f.nodes[2].process.wait(t); code != 0 {
		t.Errorf("the node that drained ended with %d", code)
	}
	stop()
	wg.Wait()
	worst := time.Duration(0)
	for room, d := range longest {
		worst = max(worst, d)
		got := history(t, f.nodes[0].addr, room, token(t, "auditor"))
		for _, fault := range faults(got, ledgers[room].claims) {
			t.Errorf("%s: %s", room, fault)
		}
	}
	t.Logf("longest pause %s", worst)
	if worst > 100*time.Millisecond+slack(t) {
		t.Errorf("the longest pause was %s", worst)
	}
	ready(t, own)
	if _, err := own.Publish(limited(t), "message", protocol.JSONPayload(`{"id":"bob/0"}`)); err != nil {
		t.Error(err)
	}
	if n := f.logged("lost to another owner"); n != 0 {
		t.Errorf("%d rooms were lost rather than handed over", n)
	}
}

// TestClusterRedisAway stops Redis for longer than a lease: sockets stay, publishes wait, and go on.
func TestClusterRedisAway(t *testing.T) {
	f := newFleet(t, 2, time.Second, redistest.Durable, "--module", built.kinds)
	f.start()
	const room = "journal/away"
	s := &changes{}
	c := f.nodes[0].client(room, "ann", s.options)
	ready(t, c)
	l := &ledger{acks: make(chan struct{}, 1)}
	p := publisher{name: "ann", event: "message"}
	p.publish(t, c, l, p.data(0), 0, p.name)
	f.redis.Kill()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.publish(t, c, l, p.data(1), 1, p.name)
	}()
	for _, n := range f.nodes {
		n.process.log.await(t, "this node's lease is lost")
	}
	f.redis.Restart(t)
	<-done
	p.publish(t, c, l, p.data(2), 2, p.name)
	for _, fault := range faults(history(t, f.nodes[1].addr, room, token(t, "auditor")), l.claims) {
		t.Error(fault)
	}
	if n := s.connects(); n != 1 {
		t.Errorf("the client connected %d times", n)
	}
}

// TestClusterRefusals starts nodes that must not take part: one clear line each.
func TestClusterRefusals(t *testing.T) {
	f := newFleet(t, 1, 2*time.Second, nil, "--module", built.kinds)
	f.start()
	f.nodes[0].process.log.await(t, "may lose acknowledged messages") // this Redis keeps nothing on disk
	refused := func(why string, n *node, want string) {
		t.Helper()
		p := n.launch()
		if code := p.wait(t); code != 1 {
			t.Errorf("%s: it ended with %d", why, code)
		}
		if line := last(p.log.String()); !strings.Contains(line, want) {
			t.Errorf("%s: it says %q", why, line)
		}
	}
	const other = "another-secret-of-the-nodes-0123456789"
	refused("another secret", f.add(2*time.Second, "--module", built.kinds, "--cluster-secret", other).node, "does not have the cluster's secret")
	f.nodes[0].process.log.await(t, "does not have the cluster's secret")

	admin := f.redis.Client(t)
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(context.Background(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("acl", "setuser", "narrow", "on", ">pw", "~*", "&*", "+@all", "-zadd", "-hset")
	narrow := f.add(2*time.Second, "--module", built.kinds)
	narrow.flags[slices.Index(narrow.flags, "--redis")+1] = "redis://narrow:pw@" + f.redis.Addr
	refused("a user without rights", narrow.node, "hset zadd")

	do("set", "taken:{meta}", "by another program")
	refused("a prefix that is taken", f.add(2*time.Second, "--module", built.kinds, "--redis-prefix", "taken").node, "is not a record of Oriel's")

	// A cluster beside this one, in the same Redis: neither sees the other.
	beside := f.add(2*time.Second, "--module", built.kinds, "--redis-prefix", "beside", "--cluster-secret", other)
	beside.node.start()
	for _, n := range []*peer{f.nodes[0], beside} {
		c := n.client("journal/same", "ann")
		ready(t, c)
		offset, err := c.Publish(limited(t), "message", protocol.JSONPayload(`"hi"`))
		if err != nil || offset != 1 {
			t.Errorf("the first message is at %d: %v", offset, err)
		}
		if n := strings.Count(n.process.log.String(), "joined the cluster"); n != 1 {
			t.Errorf("it has joined %d times", n)
		}
	}
	if log := f.nodes[0].process.log.String() + beside.process.log.String(); strings.Contains(log, "nodes=2") {
		t.Error("one of them sees the other")
	}

	away := newNode(t, "--redis", "redis://127.0.0.1:1", "--cluster-secret", clusterSecret, "--cluster-listen", "127.0.0.1:0")
	refused("no Redis", away, "connection refused")
}

// last is the last line.
func last(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// TestClusterPresence: every node knows who is online anywhere, also after one has died.
func TestClusterPresence(t *testing.T) {
	f := newFleet(t, 3, time.Second, redistest.Durable, "--module", built.kinds)
	f.start()
	for i, p := range f.nodes {
		ready(t, p.client("journal/hall", fmt.Sprint("user", i)))
	}
	online := func(through *peer, user string) bool {
		status, body := through.ask("/v1/presence/"+user, token(t, "auditor"))
		return status == http.StatusOK && strings.Contains(body, `"online":true`)
	}
	for _, through := range f.nodes {
		for i := range f.nodes {
			eventually(t, func() bool { return online(through, fmt.Sprint("user", i)) })
		}
	}
	f.nodes[2].kill()
	for _, through := range f.nodes[:2] {
		eventually(t, func() bool { return !online(through, "user2") })
		if !online(through, "user0") || !online(through, "user1") {
			t.Error("the living went with the dead")
		}
	}
}

// TestClusterNodeCutOff keeps one node from Redis for longer than its lease: it comes back as another node,
// and its clients, in a room of the other node, keep their sockets and are online once.
func TestClusterNodeCutOff(t *testing.T) {
	f := newFleet(t, 2, time.Second, redistest.Durable, "--module", built.kinds)
	f.start()
	room := roomOf(f.nodes[0], f.nodes).String()
	s := &changes{}
	c := f.nodes[1].client(room, "ann", s.options)
	ready(t, c)
	l := &ledger{acks: make(chan struct{}, 1)}
	p := publisher{name: "ann", event: "message"}
	p.publish(t, c, l, p.data(0), 0, p.name)
	f.nodes[1].store.Refuse(true)
	f.nodes[1].store.Cut()
	f.nodes[1].process.log.await(t, "this node's lease is lost")
	f.nodes[1].store.Refuse(false)
	p.publish(t, c, l, p.data(1), 1, p.name)
	there := attendance{client: map[string]*client.Client{"ann": c}, in: map[string]string{"ann": room}}
	there.check(t, f.nodes[0].node, "a node cut off from Redis", time.Second)
	if n := s.connects(); n != 1 {
		t.Errorf("the client connected %d times", n)
	}
	for _, fault := range faults(history(t, f.nodes[0].addr, room, token(t, "auditor")), l.claims) {
		t.Error(fault)
	}
}
