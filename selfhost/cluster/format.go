package cluster

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/member"
	"github.com/oriel-rooms/oriel/selfhost/redis"
)

// formatName is how nodes call the format of everything under the prefix ([member.Meta]).
const formatName = "redis"

// agreeTimeout bounds what a node asks Redis for it.
const agreeTimeout = 3 * time.Second

// agreeLeases is for how many leases every living node has to read a format before it is written. When Redis was
// away, all nodes join anew within a second or two: those that are a little later must not find themselves shut out.
const agreeLeases = 3

// agree begins to write the newest format that this program writes, once every node reads it: first no node
// that does not can join, then the record of the prefix refuses it, and only then something is written.
func (n *Node) agree() {
	t := n.tenure()
	lease := cmp.Or(n.o.Lease, member.DefaultLease)
	wanted := min(redis.Writes, t.member.View().Format(formatName))
	switch {
	case wanted > t.format:
		if t.agreed.IsZero() {
			t.agreed = time.Now()
		}
		if time.Since(t.agreed) < agreeLeases*lease {
			return
		}
	case t.format == 1 || time.Since(t.noted) < lease:
		t.agreed = time.Time{}
		return
	default: // once a lease: a Redis that has failed over may have forgotten it
		t.agreed = time.Time{}
		wanted = t.format
	}
	ctx, cancel := context.WithTimeout(n.ctx, agreeTimeout)
	defer cancel()
	format, err := t.member.Agree(ctx, formatName, wanted)
	if err == nil && format > 1 {
		err = redis.Raise(ctx, n.o.Redis, n.o.Prefix, format)
	}
	if err != nil {
		n.o.Log.Debug("the nodes' format is not known now", "err", err)
		return
	}
	t.noted = time.Now()
	switch {
	case format > t.format:
		t.format = format
		t.store.SetFormat(format)
		n.o.Log.Info("every node reads the new format: it is written from now on", "format", format)
	case format < t.format:
		n.o.Log.Error("Redis has lost that a newer format is written, and a node that does not read it has joined: stop that node", "format", t.format)
	}
}

// misfit reports whether a join will not succeed however often it is tried.
func misfit(err error) bool {
	return errors.Is(err, member.ErrVersion) || errors.Is(err, redis.ErrFormat) || errors.Is(err, redis.ErrForeign)
}
