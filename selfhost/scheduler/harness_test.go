package scheduler_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

func TestMain(m *testing.M) {
	// A store that has stopped keeps the engine's goroutines where they were, see its package.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/oriel-rooms/oriel/selfhost/store/pebble.park"),
		goleak.IgnoreAnyFunction("github.com/oriel-rooms/oriel/selfhost/store/pebble.(*committer).syncLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.openCleanupManager.func1"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/genericcache.(*shard[...]).releaseLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/record.NewLogWriter.func2"),
	)
}

// natives runs kinds in the test's own process.
type natives struct{ module *rooms.Module }

func (n natives) Kind(name string) (abi.KindOptions, bool) { return n.module.Manifest().Kind(name) }

func (n natives) Guest(string, string) (scheduler.Guest, error) {
	return native{roomtest.NewNative(n.module, nil)}, nil
}

type native struct{ *roomtest.Native }

func (native) Throttle(time.Time) time.Duration { return 0 }
func (n native) Close()                         { n.Sleep() }

// patience bounds every wait. It is long because the machine may be busy; nothing waits for it to pass.
const patience = time.Minute

// A node is a scheduler behind a real gateway, over a store.
type node struct {
	t         *testing.T
	url       string
	store     store.Store
	scheduler *scheduler.Scheduler
	stop      func()
}

// open starts a node; a nil store is a fresh one in memory.
func open(t *testing.T, m *rooms.Module, s store.Store) *node {
	t.Helper()
	if s == nil {
		var err error
		if s, err = pebble.OpenMemory(pebble.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	return openWith(t, natives{m}, s)
}

func openWith(t *testing.T, m scheduler.Modules, s store.Store, change ...func(*scheduler.Options)) *node {
	t.Helper()
	o := scheduler.Options{Modules: m, Store: s}
	for _, f := range change {
		f(&o)
	}
	sched, err := scheduler.New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Options{
		Rooms: sched,
		Admitter: gateway.AdmitFunc(func(_ context.Context, r *http.Request, _ abi.KindOptions, _ string) (gateway.Identity, error) {
			return gateway.Identity{User: r.URL.Query().Get("user")}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	n := &node{t: t, url: srv.URL, store: s, scheduler: sched}
	var once sync.Once
	n.stop = func() {
		once.Do(func() {
			g.Close()
			srv.Close()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := sched.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { n.stop(); _ = s.Close() })
	return n
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// client is one WebSocket.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (n *node) dial(kind, room, user string) *client { return n.dialAs(kind, room, user, nil) }

// dialAs speaks a subprotocol.
func (n *node) dialAs(kind, room, user string, o *websocket.DialOptions) *client {
	n.t.Helper()
	url := "ws" + strings.TrimPrefix(n.url, "http") + gateway.Prefix + kind + "/" + room + "?user=" + user
	ws, _, err := websocket.Dial(deadline(n.t), url, o)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{n.t, ws}
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(deadline(c.t), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) receive() string {
	c.t.Helper()
	_, b, err := c.ws.Read(deadline(c.t))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.receive(); got != w {
			c.t.Fatalf("received %q, want %q", got, w)
		}
	}
}

// closed reads until the server closes, and returns the code.
func (c *client) closed() abi.Code {
	c.t.Helper()
	for {
		if _, _, err := c.ws.Read(deadline(c.t)); err != nil {
			return abi.Code(websocket.CloseStatus(err))
		}
	}
}
