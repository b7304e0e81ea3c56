package redis_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/presence/redis"
)

func TestTwoNodes(t *testing.T) {
	s := newServer(t)
	a, b := start(t, s.open()), start(t, s.open())
	first := a.enter("ann", lobby)
	second := b.enter("ann", lobby)
	third := b.enter("ann", arena)
	b.enter("bob", lobby)
	if u := a.of("ann"); u.Connections < 1 {
		t.Fatalf("a does not know its own: %+v", u)
	}
	a.flush()
	b.flush()
	want := presence.User{User: "ann", Online: true, Connections: 3, Rooms: []presence.Visit{
		{Kind: "arena", Room: "one", Connections: 1, Since: third.Since.UnixMilli()},
		{Kind: "chat", Room: "lobby", Connections: 2, Since: min(first.Since.UnixMilli(), second.Since.UnixMilli())},
	}}
	equal(t, "ann at a", a.of("ann"), want)
	equal(t, "ann at b", b.of("ann"), want)
	room := presence.Room{Kind: "chat", Room: "lobby", Count: 2, Connections: 3, Users: []presence.Occupant{{User: "ann", Connections: 2}, {User: "bob", Connections: 1}}}
	equal(t, "the lobby at a", a.in(lobby), room)
	equal(t, "the lobby at b", b.in(lobby), room)
	for _, n := range []*node{a, b} {
		d, err := n.Devices(t.Context(), "ann")
		if err != nil || d.More || len(d.Devices) != 3 {
			t.Fatalf("%+v, %v", d, err)
		}
		got := d.Devices[0]
		got.Since = got.Since.Local()
		first.Since = first.Since.Local()
		equal(t, "a device", got, presence.Device{Node: a.m.Self().ID, Connection: first})
		equal(t, "its node", d.Devices[2].Node, b.m.Self().ID)
	}

	a.Leave(first)
	b.Leave(third)
	a.flush()
	b.flush()
	equal(t, "ann", a.of("ann").Connections, 1)
	equal(t, "arena", a.in(arena).Count, 0)
	b.Leave(second)
	b.flush()
	if u := a.of("ann"); u.Online || u.Rooms == nil {
		t.Fatalf("%+v", u)
	}
	equal(t, "nobody", a.of("nobody").Online, false)
}

// TestNothingIsLeft: after all have gone, Redis holds what it held before.
func TestNothingIsLeft(t *testing.T) {
	s := newServer(t)
	c := s.open()
	n := newNode(t, c, redis.Options{}.Times(time.Millisecond, time.Hour, time.Hour, 10*time.Millisecond))
	n.join()
	var open []presence.Connection
	for i := range 50 {
		n.Leave(n.enter("early", lobby)) // merged, or not
		open = append(open, n.enter(strconv.Itoa(i), presence.Place{Kind: "chat", Room: strconv.Itoa(i % 7)}))
		if i%10 == 0 {
			n.flush()
		}
	}
	n.flush()
	if len(keysOf(t, c)) < 50 {
		t.Fatal(keysOf(t, c))
	}
	for _, x := range open {
		n.Leave(x)
	}
	n.flush()
	await(t, "an empty Redis", func() bool {
		k := keysOf(t, c)
		return len(k) == 1 && strings.HasSuffix(k[0], ":nodes")
	})
	if dirty, written := n.Held(); dirty+written != 0 {
		t.Fatal(dirty, written)
	}
}

