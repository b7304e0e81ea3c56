package server

import (
	"context"
	"fmt"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/cluster"
	"github.com/oriel-rooms/oriel/selfhost/member"
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
	s.node, err = cluster.Join(ctx, cluster.Options{
		Redis: s.redis, Prefix: o.Prefix, Listen: o.Listen, Address: o.Address, TLS: o.TLS,
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
