package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/presence/redis"
)

const childLease = 2 * time.Second

// child is a second process: a node with two users, that says its identity and waits to be killed.
func child(addr string) {
	ctx := context.Background()
	c := dial("unix", addr)
	r, err := redis.New(redis.Options{Redis: c})
	if err != nil {
		panic(err)
	}
	m, err := member.Join(ctx, member.Options{Redis: c, Address: "127.0.0.1:9", Lease: childLease})
	if err != nil {
		panic(err)
	}
	n := &node{Registry: r, ids: 1 << 50}
	n.enter("ann", lobby)
	n.enter("ann", lobby)
	n.Leave(n.enter("lingering", arena)) // in its grace
	r.Attach(m)
	if err := r.Flush(ctx); err != nil {
		panic(err)
	}
	fmt.Println(m.Self().ID)
	select {} // until it is killed
}

// TestKill: people of a process that is killed disappear within its lease, and never earlier.
func TestKill(t *testing.T) {
	s := newServer(t)
	c := s.open()
	a := start(t, c)
	a.enter("ann", lobby)
	a.flush()
	w := watchOf(t, a, "lingering")
	w.expect("lingering", false)

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ORIEL_TEST_CHILD="+s.addr)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	id := strings.TrimSpace(line)
	if err != nil {
		_ = cmd.Process.Kill()
		t.Fatal(err, id)
	}
	w.expect("lingering", true)
	equal(t, "ann", a.of("ann").Connections, 3)
	equal(t, "the lobby", a.in(lobby).Connections, 3)

	living := func() bool {
		leases, err := member.List(context.Background(), c, "")
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(leases, func(l member.Lease) bool { return l.ID == id })
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	killed := time.Now()
	for {
		u, room := a.of("ann"), a.in(lobby)
		if u.Connections == 3 && room.Connections == 3 && a.of("lingering").Online {
			continue
		}
		if living() {
			t.Fatalf("%+v, %+v: people are gone before the lease of their node", u, room)
		}
		break
	}
	took := time.Since(killed)
	t.Logf("gone %s after the kill, with a lease of %s", took.Round(time.Millisecond), childLease)
	await(t, "the others to go", func() bool {
		return !a.of("lingering").Online && a.in(lobby).Connections == 1 && a.of("ann").Connections == 1
	})
	w.expect("lingering", false)
	await(t, "its entries to go", func() bool {
		for _, k := range keysOf(t, c) {
			if strings.Contains(k, id) {
				return false
			}
		}
		return !c.HExists(t.Context(), redis.UserKey("oriel", "ann"), id).Val() && !c.SIsMember(t.Context(), "oriel:{presence}:nodes", id).Val()
	})
}