// TestDetached: reads fail while the node is no member, and what happens then is written later.
func TestDetached(t *testing.T) {
	s := newServer(t)
	n := newNode(t, s.open(), redis.Options{})
	other := start(t, s.open())
	n.enter("ann", lobby)
	_, err := n.Of(t.Context(), "ann")
	var e *presence.Error
	if !errors.Is(err, presence.ErrAway) || !errors.As(err, &e) || e.Op != "user" || e.About != "ann" {
		t.Fatal(err)
	}
	if _, err := n.In(t.Context(), lobby, 1); !errors.Is(err, presence.ErrAway) {
		t.Fatal(err)
	}
	if _, err := n.Devices(t.Context(), "ann"); !errors.Is(err, presence.ErrAway) {
		t.Fatal(err)
	}
	if err := n.Flush(t.Context()); !errors.Is(err, presence.ErrAway) {
		t.Fatal(err)
	}
	n.join()
	n.enter("ann", lobby)
	n.flush()
	equal(t, "ann", other.of("ann").Connections, 2)
	old := n.m.Self().ID
	n.abandon()
	if _, err := n.Of(t.Context(), "ann"); !errors.Is(err, presence.ErrAway) {
		t.Fatal(err)
	}
	other.awaitUser("ann", 0)
	equal(t, "the lobby without its node", other.in(lobby).Count, 0)
	n.enter("ann", lobby)
	n.join()
	n.flush()
	equal(t, "ann", other.of("ann").Connections, 3)
	// What the old identity wrote disappears.
	await(t, "the old identity's entries to go", func() bool {
		for _, k := range keysOf(t, s.open()) {
			if strings.Contains(k, old) {
				return false
			}
		}
		return true
	})
}

// TestOddNames: names that look like parts of keys stay names, and prefixes are apart.
func TestOddNames(t *testing.T) {
	s := newServer(t)
	c := s.open()
	a := start(t, c)
	b := newNode(t, c, redis.Options{Prefix: "other"})
	b.join()
	users := []string{"{nodes}", "}", "a}:presence", "@", "/", "a/b", "änn\x00\n", strings.Repeat("x", 500), "%7B"}
	for _, user := range users {
		a.enter(user, lobby)
	}
	a.flush()
	second := start(t, c)
	for _, user := range users {
		equal(t, user, second.of(user).Connections, 1)
		equal(t, user, b.of(user).Online, false)
		if k := redis.UserKey("p", user); strings.Count(k, "{") != 1 || strings.Count(k, "}") != 1 {
			t.Fatal(k)
		}
	}
	equal(t, "the lobby", second.in(lobby).Count, len(users))
	equal(t, "the other lobby", b.in(lobby).Count, 0)
}

// TestRedisAway: what comes and goes while Redis is away is right once it is back, and costs no memory for
// those who went.
func TestRedisAway(t *testing.T) {
	s := newServer(t, durable...)
	a, b := start(t, s.open()), start(t, s.open())
	stays, goes := a.enter("ann", lobby), a.enter("bob", lobby)
	a.flush()
	s.kill()
	a.Leave(goes)
	a.enter("cid", arena)
	for i := range 5000 {
		a.Leave(a.enter("fleeting"+strconv.Itoa(i), lobby))
	}
	_, err := b.Of(t.Context(), "ann")
	if !errors.Is(err, presence.ErrAway) {
		t.Fatal(err)
	}
	// Some of them may have been on their way when Redis went.
	if dirty, written := a.Held(); dirty+written > 2000 {
		t.Fatalf("%d dirty, %d written", dirty, written)
	}
	s.start()
	a.flush()
	equal(t, "bob", b.of("bob").Online, false)
	equal(t, "cid", b.of("cid").Connections, 1)
	equal(t, "the lobby", b.in(lobby), presence.Room{Kind: "chat", Room: "lobby", Count: 1, Connections: 1, Users: []presence.Occupant{{User: "ann", Connections: 1}}})
	a.Leave(stays)
	a.flush()
	equal(t, "ann", b.of("ann").Online, false)
}

