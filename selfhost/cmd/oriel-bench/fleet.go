package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	redisstore "github.com/oriel-rooms/oriel/selfhost/store/redis"
)

// A fleet is nodes, each a process of its own, that share a redis-server with appendonly yes and
// appendfsync always. Its settings are the defaults, but for the limits of one address.
type fleet struct {
	ctx    context.Context // ends every process
	dir    string
	oriel  string
	redis  *redistest.Server
	secret admission.Secret
	nodes  []*peer
}

// A peer is one node of a fleet, through all its processes.
type peer struct {
	flags   []string
	addr    string // for clients; kept over restarts
	metrics string
	links   string // its address in the cluster
	cmd     *exec.Cmd
}

const fleetSecret = "0123456789abcdef0123456789abcdef"

func newFleet(ctx context.Context, oriel string, n int) (f *fleet, err error) {
	f = &fleet{ctx: ctx, oriel: oriel}
	if f.dir, err = os.MkdirTemp(".", "oriel-bench-"); err != nil {
		return nil, err
	}
	if f.dir, err = filepath.Abs(f.dir); err != nil {
		return nil, err
	}
	if f.redis, err = redistest.New(f.dir, redistest.Durable...); err != nil {
		return nil, err
	}
	if f.secret, err = admission.NewSecret("", []byte(fleetSecret)); err != nil {
		return nil, err
	}
	for i := range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		links := l.Addr().String()
		_ = l.Close()
		m := &peer{links: links, flags: []string{
			"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data", filepath.Join(f.dir, strconv.Itoa(i)),
			"--cache-dir", filepath.Join(f.dir, "cache"), "--redis", f.redis.URL(), "--cluster-listen", links,
			"--connections-per-address", "16000", "--connects-per-second-per-address", "100000", "--connect-burst-per-address", "100000",
			"--requests-per-address", "1024", "--log-level", "error",
		}}
		f.nodes = append(f.nodes, m)
		if err := f.start(m); err != nil {
			f.close()
			return nil, err
		}
	}
	return f, f.whole(ctx)
}

// whole waits until every node has its links to all others: then they agree on the ring too.
func (f *fleet) whole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, m := range f.nodes {
		for {
			links, err := m.figure(ctx, "oriel_cluster_links")
			if err != nil {
				return err
			}
			if int(links) == len(f.nodes)-1 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

// start starts a node and waits until it serves.
func (f *fleet) start(m *peer) error {
	m.cmd = exec.CommandContext(f.ctx, f.oriel, m.flags...)
	m.cmd.Env = append(os.Environ(), "ORIEL_SECRET="+fleetSecret, "ORIEL_CLUSTER_SECRET="+fleetSecret)
	m.cmd.Stderr = os.Stderr
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		_, url, found := strings.Cut(lines.Text(), "http://")
		switch {
		case found && strings.HasSuffix(url, "/metrics"):
			m.metrics = "http://" + url
			m.flags[2] = m.addr
			return nil
		case found:
			m.addr = strings.TrimSuffix(url, "/")
		}
	}
	return errors.Join(errors.New("a node does not start"), m.cmd.Wait())
}

// stop sends a node a signal and waits for its end.
func (m *peer) stop(s os.Signal) error {
	if err := m.cmd.Process.Signal(s); err != nil {
		return err
	}
	err := m.cmd.Wait()
	m.cmd = nil
	if s == os.Kill {
		return nil
	}
	return err
}

func (f *fleet) close() {
	for _, m := range f.nodes {
		if m.cmd != nil {
			_ = m.stop(os.Kill)
		}
	}
	f.redis.Kill()
	_ = os.RemoveAll(f.dir)
}

func (f *fleet) token(user string) string {
	t, err := admission.Mint(f.secret, admission.Claims{User: user, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		panic(err) // the claims are ours
	}
	return t
}

// client connects to a room through a node.
func (f *fleet) client(ctx context.Context, m *peer, user, room string, change ...func(*client.Options)) (*client.Client, error) {
	o := client.Options{
		URL:         "ws://" + m.addr + "/v1/rooms/chat/" + room,
		Credential:  func(context.Context) (string, error) { return f.token(user), nil },
		BackoffBase: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	c, err := client.New(o)
	if err != nil {
		return nil, err
	}
	if err := c.Ready(ctx); err != nil {
		c.Abandon()
		return nil, err
	}
	return c, nil
}

// owner returns which node owns a room, by the record in Redis.
func (f *fleet) owner(ctx context.Context, room string) (*peer, error) {
	c, err := redis.New(redis.Options{URLs: []string{f.redis.URL()}})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var r redisstore.Record
	for until := time.Now().Add(patience); r.Owner.Node == "" && time.Now().Before(until); { // it may be on its way
		if r, err = redisstore.Inspect(ctx, c, redis.DefaultPrefix, store.RoomID{Kind: "chat", Name: room}); err != nil {
			return nil, err
		}
	}
	for _, m := range f.nodes {
		if strings.HasPrefix(r.Owner.Node, m.links+"#") {
			return m, nil
		}
	}
	return nil, fmt.Errorf("chat/%s belongs to %q", room, r.Owner.Node)
}

// figure reads one of a node's metrics.
func (m *peer) figure(ctx context.Context, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.metrics, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}
