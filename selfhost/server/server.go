package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/cluster"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/modules"
	"github.com/oriel-rooms/oriel/selfhost/presence"
	redispresence "github.com/oriel-rooms/oriel/selfhost/presence/redis"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

// A Server is one node.
type Server struct {
	o       Options
	door    *admission.Door
	store   store.Store
	runtime *runtime.Runtime
	modules *modules.Set
	redis   member.Client // nil on a single node, as node is
	node    *cluster.Node
	// alone is presence of a single node, everywhere that in a cluster.
	alone      *presence.Local
	everywhere *redispresence.Registry
	scheduler  *scheduler.Scheduler
	gateway    *gateway.Gateway
	presence   presence.Registry
	asks       *admission.Limiter[netip.Prefix] // questions about presence, by address

	listener, metricsListener net.Listener
	http, metrics             *http.Server
	ready                     atomic.Bool
	reload                    sync.Mutex // held while modules are loaded; guards ending
	ending                    bool
	storeErr                  error // why the store has stopped, when Serve has found out
}

// ErrEnding means that a server that drains, or has ended, does not reload.
var ErrEnding = errors.New("server: ending")

// New opens everything and listens. On an error nothing stays open.
func New(ctx context.Context, o Options) (_ *Server, err error) {
	s := &Server{o: o.withDefaults()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.door, err = admission.New(s.o.Policy); err != nil {
		return nil, err
	}
	s.asks = admission.NewLimiter[netip.Prefix](admission.Rate{PerSecond: asksPerSecond, Burst: asksBurst}, 0)
	if s.listener, err = net.Listen("tcp", s.o.Listen); err != nil {
		return nil, err
	}
	if s.o.MetricsListen != "" {
		if s.metricsListener, err = net.Listen("tcp", s.o.MetricsListen); err != nil {
			return nil, err
		}
	}
	ro := s.o.Runtime
	ro.Log = s.roomLog
	if s.runtime, err = runtime.New(ctx, ro); err != nil {
		return nil, err
	}
	if s.modules, err = modules.Load(ctx, s.runtime, s.o.Modules...); err != nil {
		return nil, err
	}
	// A node that has joined is given rooms: not before it can run them.
	if err = s.openStore(ctx); err != nil {
		return nil, err
	}
	so := scheduler.Options{Modules: s.modules, Store: s.store, Presence: s.presence, Log: s.o.Log}
	if s.node != nil {
		so.Cluster = s.node
	}
	if s.scheduler, err = scheduler.New(ctx, so); err != nil {
		return nil, err
	}
	if err = s.openGateway(); err != nil {
		return nil, err
	}
	s.http = gateway.NewHTTPServer(gateway.ServerOptions{Handler: s.routes(), Gateway: s.gateway, HeaderTimeout: s.o.HandshakeTimeout})
	s.metrics = gateway.NewHTTPServer(gateway.ServerOptions{Handler: s.operatorRoutes()})
	return s, nil
}

// openStore opens the embedded store, or joins the cluster, whose store is shared.
func (s *Server) openStore(ctx context.Context) error {
	if s.o.Cluster != nil {
		return s.joinCluster(ctx)
	}
	db, err := pebble.Open(filepath.Join(s.o.Data, "store"), pebble.Options{})
	if err != nil {
		return err
	}
	s.alone = &presence.Local{Grace: presence.DefaultGrace}
	s.presence = s.alone
	s.store = db // not before: a nil *pebble.Store in it would not be nil
	return nil
}

func (s *Server) openGateway() error {
	process, err := s.process()
	if err != nil {
		return err
	}
	g := s.o.Gateway
	g.Rooms, g.Admitter = s.scheduler, gateway.AdmitFunc(s.admit)
	g.Process, g.TrustedProxies = process, s.o.TrustedProxies
	g.Protocols = protocols(s.o.HelloTimeout)
	s.gateway, err = gateway.New(g)
	return err
}

// process is a number that no process before had, nor any other node has.
func (s *Server) process() (uint64, error) {
	if s.node != nil {
		return s.node.Process(), nil
	}
	return nextProcess(filepath.Join(s.o.Data, "process"))
}

// protocols is what the gateway answers without waking a room: the ping of the session
// protocol, which both of its forms send as text. Rooms that speak it refuse what comes too fast
// message by message; at twice the rate the gateway ends the connection.
func protocols(hello time.Duration) map[string]gateway.Protocol {
	p := gateway.Protocol{
		Request: []byte(`{"type":"ping"}`), Response: []byte(`{"type":"pong"}`), Encoding: abi.Text,
		Resync:     []byte(`{"type":"resync"}`),
		RateFactor: 2, HelloTimeout: hello,
	}
	return map[string]gateway.Protocol{"oriel.v1.json": p, "oriel.v1.bin": p}
}

// Addr is the address for clients.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// MetricsAddr is the address for operators, nil if there is none.
func (s *Server) MetricsAddr() net.Addr {
	if s.metricsListener == nil {
		return nil
	}
	return s.metricsListener.Addr()
}

// Kinds returns the options of every kind that is loaded.
func (s *Server) Kinds() []abi.KindOptions { return s.modules.Kinds() }

// Reload loads changed modules again and moves their rooms to the new versions, without
// disconnecting anyone. A module that fails stays at its old version. It may be called at any time.
func (s *Server) Reload(ctx context.Context) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	if s.ending {
		return ErrEnding
	}
	kinds, err := s.modules.Reload(ctx)
	for _, k := range kinds {
		s.scheduler.Replace(k)
		s.o.Log.Info("a new version of a kind runs", "kind", k)
	}
	return err
}

