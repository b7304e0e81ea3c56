//go:build unix

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestStop: SIGTERM sends everybody away in an orderly way, and nothing is lost.
func TestStop(t *testing.T) {
	n := newNode(t, "--module", built.kinds, "--drain-spread", "2s", "--request-timeout", patience.String(), "--drain-timeout", patience.String())
	p := n.start()
	const people = 20
	l := &ledger{acks: make(chan struct{}, 4096)}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	type farewell struct {
		code  abi.Code
		retry time.Duration
		until time.Time
	}
	left := make(chan farewell, people)
	for i := range people {
		name := fmt.Sprint("user", i)
		var once sync.Once
		c := n.client("journal/stop", name, func(o *client.Options) {
			o.Binary = i%2 == 1
			o.State = func(s client.State) {
				if s.Phase != client.Waiting {
					return
				}
				once.Do(func() {
					var e websocket.CloseError
					if !asError(s.Err, &e) {
						t.Errorf("%s: the connection ended with %v", name, s.Err)
					}
					left <- farewell{abi.Code(e.Code), abi.RetryHint(e.Reason), s.Until}
				})
			}
		})
		ready(t, c)
		wg.Go(func() { publisher{name: name, event: "message", open: 1}.run(ctx, t, c, l) })
	}
	for range 200 {
		<-l.acks
	}
	release := n.holdDrain("journal/stop") // so that what a draining node answers can be seen
	signaled := time.Now()
	p.signal(t, syscall.SIGTERM)
	n.awaitDrain(p)
	var hints []time.Duration
	for range people {
		select {
		case f := <-left:
			if f.code != abi.CodeRestarting || f.retry <= 0 || f.retry > 2*time.Second {
				t.Errorf("sent away with %v, retry %v", f.code, f.retry)
			}
			if d := f.until.Sub(signaled); d < f.retry {
				t.Errorf("comes back %v after the signal, was asked to wait %v", d, f.retry)
			}
			hints = append(hints, f.retry)
		case <-time.After(patience):
			t.Fatal("not everybody is sent away")
		}
	}
	slices.Sort(hints)
	if d := hints[people-1] - hints[0]; d < time.Second {
		t.Errorf("the hints are not spread: %v", hints)
	}
	release()
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	n.start()
	seen := len(l.acks)
	for range seen + people { // they come back to the next process and go on
		select {
		case <-l.acks:
		case <-time.After(patience):
			t.Fatal("nothing is acknowledged after the restart")
		}
	}
	stop()
	wg.Wait()
	for _, f := range faults(history(t, n.addr, "journal/stop", token(t, "auditor")), l.claims) {
		t.Error(f)
	}
}

// holdDrain begins a request whose body does not come. A node that drains waits for it, for the
// request's timeout at most or until release is called.
func (n *node) holdDrain(room string) (release func()) {
	n.t.Helper()
	c := dialTCP(n.t, n)
	if _, err := fmt.Fprintf(c, "POST /v1/rooms/%s/publish HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n", room, n.addr, token(n.t, "slow")); err != nil {
		n.t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		n.t.Fatalf("%q, %v", line, err)
	}
	return func() { _ = c.Close() }
}

// awaitDrain waits until a process says that it takes nobody any more.
func (n *node) awaitDrain(p *process) {
	n.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		status, body := n.get(p.metrics + "/readyz")
		if status == http.StatusServiceUnavailable {
			if !strings.Contains(body, "draining") {
				n.t.Errorf("readyz of a draining node: %s", body)
			}
			return
		}
		if time.Now().After(deadline) {
			n.t.Fatal("it does not drain")
		}
	}
}

// TestSecondSignal ends a process that has not drained yet.
func TestSecondSignal(t *testing.T) {
	n := newNode(t, "--module", built.kinds, "--request-timeout", patience.String(), "--drain-timeout", patience.String())
	p := n.start()
	n.holdDrain("journal/second")
	p.signal(t, syscall.SIGTERM)
	n.awaitDrain(p)
	p.signal(t, syscall.SIGTERM)
	p.wait(t)
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v", p.cmd.ProcessState)
	}
}

// TestReload: SIGHUP puts a new version under the rooms and disconnects nobody; a broken file is
// refused and the old version stays.
func TestReload(t *testing.T) {
	second, err := module("kinds2", "./testdata/kinds", "-ldflags=-X main.version=2")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kinds.wasm")
	put := func(from string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	put(built.kinds)
	n := newNode(t, "--module", path)
	p := n.start()
	var r reader
	phases := make(chan client.Phase, 64)
	c := n.client("journal/reload", "ann", r.options, func(o *client.Options) {
		o.State = func(s client.State) { phases <- s.Phase }
	})
	ready(t, c)
	version := func() string {
		t.Helper()
		got, err := c.Request(limited(t), "version", protocol.Payload{})
		if err != nil {
			t.Fatal(err)
		}
		return string(got.Data)
	}
	publish := func(data string) {
		t.Helper()
		if _, err := c.Publish(limited(t), "message", protocol.JSONPayload(data)); err != nil {
			t.Fatal(err)
		}
	}
	if v := version(); v != `"1"` {
		t.Fatalf("version %s", v)
	}
	publish("1")
	put(second)
	p.signal(t, syscall.SIGHUP)
	p.log.await(t, "a new version of a kind runs")
	p.log.await(t, "kind=journal")
	if v := version(); v != `"2"` {
		t.Errorf("version %s after the reload", v)
	}
	publish("2")
	if err := os.WriteFile(path, []byte("\x00asm nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	p.log.await(t, "a module was not reloaded; its old version stays")
	if v := version(); v != `"2"` {
		t.Errorf("version %s after a broken file", v)
	}
	publish("3")
	if c.Place().Offset != 3 {
		r.await(t, c, 3)
	}
	for len(phases) > 0 {
		if phase := <-phases; phase != client.Connecting && phase != client.Open {
			t.Errorf("the client was disconnected: %s", phase)
		}
	}
	c.Abandon()
	r.check(t, "the client", history(t, n.addr, "journal/reload", token(t, "auditor")))
}

// TestSettings that are wrong end the process with one line.
func TestSettings(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	broken := filepath.Join(t.TempDir(), "broken.wasm")
	if err := os.WriteFile(broken, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		flags []string
		want  string
		code  int
	}{
		"unknown flag":   {[]string{"--lisen", "x"}, "lisen", 2},
		"bad duration":   {[]string{"--heartbeat", "soon"}, "heartbeat", 2},
		"port taken":     {[]string{"--listen", busy.Addr().String()}, "address already in use", 1},
		"no such module": {[]string{"--module", "/nowhere.wasm"}, "nowhere.wasm", 1},
		"broken module":  {[]string{"--module", broken}, "broken.wasm", 1},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, append([]string{"--module", built.kinds}, c.flags...)...)
			p := n.launch()
			if code := p.wait(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			said := strings.TrimSpace(p.log.String())
			if !strings.Contains(said, c.want) || strings.Count(said, "\n") > 0 {
				t.Errorf("it says %q", said)
			}
		})
	}
	t.Run("data in use", func(t *testing.T) {
		n := newNode(t, "--module", built.kinds)
		n.start()
		other := newNode(t, "--module", built.kinds)
		other.data = n.data
		p := other.launch()
		if code := p.wait(t); code != 1 || strings.Count(strings.TrimSpace(p.log.String()), "\n") > 0 {
			t.Errorf("exit code %d, %s", code, p.log.String())
		}
	})
}
