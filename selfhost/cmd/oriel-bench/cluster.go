package main

import (
	"context"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

// cluster measures a fleet of three nodes, each a process of its own, over loopback.
func cluster(ctx context.Context, oriel string, members int) error {
	f, err := newFleet(ctx, oriel, 3)
	if err != nil {
		return err
	}
	defer f.close()
	figure("cluster_nodes", float64(len(f.nodes)), "nodes")
	figure("cluster_lease", member.DefaultLease.Seconds(), "s")
	for _, run := range []func(context.Context, *fleet) error{
		commands, moves,
		func(ctx context.Context, f *fleet) error { return broadcast(ctx, f, members) },
	} {
		if err := run(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// patience bounds what never takes that long.
const patience = time.Minute
