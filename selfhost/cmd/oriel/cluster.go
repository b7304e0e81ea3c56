package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/config"
	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/ring"
	"github.com/oriel-rooms/oriel/selfhost/store"
	redisstore "github.com/oriel-rooms/oriel/selfhost/store/redis"
)

// clusterTimeout bounds what the command asks Redis.
const clusterTimeout = 10 * time.Second

// showCluster prints the nodes of a cluster, or where one room is and why.
func showCluster(ctx context.Context, cmd *config.Command, w io.Writer) error {
	c := cmd.Config
	client, err := redis.New(redis.Options{URLs: c.Redis, Cluster: c.RedisCluster, Master: c.RedisMaster})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	leases, err := member.List(ctx, client, c.RedisPrefix)
	if err != nil {
		return err
	}
	var nodes []ring.Node
	for _, l := range leases {
		if !l.Draining && l.Address != "" {
			nodes = append(nodes, ring.Node{ID: l.Address, Weight: l.Weight})
		}
	}
	places := ring.New(nodes)
	if cmd.Room == "" {
		return showNodes(w, leases, places)
	}
	kind, name, _ := strings.Cut(cmd.Room, "/")
	record, err := redisstore.Inspect(ctx, client, c.RedisPrefix, store.RoomID{Kind: kind, Name: name})
	if err != nil {
		return err
	}
	return showRoom(w, cmd.Room, record, leases, places)
}

func showNodes(w io.Writer, leases []member.Lease, places *ring.Ring) error {
	shares := places.Shares()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tSTATE\tLEASE\tWEIGHT\tSHARE\tVERSION")
	for _, l := range leases {
		state := "in the ring"
		if l.Draining {
			state = "draining"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.1f %%\t%s\n", l.ID, state, l.Left.Round(10*time.Millisecond), l.Weight, 100*shares[l.Address], l.Version)
	}
	if len(leases) == 0 {
		fmt.Fprintln(t, "(no node lives)")
	}
	return t.Flush()
}

func showRoom(w io.Writer, room string, r redisstore.Record, leases []member.Lease, places *ring.Ring) error {
	alive := slices.ContainsFunc(leases, func(l member.Lease) bool { return l.ID == r.Owner.Node })
	kind, name, _ := strings.Cut(room, "/")
	proposed, ok := places.Owner(kind, name)
	var why string
	switch address, _, _ := strings.Cut(r.Owner.Node, "#"); {
	case r.Owner.Node == "" && !ok:
		why = "Nobody owns it, and there is no node to own it."
	case r.Owner.Node == "":
		why = "Nobody owns it, as nobody needs it. The ring gives it to " + proposed + " when somebody does."
	case !alive:
		why = "Its owner's lease has ended: whoever needs the room next takes it over; the ring proposes " + proposed + "."
	case address == proposed:
		why = "The ring gives it to that node, whose lease lives."
	default:
		why = "The ring gives it to " + proposed + " by now; its owner, whose lease lives, is about to hand it over."
	}
	owner := r.Owner.Node
	if owner == "" {
		owner = "nobody"
	}
	last := "never"
	if r.Time > 0 {
		last = time.UnixMilli(int64(r.Time)).UTC().Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(w, "room    %s\nowner   %s\nepoch   %d\nring    %s\ncommit  %d, %s\n%s\n", room, owner, r.Epoch, proposed, r.Number, last, why)
	return err
}
