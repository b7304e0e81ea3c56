// Package redistest starts real Redis servers for tests, and breaks them and the way to them.
package redistest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/redis"
)

// A Server is a redis-server process of the test's own, on a port and in a directory of its own. It
// ends with the test, also when the test's process is killed.
type Server struct {
	// Addr is its host:port, which stays over restarts.
	Addr string
	// Dir holds its files.
	Dir string

	port     int
	settings []string
	sentinel bool

	mu  sync.Mutex // guards below
	run *process   // nil while it is down
}

// Durable are the settings under which nothing that was answered is lost.
var Durable = []string{"appendonly yes", "appendfsync always"}

var quiet sync.Once

// Start starts a server with lines of redis.conf beside the usual: no snapshots and no append-only
// file. It returns once the server answers.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := New(t.TempDir(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// New is [Start] for a TestMain: dir is the caller's, which also has to call [Server.Kill].
func New(dir string, settings ...string) (*Server, error) {
	quiet.Do(func() { redis.LogTo(slog.New(slog.DiscardHandler)) }) // tests break connections by the thousand
	return newServer(dir, false, settings)
}

func newServer(dir string, sentinel bool, settings []string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("redis-server is missing: apt-get install redis-server")
	}
	var err error
	for range 20 {
		s := &Server{Dir: dir, settings: settings, sentinel: sentinel, port: freePort()}
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
		if err = s.start(); err == nil {
			return s, nil
		}
		if !errors.Is(err, errPort) {
			break
		}
	}
	return nil, err
}

// freePort returns a port that nobody listens on, and that the system gives to nobody who asks for
// any: the server must find it free again after a restart.
func freePort() int {
	for {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
}

var errPort = errors.New("the port is taken")

// config returns the lines of redis.conf.
func (s *Server) config() []string {
	conf := []string{"port " + strconv.Itoa(s.port), "bind 127.0.0.1", "dir " + s.Dir, "daemonize no", "logfile " + s.logFile()}
	if !s.sentinel {
		conf = append(conf, "save \"\"", "repl-diskless-sync-delay 0")
	}
	return append(conf, s.settings...)
}

func (s *Server) logFile() string { return filepath.Join(s.Dir, "redis.log") }

// start starts the process and waits for its first answer.
func (s *Server) start() error {
	file := filepath.Join(s.Dir, "redis.conf")
	if err := os.WriteFile(file, []byte(strings.Join(s.config(), "\n")+"\n"), 0o600); err != nil {
		return err
	}
	_ = os.Remove(s.logFile())
	args := []string{file}
	if s.sentinel {
		args = append(args, "--sentinel")
	}
	p, err := launch(args...)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		if ok, err := answers(s.Addr); ok {
			break
		} else if time.Now().After(deadline) {
			p.kill()
			return fmt.Errorf("redis-server does not answer: %w\n%s", err, s.log())
		}
		select {
		case <-p.gone:
			p.kill()
			text := s.log()
			if strings.Contains(text, "in use") {
				return errPort
			}
			return fmt.Errorf("redis-server ended\n%s", text)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = p
	return nil
}

func (s *Server) log() string {
	b, _ := os.ReadFile(s.logFile())
	return string(b)
}

// answers asks for a PING without the client library, whose pools would outlive the question. A server that
// wants a password answers too; one that loads its file is not ready.
func answers(addr string) (bool, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return false, err
	}
	return !strings.HasPrefix(line, "-LOADING"), errors.New(line)
}

// URL returns the server's URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Client returns a client as the server has it, which is closed when the test ends.
func (s *Server) Client(t testing.TB) goredis.UniversalClient {
	t.Helper()
	return Client(t, redis.Options{URLs: []string{s.URL()}})
}

// Client returns a client that is closed when the test ends.
func Client(t testing.TB, o redis.Options) goredis.UniversalClient {
	t.Helper()
	c, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Kill ends the process as kill -9 does. What the system has written by then is in the files.
func (s *Server) Kill() {
	s.mu.Lock()
	p := s.run
	s.run = nil
	s.mu.Unlock()
	if p != nil {
		p.kill()
	}
}

// Restart starts a killed server again, with the files that it left.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Pause stops the process where it is, as SIGSTOP does: connections stay, nothing is answered.
func (s *Server) Pause(t testing.TB) { s.signal(t, false) }

// Continue lets a paused process go on.
func (s *Server) Continue(t testing.TB) { s.signal(t, true) }

func (s *Server) signal(t testing.TB, resume bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		t.Fatal("the server is down")
	}
	if err := s.run.pause(resume); err != nil {
		t.Fatal(err)
	}
}

// StartReplica starts a replica of a server that is reached at an address, and waits until it has all
// that the master had.
func StartReplica(t testing.TB, addr string, settings ...string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	s := Start(t, append([]string{"replicaof " + host + " " + port}, settings...)...)
	c := s.Client(t)
	Await(t, "the replica is connected", func() bool {
		text, err := c.Info(context.Background(), "replication").Result()
		return err == nil && strings.Contains(text, "master_link_status:up")
	})
	return s
}

// StartSentinel starts one Sentinel, which alone decides when the master of a name is down: after half
// a second.
func StartSentinel(t testing.TB, name, addr string) *Server {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.TempDir(), true, []string{
		"sentinel monitor " + name + " " + host + " " + port + " 1",
		"sentinel down-after-milliseconds " + name + " 500",
		"sentinel failover-timeout " + name + " 3000",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s
}

// Calls returns how often each command was run since the server started or [Server.ResetCalls],
// those within scripts included.
func Calls(t testing.TB, c goredis.UniversalClient) map[string]int {
	t.Helper()
	text, err := c.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]int{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		n, _, _ := strings.Cut(rest, ",")
		calls[name], _ = strconv.Atoi(n)
	}
	return calls
}

// ResetCalls makes [Calls] begin at zero.
func ResetCalls(t testing.TB, c goredis.UniversalClient) {
	t.Helper()
	if err := c.ConfigResetStat(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
}

// StartCluster starts a Redis Cluster of one node, which has all slots.
func StartCluster(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := Start(t, append([]string{"cluster-enabled yes", "cluster-port " + strconv.Itoa(freePort())}, settings...)...)
	c := s.Client(t)
	ctx := context.Background()
	if err := c.Do(ctx, "cluster", "addslotsrange", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, err := c.ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(text, "cluster_state:ok") {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the Cluster is not ready: %v\n%s", err, text)
		}
	}
}

// IgnoreDialer is for leak checks: a pool whose server was away asks for it once more up to a second
// after it was closed.
func IgnoreDialer() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}

// Await waits until ok is true, and fails the test after a minute.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
