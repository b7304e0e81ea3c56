package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
)

// A Config is the validated settings of a node. `oriel serve --help` describes each of
// them; the fields are in the same order. Every limit is at least 1: there is no
// way to say "none".
type Config struct {
	// Listen is the address for clients, host:port.
	Listen string
	// MetricsListen is the address of /metrics and the admin page; empty: there is none.
	MetricsListen string
	// Data is the folder of the store.
	Data string
	// Modules are paths of .wasm files; empty: the module that is part of the binary.
	Modules []string
	// Dev serves /v1/dev/token. Listen is a loopback address then, and Secrets may be empty:
	// the node makes one up.
	Dev bool

	// Secrets verify tokens; the first one signs.
	Secrets []admission.Secret
	// Audience and Issuer are what tokens must say; empty: they are not looked at.
	Audience []string
	Issuer   string
	// Cookie names the cookie that may carry a token; empty: none may.
	Cookie string
	// Origins are the web origins that may connect beside the node's own.
	Origins admission.Origins
	// TrustedProxies are the networks whose X-Forwarded-For and X-Forwarded-Proto count.
	TrustedProxies []netip.Prefix

	// MaxConnections and ConnectionsPerAddress bound open sockets, MaxRequests and
	// RequestsPerAddress the HTTP requests that run at one time.
	MaxConnections        int
	ConnectionsPerAddress int
	MaxRequests           int
	RequestsPerAddress    int
	// ConnectsPerSecondPerAddress and ConnectBurstPerAddress bound what one address tries.
	ConnectsPerSecondPerAddress float64
	ConnectBurstPerAddress      int

	// Heartbeat is the silence after which a client is pinged.
	Heartbeat time.Duration
	// HandshakeTimeout bounds the head of a request, HelloTimeout the time from the
	// upgrade to the first message, RequestTimeout an HTTP request to a room.
	HandshakeTimeout time.Duration
	HelloTimeout     time.Duration
	RequestTimeout   time.Duration

	// Redis are the URLs of the Redis that nodes share; empty: this is the only node.
	Redis []string
	// RedisMaster is the name that Sentinels at the URLs know the master under; RedisCluster says
	// that the URLs are nodes of a Redis Cluster.
	RedisMaster  string
	RedisCluster bool
	// RedisPrefix begins every key.
	RedisPrefix string
	// ClusterListen is the address for other nodes, ClusterAddress where they reach it. Never empty
	// with Redis.
	ClusterListen, ClusterAddress string
	// ClusterSecret authenticates nodes to each other, or ClusterCert, ClusterKey and ClusterCA, which
	// are names of PEM files, do.
	ClusterSecret                      []byte
	ClusterCert, ClusterKey, ClusterCA string
	// ClusterLease is how long a node that does not answer counts as alive, ClusterWeight its
	// share of the rooms in relation to others'.
	ClusterLease  time.Duration
	ClusterWeight int

	// Workers is how many turns compute at one time; 0: as many as there are cores.
	Workers int
	// MemoryPerRoom is the cap of one room's memory in bytes, a multiple of 64 KiB.
	MemoryPerRoom uint64
	// TurnBudget is the computing time of one turn, RoomBudget that of one room in a
	// second, at least TurnBudget.
	TurnBudget time.Duration
	RoomBudget time.Duration
	// CacheDir keeps compiled modules. Never empty.
	CacheDir string

	// DrainTimeout bounds an orderly end; DrainSpread is the time over which clients are
	// told to come back.
	DrainTimeout time.Duration
	DrainSpread  time.Duration

	// LogLevel and LogFormat say what is logged and how.
	LogLevel  slog.Level
	LogFormat LogFormat

	// given holds what each setting was given, for errors of the whole and for the log; of
	// secrets it holds their number only.
	given map[string]given
}

// LogFormat is how log lines look.
type LogFormat string

// The formats of log/slog's handlers.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Policy returns the part of the configuration that admission needs. With Dev its Keys
// may be empty; the node adds its own secret then.
func (c *Config) Policy() admission.Policy {
	return admission.Policy{
		Keys: admission.Secrets(c.Secrets), Audience: c.Audience, Issuer: c.Issuer,
		Cookie: c.Cookie, Origins: c.Origins, Dev: c.Dev,
	}
}

// Source says where a setting's value came from: "--listen", "ORIEL_LISTEN", the name of
// the file, or "default".
func (c *Config) Source(name string) string {
	if g, ok := c.given[name]; ok {
		return g.source
	}
	return "default"
}

// LogValue is a group with every setting that was given, as it was given. Secrets are
// counted, not shown.
func (c *Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for i := range settings {
		s := &settings[i]
		if g, ok := c.given[s.name]; ok {
			attrs = append(attrs, slog.Group(s.name, "value", strings.Join(g.values, ","), "from", g.source))
		}
	}
	return slog.GroupValue(attrs...)
}

// String is the same for people.
func (c *Config) String() string {
	var b strings.Builder
	for i := range settings {
		s := &settings[i]
		if g, ok := c.given[s.name]; ok {
			b.WriteString(s.name + " = " + strings.Join(g.values, ",") + " (" + g.source + ")\n")
		}
	}
	return b.String()
}
