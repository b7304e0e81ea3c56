package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/builtin"
	"github.com/oriel-rooms/oriel/selfhost/config"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/link"
	"github.com/oriel-rooms/oriel/selfhost/modules"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/server"
)

// serve runs a node until ctx ends: the first signal drains, a second one ends the process as
// signals do, because stop gives them back.
func serve(ctx context.Context, stop func(), c *config.Config, stdout, stderr io.Writer) error {
	log := logger(c, stderr)
	o, err := options(c, log)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return err
	}
	s, err := server.New(ctx, o)
	if err != nil {
		return err
	}
	log.Info("serving", "listen", s.Addr().String(), "config", c)
	announce(c, s, stdout)
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, reloadSignals...)
	defer signal.Stop(reloads)
	// The node is seen to drain only once a second signal is no longer taken for another first one.
	serving, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	defer context.AfterFunc(ctx, func() {
		stop()
		drain()
	})()
	go func() {
		for {
			select {
			case <-reloads:
				if err := s.Reload(serving); err != nil {
					log.Error("a module was not reloaded; its old version stays", "err", err)
				}
			case <-serving.Done():
				return
			}
		}
	}()
	return s.Serve(serving)
}

func options(c *config.Config, log *slog.Logger) (server.Options, error) {
	o := server.Options{
		Listen: c.Listen, MetricsListen: c.MetricsListen, Data: c.Data,
		Policy: c.Policy(), TrustedProxies: c.TrustedProxies,
		HandshakeTimeout: c.HandshakeTimeout, HelloTimeout: c.HelloTimeout,
		DrainTimeout: c.DrainTimeout, DrainSpread: c.DrainSpread,
		Log: log, Version: version(),
		Runtime: runtime.Options{
			CacheDir: c.CacheDir, Workers: c.Workers, MemoryLimit: c.MemoryPerRoom,
			TurnFuel: fuel(c.TurnBudget), FuelPerSecond: fuel(c.RoomBudget),
		},
		Gateway: gateway.Options{
			Heartbeat: c.Heartbeat, RequestTimeout: c.RequestTimeout,
			MaxSockets: c.MaxConnections, MaxSocketsPerAddress: c.ConnectionsPerAddress,
			MaxRequests: c.MaxRequests, MaxRequestsPerAddress: c.RequestsPerAddress,
			AttemptsPerSecond: c.ConnectsPerSecondPerAddress, AttemptBurst: c.ConnectBurstPerAddress,
		},
	}
	if len(c.Redis) > 0 {
		redis.LogTo(log)
		cluster, err := clusterOptions(c)
		if err != nil {
			return o, err
		}
		o.Cluster = cluster
	}
	secrets := c.Secrets
	if len(secrets) == 0 { // only --dev gets here without one
		b := make([]byte, admission.MinSecret)
		_, _ = rand.Read(b) // never fails
		s, err := admission.NewSecret("", b)
		if err != nil {
			return o, err
		}
		secrets = []admission.Secret{s}
	}
	o.Policy.Keys, o.DevSecret = admission.Secrets(secrets), secrets[0]
	for _, path := range c.Modules {
		o.Modules = append(o.Modules, modules.File(path))
	}
	if len(o.Modules) == 0 {
		o.Modules = []modules.Source{{Name: "built in", Read: builtin.Module}}
	}
	return o, nil
}

func clusterOptions(c *config.Config) (*server.Cluster, error) {
	o := &server.Cluster{
		Redis:  redis.Options{URLs: c.Redis, Cluster: c.RedisCluster, Master: c.RedisMaster},
		Prefix: c.RedisPrefix, Listen: c.ClusterListen, Address: c.ClusterAddress,
		Lease: c.ClusterLease, Weight: c.ClusterWeight,
	}
	var err error
	if c.ClusterCert != "" {
		o.TLS, err = link.FileTLS(c.ClusterCert, c.ClusterKey, c.ClusterCA)
	} else {
		o.TLS, err = link.SecretTLS(c.ClusterSecret)
	}
	return o, err
}

// fuel turns computing time into the runtime's unit.
func fuel(d time.Duration) int64 {
	return int64(d) * runtime.DefaultTurnFuel / int64(20*time.Millisecond)
}

func logger(c *config.Config, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// announce tells a person where to look.
func announce(c *config.Config, s *server.Server, w io.Writer) {
	fmt.Fprintf(w, "\n  Oriel is ready: http://%s/\n", s.Addr())
	if a := s.MetricsAddr(); a != nil {
		fmt.Fprintf(w, "  metrics:        http://%s/metrics\n", a)
	}
	if c.Dev {
		fmt.Fprint(w, "  Open it in two windows and talk. Dev mode: anybody on this machine is anybody they like.\n")
	}
	fmt.Fprintln(w)
}
