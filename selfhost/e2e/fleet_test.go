package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/ring"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

const clusterSecret = "a-secret-of-the-nodes-of-this-test-0123456789"

// A fleet is several nodes that share a Redis, behind a balancer.
type fleet struct {
	t     testing.TB
	redis *redistest.Server
	nodes []*peer
	// door is the balancer as clients see it: a node whose address leads to any that lives.
	door *node
}

// A peer is one node of a fleet, with the ways to it and from it that a test can break.
type peer struct {
	*node
	links *redistest.Proxy // other nodes' way to it
	store *redistest.Proxy // its way to Redis
}

// newFleet starts a Redis with settings and prepares n nodes that are not running.
func newFleet(t testing.TB, n int, lease time.Duration, settings []string, flags ...string) *fleet {
	t.Helper()
	f := &fleet{t: t, redis: redistest.Start(t, settings...)}
	for range n {
		f.add(lease, flags...)
	}
	f.door = &node{t: t, addr: balance(t, f.nodes), http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(f.door.http.CloseIdleConnections)
	return f
}

func (f *fleet) add(lease time.Duration, flags ...string) *peer {
	f.t.Helper()
	listen := reserve(f.t)
	p := &peer{links: redistest.NewProxy(f.t, listen), store: redistest.NewProxy(f.t, f.redis.Addr)}
	p.node = newNode(f.t, append([]string{
		"--redis", p.store.URL(), "--cluster-secret", clusterSecret, "--cluster-listen", listen,
		"--cluster-address", p.links.Addr, "--cluster-lease", lease.String(),
	}, flags...)...)
	f.nodes = append(f.nodes, p)
	return p
}

func (f *fleet) start() {
	f.t.Helper()
	var wg sync.WaitGroup
	for _, p := range f.nodes {
		wg.Go(func() { p.node.start() })
	}
	wg.Wait()
}

// balance is a load balancer: it takes each connection to a node, chosen at random among those that
// answer.
func balance(t testing.TB, nodes []*peer) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // guards open
	open := make(map[net.Conn]bool)
	closing := false
	hold := func(c net.Conn) bool {
		mu.Lock()
		defer mu.Unlock()
		open[c] = true
		return !closing
	}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if !hold(c) {
					return
				}
				for _, i := range rand.Perm(len(nodes)) {
					s, err := net.DialTimeout("tcp", nodes[i].addr, time.Second)
					if err != nil {
						continue
					}
					defer s.Close()
					if !hold(s) {
						return
					}
					wg.Go(func() {
						_, _ = io.Copy(s, c)
						_ = s.(*net.TCPConn).CloseWrite()
					})
					_, _ = io.Copy(c, s)
					return
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		closing = true
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// spread returns names of rooms so that each node owns some of them, whatever the ring says.
func spread(kind string, n int) (rooms []string) {
	for i := range n {
		rooms = append(rooms, fmt.Sprintf("%s/room-%d", kind, i))
	}
	return rooms
}

// roomOf returns a room that the ring gives to one of the nodes.
func roomOf(owner *peer, nodes []*peer) store.RoomID {
	var all []ring.Node
	for _, p := range nodes {
		all = append(all, ring.Node{ID: p.links.Addr, Weight: ring.DefaultWeight})
	}
	places := ring.New(all)
	for i := 0; ; i++ {
		id := store.RoomID{Kind: "journal", Name: fmt.Sprint("room-", i)}
		if at, _ := places.Owner(id.Kind, id.Name); at == owner.links.Addr {
			return id
		}
	}
}

// logged returns how often the nodes' present processes have logged s.
func (f *fleet) logged(s string) (n int) {
	for _, p := range f.nodes {
		if p.process != nil {
			n += strings.Count(p.process.log.String(), s)
		}
	}
	return n
}
