package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/rooms/client"
)

const (
	// patience bounds every wait. It is long because machines can be slow; nothing waits for
	// it to pass.
	patience = 60 * time.Second
	secret   = "0123456789abcdef0123456789abcdef"
)

// node is one oriel server's folder and address, through all its processes.
type node struct {
	t       testing.TB
	data    string
	addr    string
	flags   []string
	oriel   string   // the binary
	env     []string // beside this process's
	http    *http.Client
	process *process
}

// process is one run of the binary.
type process struct {
	cmd     *exec.Cmd
	ready   chan struct{} // closed when it has announced itself
	metrics string        // address, once ready
	exited  chan struct{} // closed when it has ended and err is set
	err     error
	log     logs
}

// logs collects what a process writes.
type logs struct {
	mu    sync.Mutex // guards the fields below
	b     bytes.Buffer
	lines chan struct{} // closed and replaced at each write
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines != nil {
		close(l.lines)
	}
	l.lines = make(chan struct{})
	return l.b.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits for a line that holds s.
func (l *logs) await(t testing.TB, s string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		if l.lines == nil {
			l.lines = make(chan struct{})
		}
		found, more := strings.Contains(l.b.String(), s), l.lines
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("the server's log has no %q", s)
		}
	}
}

// newNode prepares a node that is not running. Flags are added to those that every test needs.
func newNode(t testing.TB, flags ...string) *node {
	t.Helper()
	addr := reserve(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, data: filepath.Join(dir, "data"), addr: addr, oriel: built.oriel, http: &http.Client{Transport: &http.Transport{}}}
	n.flags = append([]string{
		"serve", "--listen", addr, "--metrics-listen", "127.0.0.1:0", "--secret-file", file,
		"--cache-dir", built.cache, "--drain-spread", "300ms",
	}, flags...)
	t.Cleanup(func() {
		if n.process != nil {
			n.kill()
		}
		n.http.CloseIdleConnections()
	})
	return n
}

// launch starts a process and does not wait for it to be ready.
func (n *node) launch() *process {
	n.t.Helper()
	p := &process{cmd: exec.Command(n.oriel, append(n.flags, "--data", n.data)...), ready: make(chan struct{}), exited: make(chan struct{})}
	p.cmd.Stderr = &p.log
	p.cmd.Env = append(append(os.Environ(), "GOTRACEBACK=all"), n.env...)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go p.follow(out)
	n.process = p
	n.t.Cleanup(func() {
		if n.t.Failed() {
			n.t.Logf("log of process %d:\n%s", p.cmd.Process.Pid, tail(p.log.String(), 8000))
		}
	})
	return p
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// follow reads the announcement, and waits for the process.
func (p *process) follow(out io.Reader) {
	lines := bufio.NewScanner(out)
	announced := false
	for lines.Scan() {
		if _, a, ok := strings.Cut(lines.Text(), "metrics:"); ok {
			a = strings.TrimSpace(a)
			p.metrics = strings.TrimSuffix(a, "/metrics")
			announced = true
			close(p.ready)
		}
	}
	p.err = p.cmd.Wait()
	close(p.exited)
	if !announced {
		p.metrics = ""
	}
}

// start starts a process and waits until it serves.
func (n *node) start() *process {
	n.t.Helper()
	p := n.launch()
	select {
	case <-p.ready:
	case <-p.exited:
		n.t.Fatalf("the server ended at once: %v\n%s", p.err, p.log.String())
	case <-time.After(patience):
		n.t.Fatal("the server does not get ready")
	}
	return p
}

// kill ends the process as a crash would.
func (n *node) kill() {
	n.t.Helper()
	_ = n.process.cmd.Process.Kill() // it may have ended
	n.process.wait(n.t)
	n.process = nil
}

// wait waits for the process's end and returns its exit code, -1 after a signal.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		t.Fatalf("the server does not end\n%s", tail(p.log.String(), 4000))
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// token makes a credential.
func token(t testing.TB, user string, change ...func(*admission.Claims)) string {
	t.Helper()
	s, err := admission.NewSecret("", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	c := admission.Claims{User: user, IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)}
	for _, f := range change {
		f(&c)
	}
	tok, err := admission.Mint(s, c)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// client starts a Go client for a room, such as "chat/lobby". It comes back quickly.
func (n *node) client(room, user string, change ...func(*client.Options)) *client.Client {
	n.t.Helper()
	tok := token(n.t, user)
	o := client.Options{
		URL: "ws://" + n.addr + "/v1/rooms/" + room, HTTP: n.http,
		Credential:  func(context.Context) (string, error) { return tok, nil },
		BackoffBase: 20 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	c, err := client.New(o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(c.Abandon)
	return c
}

// ready waits until a client is open.
func ready(t testing.TB, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// limited is a context for one step.
func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// get makes an HTTP request to the node, or to its operators' listener for a full address.
func (n *node) get(url string) (status int, body string) {
	n.t.Helper()
	if strings.HasPrefix(url, "/") {
		url = "http://" + n.addr + url
	}
	req, err := http.NewRequestWithContext(limited(n.t), http.MethodGet, url, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := n.http.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
