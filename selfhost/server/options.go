package server

import (
	"crypto/tls"
	"log/slog"
	"net/netip"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/modules"
	"github.com/oriel-rooms/oriel/selfhost/redis"
)

// Options say what a node is made of. Listen, Data, Modules and Policy are needed.
type Options struct {
	// Listen is the address for clients, MetricsListen that of /metrics, /healthz and /readyz
	// for operators; empty: no such listener.
	Listen, MetricsListen string
	// Data is the folder of the store.
	Data string
	// Modules are the room modules.
	Modules []modules.Source
	// Policy says who may come in. Its Dev makes the dev token endpoint answer.
	Policy admission.Policy
	// DevSecret signs the dev tokens; it is one of Policy's keys.
	DevSecret admission.Secret
	// Runtime and Gateway carry the limits of the two; what the server fills in itself is
	// overwritten.
	Runtime runtime.Options
	Gateway gateway.Options
	// HandshakeTimeout bounds the head of a request. Default 10 s.
	HandshakeTimeout time.Duration
	// HelloTimeout bounds the time from the upgrade to a client's first message, in session
	// protocol rooms. Default 10 s.
	HelloTimeout time.Duration
	// TrustedProxies are the networks whose forwarding headers are believed.
	TrustedProxies []netip.Prefix
	// DrainTimeout bounds an orderly end. Default 30 s. DrainSpread is the time over which
	// clients are told to come back. Default 5 s.
	DrainTimeout, DrainSpread time.Duration
	// Cluster, if not nil, makes this one node of several.
	Cluster *Cluster
	// Log is where the server writes. Default slog.Default().
	Log *slog.Logger
	// Version is reported by /healthz and the metrics.
	Version string
}

// Cluster says where a node's fleet meets and how its nodes trust each other.
type Cluster struct {
	// Redis is the Redis that they share.
	Redis redis.Options
	// Prefix begins every key in it.
	Prefix string
	// Listen is the address for other nodes, Address where they reach it; empty: the same.
	Listen, Address string
	// TLS is of the links between nodes: [link.SecretTLS] or [link.FileTLS].
	TLS *tls.Config
	// Lease is how long a node that does not answer counts as alive. Default 5 s. Weight is this node's
	// share of the rooms. Default 100.
	Lease  time.Duration
	Weight int
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	or(&o.HelloTimeout, 10*time.Second)
	or(&o.DrainTimeout, 30*time.Second)
	or(&o.DrainSpread, 5*time.Second)
	return o
}

func or[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
