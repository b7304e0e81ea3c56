package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/presence/redis"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("ORIEL_TEST_CHILD"); addr != "" {
		child(addr)
	}
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func init() { goredis.SetLogger(quiet{}) } // tests break connections

// A server is a real redis-server.
type server struct {
	t    testing.TB
	args []string
	addr string
	net  string
	cmd  *exec.Cmd
}

var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("needs redis-server in the path")
	}
	dir, err := os.MkdirTemp("", "redis") // t.TempDir can be too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, net: "unix", addr: filepath.Join(dir, "s")}
	s.args = append([]string{
		"--port", "0", "--unixsocket", s.addr, "--dir", dir, "--save", "", "--logfile", filepath.Join(dir, "log"),
	}, args...)
	t.Cleanup(func() { s.kill(); _ = os.RemoveAll(dir) })
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	c := dial(s.net, s.addr)
	defer func() { _ = c.Close() }()
	await(s.t, "redis-server", func() bool { return c.Ping(context.Background()).Err() == nil })
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func dial(network, addr string) *goredis.Client {
	return goredis.NewClient(&goredis.Options{Network: network, Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
}

func (s *server) open() *goredis.Client {
	c := dial(s.net, s.addr)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// await waits until cond holds. Its limit is for what never happens.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

var ports atomic.Int64

// A node is a member of a fleet with its registry.
type node struct {
	*redis.Registry
	t      testing.TB
	c      goredis.UniversalClient
	m      *member.Membership
	lease  time.Duration
	prefix string
	ids    uint64
}

// newNode returns one with a lease that does not end in the time of a test, and no grace.
func newNode(t testing.TB, c goredis.UniversalClient, o redis.Options) *node {
	t.Helper()
	o.Redis = c
	if o.Grace == 0 {
		o.Grace = -1
	}
	r, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Registry: r, t: t, c: c, lease: member.MaxLease, prefix: o.Prefix}
	t.Cleanup(func() { r.Close(); n.abandon() })
	return n
}

func start(t testing.TB, c goredis.UniversalClient) *node {
	n := newNode(t, c, redis.Options{})
	n.join()
	return n
}

func (n *node) join() {
	n.t.Helper()
	m, err := member.Join(context.Background(), member.Options{
		Redis: n.c, Prefix: n.prefix, Address: "127.0.0.1:" + strconv.FormatInt(ports.Add(1), 10), Lease: n.lease,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.abandon()
	n.m = m
	n.ids = m.Self().Process() << 40
	n.Attach(m)
}

// abandon lets the membership go, whether or not Redis hears of it.
func (n *node) abandon() {
	if n.m != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = n.m.Leave(ctx)
		n.m = nil
	}
}

// flush waits until all is written.
func (n *node) flush() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := n.Flush(ctx); err != nil {
		n.t.Fatal(err)
	}
}

// enter joins a new connection of a user.
func (n *node) enter(user string, p presence.Place) presence.Connection {
	n.ids++
	c := presence.Connection{ID: n.ids, User: user, Place: p, Device: "phone", Since: noon.Add(time.Duration(n.ids&0xffff) * time.Second)}
	n.Join(c)
	return c
}

func (n *node) of(user string) presence.User {
	n.t.Helper()
	u, err := n.Of(context.Background(), user)
	if err != nil {
		n.t.Fatal(err)
	}
	return u
}

func (n *node) in(p presence.Place) presence.Room {
	n.t.Helper()
	r, err := n.In(context.Background(), p, 1000)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// awaitUser waits until a user has so many connections, seen from n.
func (n *node) awaitUser(user string, connections int) {
	n.t.Helper()
	await(n.t, fmt.Sprintf("%s with %d connections", user, connections), func() bool {
		u, err := n.Of(context.Background(), user)
		return err == nil && u.Connections == connections
	})
}

var (
	noon  = time.UnixMilli(1_790_000_000_000)
	lobby = presence.Place{Kind: "chat", Room: "lobby"}
	arena = presence.Place{Kind: "arena", Room: "one"}
)

// keysOf returns all keys of presence.
func keysOf(t testing.TB, c goredis.UniversalClient) []string {
	t.Helper()
	all, err := c.Keys(context.Background(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, k := range all {
		if strings.Contains(k, "presence") {
			keys = append(keys, k)
		}
	}
	return keys
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: %+v, want %+v", what, got, want)
	}
}

func freePort(t testing.TB) (port string, l net.Listener) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, l
}