// Serve answers clients until ctx ends, and then ends in an orderly way; nil means that
// everything was handed back. If the store stops, it ends at once with the store's error: the
// process should be started again.
func (s *Server) Serve(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- s.http.Serve(s.listener) }()
	if s.metricsListener != nil {
		go func() { failed <- s.metrics.Serve(s.metricsListener) }()
	}
	if s.node != nil {
		s.node.Start(s.scheduler)
	}
	s.ready.Store(true)
	var err error
	select {
	case <-ctx.Done():
	case <-s.store.Stopped():
		err = s.store.Err()
		s.storeErr = err
		s.o.Log.Error("the store has stopped; start the process again once the cause is gone", "err", err)
	case err = <-failed:
	}
	s.ready.Store(false)
	return errors.Join(err, s.drain())
}

// drain takes the node out of service: clients first, then rooms, then the store.
func (s *Server) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.DrainTimeout)
	defer cancel()
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	if s.node != nil && s.storeErr == nil { // rooms first: their clients on other nodes do not notice
		moving, done := context.WithTimeout(ctx, s.o.DrainTimeout/2)
		note("moving rooms", s.node.Drain(moving))
		done()
	}
	note("clients", s.gateway.Drain(ctx, s.o.DrainSpread))
	s.gateway.Close()
	s.reload.Lock()
	s.ending = true
	s.reload.Unlock()
	// Rooms before the HTTP server: it waits for requests, some of which wait for rooms that may never
	// answer, and a room that closes tells them so.
	note("rooms", s.scheduler.Close(ctx))
	note("http", s.http.Shutdown(ctx))
	note("metrics", s.metrics.Shutdown(ctx))
	note("close", s.close())
	return errors.Join(errs...)
}

// close gives back what New opened, in the reverse order.
func (s *Server) close() error {
	var errs []error
	if s.gateway != nil {
		s.gateway.Close()
	}
	if s.scheduler != nil {
		ctx, cancel := context.WithTimeout(context.Background(), s.o.DrainTimeout)
		defer cancel()
		errs = append(errs, s.scheduler.Close(ctx))
	}
	if s.modules != nil {
		s.modules.Close()
	}
	if s.runtime != nil {
		errs = append(errs, s.runtime.Close(context.Background()))
	}
	if s.store != nil {
		if err := s.store.Close(); s.storeErr == nil { // else it says the same again
			errs = append(errs, err)
		}
	}
	if s.alone != nil {
		s.alone.Close()
	}
	if s.everywhere != nil {
		s.everywhere.Close()
	}
	if s.node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
		defer cancel()
		errs = append(errs, s.node.Close(ctx))
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	for _, l := range []net.Listener{s.listener, s.metricsListener} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// roomLog passes on what rooms log.
func (s *Server) roomLog(l runtime.LogLine) {
	attrs := []any{"room", l.Room}
	if l.Trapped {
		attrs = append(attrs, "trapped", true)
	}
	s.o.Log.Log(context.Background(), slog.Level(l.Level), l.Text, attrs...)
}

// StoreStats returns the store's counters.
func (s *Server) StoreStats() store.Stats { return s.store.Stats() }
