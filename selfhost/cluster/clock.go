package cluster

import (
	"context"
	"time"
)

// tolerance is the difference of clocks that nobody has to hear of.
const tolerance = 2 * time.Second

// A wall notices when the machine's clock is set. No lease hangs on that clock, and no room goes back in time; but a
// room's time does not stand behind the clock of any node that ran it, and its alarms are due by that time.
type wall struct {
	clock   func() time.Time     // the one that is set
	elapsed func() time.Duration // one that is not
	ahead   time.Duration        // what clock was ahead of elapsed, at the last look
}

func newWall() *wall {
	start := time.Now()
	w := &wall{clock: func() time.Time { return time.Now().Round(0) }, elapsed: func() time.Duration { return time.Since(start) }}
	w.jumped()
	return w
}

// jumped returns by how much the clock has been set since the last call. What is within the tolerance counts
// only once it adds up.
func (w *wall) jumped() time.Duration {
	ahead := time.Duration(w.clock().UnixNano()) - w.elapsed()
	by := ahead - w.ahead
	if by.Abs() < tolerance {
		return 0
	}
	w.ahead = ahead
	return by
}

// compareClocks says in the log when this machine's clock is not Redis's.
func (n *Node) compareClocks(ctx context.Context) {
	before := time.Now()
	there, err := n.o.Redis.Time(ctx).Result()
	if err != nil {
		return // what needs Redis says so
	}
	after := time.Now()
	// Redis has read its clock at some time between the two.
	by := max(before.Sub(there), there.Sub(after))
	if by >= tolerance {
		n.o.Log.Warn("this node's clock is not the one of Redis: rooms that run here get its time, and keep it when they move",
			"here", before.UTC(), "redis", there.UTC())
	}
}
