package server

import (
	"context"
	"fmt"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/cluster"
	"github.com/oriel-rooms/oriel/selfhost/member"
	redispresence "github.com/oriel-rooms/oriel/selfhost/presence/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	redisstore "github.com/oriel-rooms/oriel/selfhost/store/redis"
)

// joinTimeout bounds what a node does at Redis before it serves.
const joinTimeout = 15 * time.Second

// leaveTimeout bounds what it does there at its end; without it its lease runs out.
const leaveTimeout = 2 * time.Second

// joinCluster checks the Redis and makes this process a node of its fleet.
func (s *Server) joinCluster(ctx context.Context) error {
	o := s.o.Cluster
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	var err error
	if s.redis, err = redis.New(o.Redis); err != nil {
		return err
	}
	service, err := redis.Check(ctx, s.redis, o.Prefix)
	if err != nil {
		return err
	}
	switch service.Durability {
	case redis.Full:
	default:
		s.o.Log.Warn("this Redis may lose acknowledged messages in a crash or fail-over; every client is told then", "why", service.Reason)
	}
	if s.everywhere, err = redispresence.New(redispresence.Options{Redis: s.redis, Prefix: o.Prefix, Log: s.o.Log}); err != nil {
		return err
	}
	s.presence = s.everywhere
	s.node, err = cluster.Join(ctx, cluster.Options{
		Redis: s.redis, Prefix: o.Prefix, Listen: o.Listen, Address: o.Address, TLS: o.TLS,
		Joined: s.everywhere.Attach,
		Weight: o.Weight, Lease: o.Lease, Version: s.o.Version, Log: s.o.Log,
		Open: func(ctx context.Context, m *member.Membership) (cluster.Store, error) {
			return redisstore.Open(ctx, s.redis, redisstore.Options{Prefix: o.Prefix, Node: m.Self().ID, Alive: m.Alive, Log: s.o.Log})
		},
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	s.store = s.node.Store()
	return nil
}
