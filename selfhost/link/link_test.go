package link_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("a secret of at least thirty-two bytes")

// A site is a node's links behind a listener.
type site struct {
	*link.Links
	id   string
	ln   net.Listener
	logs *lines
}

// lines is a log that tests read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), s)
}

func open(t *testing.T, generation, cluster string, key []byte, accept func(string, *link.Stream)) *site {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config, err := link.SecretTLS(key)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{id: ln.Addr().String() + "#" + generation, ln: ln, logs: &lines{}}
	if accept == nil {
		accept = echo
	}
	s.Links = link.New(link.Options{Self: s.id, Cluster: cluster, TLS: config, Accept: accept,
		Log: slog.New(slog.NewTextHandler(s.logs, nil))})
	go func() {
		if err := s.Serve(ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(s.Close)
	return s
}

// echo sends back what comes, behind who sent it.
func echo(node string, s *link.Stream) {
	for {
		b, err := s.Recv(1 << 20)
		if err != nil {
			return
		}
		if s.Send(append([]byte(node+" "), b...)) != nil {
			return
		}
	}
}

func meet(sites ...*site) {
	var ids []string
	for _, s := range sites {
		ids = append(ids, s.id)
	}
	for _, s := range sites {
		s.SetNodes(ids)
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func ask(t *testing.T, from, to *site, text string) string {
	t.Helper()
	s, err := from.Open(deadline(t), to.id)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Send([]byte(text)); err != nil {
		t.Fatal(err)
	}
	b, err := s.Recv(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEitherSideOpens(t *testing.T) {
	a, b := open(t, "1", "x", secret, nil), open(t, "2", "x", secret, nil)
	meet(a, b)
	for range 3 {
		if got := ask(t, a, b, "hello"); got != a.id+" hello" {
			t.Errorf("got %q", got)
		}
		if got := ask(t, b, a, "and back"); got != b.id+" and back" {
			t.Errorf("got %q", got)
		}
	}
	if st := a.Stats(); st.Made != 1 || st.Links != 1 {
		t.Errorf("%d links made, %d up, want one for the pair", st.Made, st.Links)
	}
	if st := b.Stats(); st.Made != 1 {
		t.Errorf("%d links made, want one for the pair", st.Made)
	}
}

// TestAStalledStreamHoldsUpNoOther fills a stream that nobody reads, and uses another.
func TestAStalledStreamHoldsUpNoOther(t *testing.T) {
	stall := make(chan struct{})
	a := open(t, "1", "x", secret, nil)
	b := open(t, "2", "x", secret, func(node string, s *link.Stream) {
		first, err := s.Recv(64)
		if err != nil {
			return
		}
		if string(first) == "stall" {
			<-stall
			return
		}
		_ = s.Send(first)
		echo(node, s)
	})
	defer close(stall)
	meet(a, b)
	busy, err := a.Open(deadline(t), b.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := busy.Send([]byte("stall")); err != nil {
		t.Fatal(err)
	}
	blocked := make(chan error, 1)
	go func() {
		for {
			if err := busy.Send(make([]byte, 64<<10)); err != nil {
				blocked <- err
				return
			}
		}
	}()
	for range 100 {
		if got := ask(t, a, b, "quick"); got != "quick" {
			t.Fatalf("got %q", got)
		}
	}
	select {
	case err := <-blocked:
		t.Fatalf("the stalled stream ended: %v", err)
	default:
	}
	_ = busy.Close()
	if err := <-blocked; err == nil {
		t.Error("a Send on a closed stream did not fail")
	}
}

func TestWhatWasSentBeforeCloseArrives(t *testing.T) {
	got := make(chan int, 1)
	a := open(t, "1", "x", secret, nil)
	b := open(t, "2", "x", secret, func(_ string, s *link.Stream) {
		n := 0
		for {
			f, err := s.Recv(1 << 20)
			if err != nil {
				if err != io.EOF {
					t.Errorf("the stream ended with %v", err)
				}
				got <- n
				return
			}
			n += len(f)
		}
	})
	meet(a, b)
	s, err := a.Open(deadline(t), b.id)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.Send(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Close()
	if n := <-got; n != 2_000_000 {
		t.Errorf("%d bytes arrived", n)
	}
}

// TestALinkThatBreaksIsMadeAgain goes through a proxy that cuts.
func TestALinkThatBreaksIsMadeAgain(t *testing.T) {
	a, b := open(t, "1", "x", secret, nil), open(t, "2", "x", secret, nil)
	meet(a, b)
	ask(t, a, b, "before")
	ended := make(chan error, 1)
	s, err := a.Open(deadline(t), b.id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(1000); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := s.Recv(1000)
		ended <- err
	}()
	// b forgets a for a moment, and cuts the link.
	b.SetNodes(nil)
	if err := <-ended; err == nil {
		t.Error("the stream outlived its link")
	}
	if _, err := b.Open(deadline(t), a.id); !errors.Is(err, link.ErrUnknown) {
		t.Errorf("a node that is gone: %v", err)
	}
	meet(a, b)
	if got := ask(t, a, b, "after"); !strings.HasSuffix(got, " after") {
		t.Errorf("got %q", got)
	}
}

func TestWhoIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		cluster string
		key     []byte
		says    string
	}{
		"another secret":  {"x", []byte("another secret of thirty-two bytes and more"), "secret"},
		"another cluster": {"y", secret, `this node is of cluster \"x\", not \"y\"`},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t, "1", "x", secret, nil), open(t, "2", c.cluster, c.key, nil)
			meet(a, b)
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			if _, err := a.Open(ctx, b.id); !errors.Is(err, link.ErrUnreachable) {
				t.Errorf("a link was made: %v", err)
			}
			for !a.logs.has("secret") && !b.logs.has("secret") && !a.logs.has("of cluster") && !b.logs.has("of cluster") {
				select {
				case <-deadline(t).Done():
					t.Fatal("nobody says why")
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

// TestAnAddressTakenOver: a node that was started again at the same address is not the one before.
// TestMeet: who is not a node yet can find out whether it has the secret, and no node complains of that.
func TestMeet(t *testing.T) {
	a := open(t, "1", "x", secret, nil)
	address, _, _ := strings.Cut(a.id, "#")
	meet := func(address, secret string) error {
		config, err := link.SecretTLS([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return link.Meet(ctx, address, config)
	}
	if err := meet(address, string(secret)); err != nil {
		t.Error(err)
	}
	for a.Stats().Refused == 0 {
		<-time.After(time.Millisecond)
	}
	if a.logs.has("refused") {
		t.Errorf("it says %s", a.logs.buf.String())
	}
	if err := meet(address, "another secret of thirty-two bytes and more"); !errors.Is(err, link.ErrSecret) {
		t.Errorf("with another secret: %v", err)
	}
	if err := meet("127.0.0.1:1", string(secret)); err == nil || errors.Is(err, link.ErrSecret) {
		t.Errorf("of nobody: %v", err)
	}
}

func TestAnAddressTakenOver(t *testing.T) {
	a, b := open(t, "1", "x", secret, nil), open(t, "2", "x", secret, nil)
	old := *b
	old.id = strings.TrimSuffix(b.id, "2") + "1"
	a.SetNodes([]string{old.id})
	b.SetNodes([]string{a.id})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := a.Open(ctx, old.id); !errors.Is(err, link.ErrUnreachable) {
		t.Errorf("a link to a dead generation: %v", err)
	}
}

func TestHostileBytes(t *testing.T) {
	a := open(t, "1", "x", secret, nil)
	for _, b := range []string{"", "\x00", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\xff", 70_000)} {
		c, err := net.Dial("tcp", a.ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte(b)) // it may cut us off in the middle
		_ = c.(*net.TCPConn).CloseWrite()
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%.10q is still connected", b)
		}
		_ = c.Close()
	}
}

func TestFrameLimit(t *testing.T) {
	bad := make(chan error, 1)
	a := open(t, "1", "x", secret, nil)
	b := open(t, "2", "x", secret, func(_ string, s *link.Stream) {
		if _, err := s.Recv(100); err != nil {
			bad <- err
			return
		}
		_, err := s.Recv(100)
		bad <- err
	})
	meet(a, b)
	s, err := a.Open(deadline(t), b.id)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, n := range []int{100, 101} {
		if err := s.Send(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-bad; !errors.Is(err, link.ErrFrame) {
		t.Errorf("a frame beyond the limit: %v", err)
	}
}

func TestSecretLength(t *testing.T) {
	if _, err := link.SecretTLS(make([]byte, link.MinSecret-1)); err == nil {
		t.Error("a short secret was taken")
	}
	if _, err := link.SecretTLS(make([]byte, link.MinSecret)); err != nil {
		t.Error(err)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{100, 10_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			config, err := link.SecretTLS(secret)
			if err != nil {
				b.Fatal(err)
			}
			var all []*link.Links
			var ids []string
			for i := range 2 {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				id := fmt.Sprintf("%s#%d", ln.Addr(), i)
				l := link.New(link.Options{Self: id, Cluster: "x", TLS: config, Accept: echo})
				go l.Serve(ln)
				defer l.Close()
				all, ids = append(all, l), append(ids, id)
			}
			all[0].SetNodes(ids)
			all[1].SetNodes(ids)
			s, err := all[0].Open(context.Background(), ids[1])
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			frame := make([]byte, size)
			for b.Loop() {
				if err := s.Send(frame); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Recv(1 << 20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
