package redis

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

var (
	ctx   = context.Background()
	roomA = store.RoomID{Kind: "chat", Name: "a"}
	// shared is a server for tests that do not harm it, each under a prefix of its own.
	shared *redistest.Server
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if shared, err = redistest.New(dir); err != nil {
		return 1, err
	}
	ignore := goleak.IgnoreCurrent() // what watches the server
	if code = m.Run(); code == 0 {
		err = goleak.Find(ignore, redistest.IgnoreDialer())
	}
	shared.Kill()
	return code, err
}

var lastName atomic.Uint64

// unique returns a name that no other test of this process has.
func unique(name string) string { return fmt.Sprint(name, "-", lastName.Add(1)) }

// alone says that every other node is dead.
func alone(context.Context, string) (bool, error) { return false, nil }

// openStore opens a store that is closed when the test ends.
func openStore(t testing.TB, c goredis.UniversalClient, o Options) *Store {
	t.Helper()
	if o.Node == "" {
		o.Node = unique("node")
	}
	if o.Alive == nil {
		o.Alive = alone
	}
	if o.ClaimTime == 0 {
		o.ClaimTime = 50 * time.Millisecond
	}
	s, err := Open(ctx, c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// onShared opens a store on the shared server, under a prefix of its own if it has none.
func onShared(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Prefix == "" {
		o.Prefix = unique("p")
	}
	return openStore(t, shared.Client(t), o)
}

func open1(t testing.TB, s *Store, id store.RoomID) *room {
	t.Helper()
	return storetest.Open(t, s, id).(*room)
}

func put(k, v string) store.Write { return storetest.Put(k, v) }

func wait(r store.Room, c store.Commit) error { return storetest.Wait(r, c) }

func proxyOptions(p *redistest.Proxy) redis.Options {
	return redis.Options{URLs: []string{p.URL()}, Timeout: 200 * time.Millisecond}
}
