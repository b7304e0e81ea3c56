package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// DefaultPrefix is the key prefix where none is given.
const DefaultPrefix = "oriel"

// MaxPrefix bounds a key prefix, in bytes.
const MaxPrefix = 64

// Options say where Redis is. Only URLs is required.
type Options struct {
	// URLs are redis://user:password@host:port/database, rediss:// for TLS, or unix:///path. One,
	// or with Cluster or Master several that differ in host and port only.
	URLs []string
	// Cluster says that the URLs are nodes of a Redis Cluster.
	Cluster bool
	// Master is the name of a master that Sentinels at the URLs watch. User, password and
	// database of the URLs are the master's; SentinelUsername and SentinelPassword are the
	// Sentinels' own.
	Master                             string
	SentinelUsername, SentinelPassword string
	// TLS is used with rediss://; nil checks against the system's roots.
	TLS *tls.Config
	// DialTimeout bounds the time to connect. Default 2 s.
	DialTimeout time.Duration
	// Timeout bounds the wait for an answer; what has none by then is undecided. Default 3 s. A Redis
	// that is slower than this, say at an fsync, is repeatedly asked again.
	Timeout time.Duration
	// PoolSize bounds the connections to one server. Default 10 per core.
	PoolSize int
}

// New returns a client, which connects when it is first used.
func New(o Options) (goredis.UniversalClient, error) {
	c, err := o.client()
	if err != nil {
		return nil, &Error{Op: "options", Err: err}
	}
	return c, nil
}

func (o Options) client() (goredis.UniversalClient, error) {
	bad := func(format string, args ...any) (goredis.UniversalClient, error) {
		return nil, fmt.Errorf("%w: "+format, append([]any{ErrOptions}, args...)...)
	}
	switch {
	case len(o.URLs) == 0:
		return bad("no URL")
	case o.Cluster && o.Master != "":
		return bad("a Redis Cluster has no Sentinels")
	case len(o.URLs) > 1 && !o.Cluster && o.Master == "":
		return bad("several URLs are for a Redis Cluster or for Sentinels")
	}
	var first *goredis.Options
	var addrs []string
	for i, raw := range o.URLs {
		u, err := goredis.ParseURL(raw)
		if err != nil {
			return bad("URL %d: %w", i+1, withoutURL(err))
		}
		if first == nil {
			first = u
		} else if u.Username != first.Username || u.Password != first.Password || u.DB != first.DB || (u.TLSConfig == nil) != (first.TLSConfig == nil) {
			return bad("URL %d differs from the first in more than host and port", i+1)
		}
		addrs = append(addrs, u.Addr)
	}
	if o.Cluster && first.DB != 0 {
		return bad("a Redis Cluster has no databases")
	}
	if (o.Cluster || o.Master != "") && first.Network == "unix" {
		return bad("a Redis Cluster and Sentinels have no sockets of Unix")
	}
	if first.TLSConfig != nil && o.TLS != nil {
		t := o.TLS.Clone()
		if t.ServerName == "" && len(addrs) == 1 && o.Master == "" {
			t.ServerName = first.TLSConfig.ServerName
		}
		first.TLSConfig = t
	}
	def := func(d *time.Duration, v, standard time.Duration) {
		if *d = v; v <= 0 {
			*d = standard
		}
	}
	u := goredis.UniversalOptions{
		Addrs: addrs, DB: first.DB, Username: first.Username, Password: first.Password, TLSConfig: first.TLSConfig,
		MasterName: o.Master, SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		MaxRetries: -1, DialerRetries: 1, PoolSize: o.PoolSize,
		Protocol: 2, DisableIdentity: true, // nothing here needs what 3 pushes, or asks rights for it
	}
	def(&u.DialTimeout, o.DialTimeout, 2*time.Second)
	def(&u.ReadTimeout, o.Timeout, 3*time.Second)
	u.WriteTimeout, u.PoolTimeout = u.ReadTimeout, u.ReadTimeout
	switch {
	case o.Cluster:
		c := u.Cluster()
		c.MaxRedirects = 3
		c.DisableRoutingPolicies = true // they ask for COMMAND at every turn
		return goredis.NewClusterClient(c), nil
	case o.Master != "":
		return goredis.NewFailoverClient(u.Failover()), nil
	}
	c := u.Simple()
	c.Network = first.Network
	return goredis.NewClient(c), nil
}

// withoutURL returns an error of parsing a URL without the URL, which holds a password.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return errors.New("not a URL")
	}
	return err
}

// Key returns the key of a prefix, a hash tag and a suffix.
func Key(prefix, tag, suffix string) string { return prefix + ":{" + tag + "}" + suffix }

// ValidPrefix reports whether p can be a key prefix: 1 to [MaxPrefix] of A-Z a-z 0-9 . _ ~ : -
func ValidPrefix(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == '~', c == ':', c == '-':
		default:
			return false
		}
	}
	return p != "" && len(p) <= MaxPrefix
}