// TestDataLost: Redis came back without some writes, and with entries that were removed. A node notices by its broken
// connections.
func TestDataLost(t *testing.T) {
	s := newServer(t)
	c := s.open()
	a, b := start(t, c), start(t, s.open())
	gone := a.enter("gone", lobby)
	for i := range 20 {
		a.enter("user"+strconv.Itoa(i), presence.Place{Kind: "chat", Room: strconv.Itoa(i % 3)})
	}
	a.enter("ann", lobby)
	a.flush()
	id := a.m.Self().ID
	ctx := t.Context()
	entry := c.HGet(ctx, redis.UserKey("oriel", "gone"), id).Val()
	a.Leave(gone)
	a.flush()
	equal(t, "gone", b.of("gone").Online, false)

	// The fail-over: lost entries, lost counts, a lost index, and somebody who is back.
	for _, err := range []error{
		c.Del(ctx, redis.UserKey("oriel", "user3"), "oriel:{chat/1}:presence", "oriel:{chat/2}:presence:"+id, "oriel:{presence}:nodes").Err(),
		c.HSet(ctx, "oriel:{chat/0}:presence:"+id, "user0", 7, "nobody", 1).Err(),
		c.HSet(ctx, redis.UserKey("oriel", "gone"), id, entry).Err(),
		c.HSet(ctx, redis.UserKey("oriel", "user4"), id, "garbage").Err(),
		c.SRem(ctx, "oriel:{#"+id+"}:presence", "@user5", "chat/0").Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Of(ctx, "user4"); !errors.Is(err, presence.ErrFormat) {
		t.Fatal(err)
	}
	if err := c.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	await(t, "all to be mended", func() bool {
		for i := range 20 {
			if u, err := b.Of(ctx, "user"+strconv.Itoa(i)); err != nil || u.Connections != 1 {
				return false
			}
		}
		for i := range 3 {
			if r, err := b.In(ctx, presence.Place{Kind: "chat", Room: strconv.Itoa(i)}, 0); err != nil || r.Count != r.Connections || r.Count != []int{7, 7, 6}[i] {
				return false
			}
		}
		u, err := b.Of(ctx, "gone")
		return err == nil && !u.Online && c.SIsMember(ctx, "oriel:{presence}:nodes", id).Val() &&
			c.SIsMember(ctx, "oriel:{#"+id+"}:presence", "@user5").Val() && c.SIsMember(ctx, "oriel:{#"+id+"}:presence", "chat/0").Val()
	})
}

// TestZombie: what a dead node wrote too late is not counted, and removed where somebody looks.
func TestZombie(t *testing.T) {
	s := newServer(t)
	c := s.open()
	a, b := start(t, c), start(t, s.open())
	b.enter("ann", lobby)
	b.flush()
	id := b.m.Self().ID
	b.abandon()
	await(t, "b to be cleaned up after", func() bool { return c.Exists(t.Context(), "oriel:{#"+id+"}:presence").Val() == 0 })
	key := redis.UserKey("oriel", "ann")
	if err := c.HSet(t.Context(), key, id, redis.Encode([]presence.Connection{{ID: 1, User: "ann", Place: lobby}})).Err(); err != nil {
		t.Fatal(err)
	}
	equal(t, "ann", a.of("ann").Online, false)
	equal(t, "her key", c.Exists(t.Context(), key).Val(), int64(0))
}

// TestCluster runs on a Redis Cluster of one node.
func TestCluster(t *testing.T) {
	port, l := freePort(t)
	bus, l2 := freePort(t)
	s := newServer(t)
	s.kill()
	_ = l.Close()
	_ = l2.Close()
	s.net, s.addr = "tcp", "127.0.0.1:"+port
	s.args = append(s.args, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--port", port, "--cluster-port", bus)
	s.start()
	if err := s.open().Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	c := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{s.addr}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	await(t, "the cluster", func() bool { return c.Set(t.Context(), "x", 1, 0).Err() == nil })
	a, b := start(t, c), start(t, c)
	w := watchOf(t, a, "ann")
	w.expect("ann", false)
	b.enter("ann", lobby)
	w.expect("ann", true)
	b.flush()
	equal(t, "ann", a.of("ann").Connections, 1)
	equal(t, "the lobby", a.in(lobby).Count, 1)
	b.abandon()
	w.expect("ann", false)
	await(t, "b to be cleaned up after", func() bool {
		keys, err := c.Keys(t.Context(), "*lobby*").Result()
		return err == nil && len(keys) == 0
	})
}

// TestHammer: connections come and go at random on three nodes, which lose and regain their membership; in the end
// all count the same.
func TestHammer(t *testing.T) {
	s := newServer(t)
	nodes := make([]*node, 3)
	for i := range nodes {
		nodes[i] = newNode(t, s.open(), redis.Options{}.Times(time.Millisecond, time.Hour, time.Hour, 5*time.Millisecond))
		nodes[i].join()
	}
	steps := 400
	if testing.Short() {
		steps = 100
	}
	var mu sync.Mutex // guards users, seats
	users, seats := map[string]int{}, map[string]int{}
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			random := seeded(t, uint64(i))
			var open []presence.Connection
			for range steps {
				switch k := random.IntN(20); {
				case k == 0:
					n.join()
				case k == 1:
					_ = n.Flush(t.Context())
				case k < 11 || len(open) == 0:
					open = append(open, n.enter("u"+strconv.Itoa(random.IntN(10)), presence.Place{Kind: "chat", Room: strconv.Itoa(random.IntN(5))}))
				default:
					j := random.IntN(len(open))
					n.Leave(open[j])
					open = append(open[:j], open[j+1:]...)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for _, c := range open {
				users[c.User]++
				seats[c.Place.Room+" "+c.User]++
			}
		})
	}
	wg.Wait()
	for _, n := range nodes {
		n.flush()
	}
	for _, n := range nodes {
		if _, err := n.m.Refresh(t.Context()); err != nil { // instead of waiting for what is pushed
			t.Fatal(err)
		}
		for i := range 10 {
			user := "u" + strconv.Itoa(i)
			equal(t, user, n.of(user).Connections, users[user])
			d, err := n.Devices(t.Context(), user)
			if err != nil || len(d.Devices) != users[user] {
				t.Fatal(err, len(d.Devices), users[user])
			}
		}
		for i := range 5 {
			p := presence.Place{Kind: "chat", Room: strconv.Itoa(i)}
			for _, o := range n.in(p).Users {
				equal(t, fmt.Sprint(p, o.User), o.Connections, seats[p.Room+" "+o.User])
			}
		}
	}
}

// TestCommands counts what a user who comes and goes costs.
func TestCommands(t *testing.T) {
	s := newServer(t)
	c := s.open()
	n := newNode(t, c, redis.Options{}.Times(20*time.Millisecond, time.Hour, time.Hour, time.Hour))
	n.join()
	processed := func() int {
		info, err := c.Info(context.Background(), "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(info, "total_commands_processed:")
		v, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\r", 2)[0]))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	const users = 1000
	before := processed()
	open := make([]presence.Connection, users)
	for i := range open {
		open[i] = n.enter(strconv.Itoa(i), lobby)
	}
	n.flush()
	come := processed()
	for _, c := range open {
		n.Leave(c)
	}
	n.flush()
	gone := processed()
	for range users {
		n.Leave(n.enter("ann", lobby))
	}
	n.flush()
	merged := processed()
	t.Logf("commands: %.2f for each who comes, %.2f who goes, %.2f who does both at once", float64(come-before)/users, float64(gone-come)/users, float64(merged-gone)/users)
	if come-before > users*35/10 || gone-come > users*35/10 || merged-gone > users/2 {
		t.Fatal("too many commands")
	}
}

// TestStopped: a process that was stopped for longer than its lease writes nothing more under its identity.
func TestStopped(t *testing.T) {
	s := newServer(t)
	c := s.open()
	n := newNode(t, c, redis.Options{})
	var now atomic.Int64
	now.Store(int64(time.Hour))
	m, err := member.Join(t.Context(), member.Options{
		Redis: c, Address: "127.0.0.1:1", Lease: member.MaxLease, Now: func() time.Duration { return time.Duration(now.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	n.m = m
	n.Attach(m)
	n.enter("early", lobby)
	n.flush()
	now.Add(int64(member.MaxLease * 9 / 10))
	n.enter("late", lobby)
	if err := n.Flush(t.Context()); !errors.Is(err, presence.ErrAway) {
		t.Fatal(err)
	}
	for user, want := range map[string]int64{"early": 1, "late": 0} {
		equal(t, user, c.Exists(t.Context(), redis.UserKey("oriel", user)).Val(), want)
	}
	n.join()
	n.flush()
	equal(t, "late", n.of("late").Connections, 1)
}
