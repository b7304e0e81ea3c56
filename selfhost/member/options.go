package member

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/ring"
)

const (
	// DefaultPrefix begins every key in Redis if [Options.Prefix] is empty.
	DefaultPrefix = "oriel"
	// MaxPrefix bounds prefixes, in bytes.
	MaxPrefix = 64
	// DefaultLease is how long a node lives that does not renew its lease.
	DefaultLease = 5 * time.Second
	// MinLease and MaxLease bound [Options.Lease].
	MinLease = 500 * time.Millisecond
	MaxLease = 10 * time.Minute
	// MaxMembers bounds a fleet.
	MaxMembers = 10_000
)

// Options configure [Join]. Redis and Address are required.
type Options struct {
	// Redis is where the fleet meets. It should obey contexts (ContextTimeoutEnabled), or an attempt
	// at renewing may take as long as its ReadTimeout, and it must outlive the membership.
	Redis Client
	// Prefix begins every key: fleets with different prefixes do not see each other. At most
	// [MaxPrefix] printable bytes without spaces and braces. Default [DefaultPrefix].
	Prefix string
	// Address is where other nodes reach this one, host:port, at most [MaxAddress] bytes.
	Address string
	// Weight is the node's share of the rooms in relation to the others'. Default
	// [ring.DefaultWeight], at most [ring.MaxWeight].
	Weight int
	// Meta is what the others are told of this node.
	Meta Meta
	// Lease is how long the identity lives at Redis after the last renewal: [MinLease] to
	// [MaxLease], default [DefaultLease]. Nodes of one fleet may differ.
	Lease time.Duration
	// Above is a generation that the new one must exceed. A node that lost its lease gives
	// [Membership.Highest] of its last membership, so that generations rise even if Redis forgot them.
	Above uint64
	// Doubt, if not nil, is told true when the lease becomes doubtful and false when it was renewed
	// after all. It is not told of the end, which is [Membership.Lost]. It must not wait for anything.
	Doubt func(doubtful bool)
	// Log gets what goes wrong in the background. Default: nothing is logged.
	Log *slog.Logger
	// Now, for tests, replaces the clock: the time since some moment, more than 0, never going back.
	Now func() time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Weight <= 0 {
		o.Weight = ring.DefaultWeight
	}
	if o.Lease == 0 {
		o.Lease = DefaultLease
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = newClock()
	}
	err := checkAddress(o.Address)
	switch {
	case o.Redis == nil:
		return o, fmt.Errorf("%w: Redis is required", ErrOptions)
	case err != nil:
		return o, fmt.Errorf("%w: address %.300q: %v", ErrOptions, o.Address, err)
	case o.Weight > ring.MaxWeight:
		return o, fmt.Errorf("%w: weight %d, at most %d", ErrOptions, o.Weight, ring.MaxWeight)
	case o.Lease < MinLease || o.Lease > MaxLease:
		return o, fmt.Errorf("%w: a lease of %s, want %s to %s", ErrOptions, o.Lease, MinLease, MaxLease)
	case o.Above >= 1<<52:
		return o, fmt.Errorf("%w: generation above %d", ErrOptions, o.Above)
	}
	return o, nil
}

// word returns ten random characters.
func word() string { return strings.ToLower(rand.Text()[:10]) }
