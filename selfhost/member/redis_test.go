package member_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server is a real redis-server.
type server struct {
	t    testing.TB
	args []string
	addr string
	net  string
	cmd  *exec.Cmd
}

// durable makes a server keep its data when it is killed.
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

// newCluster returns a Redis Cluster of one node.
func newCluster(t testing.TB) *server {
	t.Helper()
	ports := [2]string{}
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // both at the end, so that they differ
		_, ports[i], _ = net.SplitHostPort(l.Addr().String())
	}
	s := newServer(t)
	s.kill()
	s.net, s.addr = "tcp", "127.0.0.1:"+ports[0]
	s.args = append(s.args, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--port", ports[0], "--cluster-port", ports[1])
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	c := s.client(0)
	defer func() { _ = c.Close() }()
	for deadline := time.Now().Add(30 * time.Second); c.Ping(context.Background()).Err() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("redis-server does not answer")
		}
	}
}

func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// client returns a client that does not try again, with a pool of some size (0: the default).
func (s *server) client(pool int) *redis.Client {
	return redis.NewClient(&redis.Options{Network: s.net, Addr: s.addr, MaxRetries: -1, ContextTimeoutEnabled: true, PoolSize: pool})
}

// open is client, closed at the end of the test.
func (s *server) open() *cut {
	c := s.client(0)
	s.t.Cleanup(func() { _ = c.Close() })
	return &cut{UniversalClient: c}
}

var errCut = errors.New("cut")

// A cut client can lose its connection, and be deaf to what is pushed.
type cut struct {
	redis.UniversalClient
	deaf bool
	off  atomic.Bool
	then atomic.Pointer[func()] // what happens after the next script, before its answer
}

func (c *cut) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	if c.deaf {
		channels = []string{"silence"}
	}
	return c.UniversalClient.Subscribe(ctx, channels...)
}

func (c *cut) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if c.off.Load() {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(errCut)
		return cmd
	}
	cmd := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if then := c.then.Swap(nil); then != nil {
		(*then)()
	}
	return cmd
}

var nodes atomic.Int64

// options returns those of a new node.
func options(c member.Client) member.Options {
	return member.Options{Redis: c, Address: "127.0.0.1:" + strconv.FormatInt(nodes.Add(1), 10), Lease: member.MaxLease}
}

func join(t testing.TB, o member.Options) *member.Membership {
	t.Helper()
	m, err := member.Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Crash)
	return m
}

func TestCluster(t *testing.T) {
	s := newCluster(t)
	s.start()
	plain := s.open()
	if err := plain.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr}, MaxRedirects: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = c.Close() })
	await(t, "the cluster", func() bool { return c.Set(t.Context(), "x", 1, 0).Err() == nil })
	a := join(t, options(c))
	b := join(t, options(c))
	awaitMembers(t, a, a, b)
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitMembers(t, a, a)
	if alive, err := a.Alive(t.Context(), b.Self().ID); alive || err != nil {
		t.Fatal(alive, err)
	}
}

// TestPermission: a user who may not do something gets one clear error.
func TestPermission(t *testing.T) {
	s := newServer(t)
	c := s.open()
	if err := c.Do(t.Context(), "ACL", "SETUSER", "weak", "on", ">pw", "~*", "&*", "+@all", "-zadd").Err(); err != nil {
		t.Fatal(err)
	}
	weak := redis.NewClient(&redis.Options{Network: s.net, Addr: s.addr, Username: "weak", Password: "pw", MaxRetries: -1})
	t.Cleanup(func() { _ = weak.Close() })
	_, err := member.Join(t.Context(), options(weak))
	var e *member.Error
	if !errors.As(err, &e) || e.Op != "join" || e.Node == "" {
		t.Fatalf("%v", err)
	}
	t.Log(err)
	if l, err := member.List(t.Context(), c, ""); err != nil || len(l) != 0 {
		t.Fatalf("%v, %v", l, err)
	}
}
