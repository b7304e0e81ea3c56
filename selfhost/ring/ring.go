// Package ring says which node a room should live on: consistent hashing with virtual nodes and
// weights. It is pure: the same nodes give the same answers on every machine, in whatever order
// they came, and in every version of this program (golden vectors hold it to that).
//
// The answer is a proposal. Two nodes that know of different fleets give different answers; who owns
// a room is decided by a record in the store.
package ring

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

const (
	// DefaultWeight is the weight of a node that does not say one.
	DefaultWeight = 100
	// MaxWeight bounds weights, and with them the ring's memory.
	MaxWeight = 1000
	// MaxNodes bounds the nodes of a ring.
	MaxNodes = 1 << ownerBits

	// pointsPerWeight makes 4,000 virtual nodes of a node of the default weight: the standard
	// deviation of its share is then 1/sqrt(4000), 1.6 %. It can never change, and ownerBits
	// neither: two versions in one fleet would disagree about where rooms belong.
	pointsPerWeight = 40
	ownerBits       = 20
	ownerMask       = 1<<ownerBits - 1
)

// A Node takes part in a ring.
type Node struct {
	// ID names the node. A node that comes back with its old ID gets its old rooms. Of nodes with
	// the same ID the heaviest counts.
	ID string
	// Weight is the node's share of the rooms in relation to the other nodes': one of 200 gets
	// twice what one of 100 gets, give or take a few percent (a light one more: one of 10 has the
	// accuracy of 400 virtual nodes, 5 %). Not above 0 means [DefaultWeight], at most [MaxWeight].
	Weight int
}

// A Ring shares the rooms out among nodes. It does not change; [Ring.With] makes another one. It
// holds 8 bytes for each virtual node: 32 KB for a node of the default weight.
type Ring struct {
	nodes []Node // by ID
	// points are the virtual nodes, rising: the upper bits of a hash, below them the index of the
	// node in nodes. So of two on one hash the smaller ID comes first, and gets the rooms of both.
	points []uint64
}

// New returns the ring of nodes. Of more than [MaxNodes] it leaves out those with the greatest IDs.
func New(nodes []Node) *Ring { return (&Ring{}).With(nodes) }

// With returns the ring of nodes, equal to that of [New], in a fraction of the time if it differs
// from r in few of them. If it does not differ, it is r.
func (r *Ring) With(nodes []Node) *Ring {
	next := &Ring{nodes: tidy(nodes)}
	if slices.Equal(r.nodes, next.nodes) {
		return r
	}
	// Both lists are in the order of their IDs: one walk finds the nodes that stay and those that come.
	const gone = ^uint64(0)
	became := make([]uint64, len(r.nodes)) // index in next.nodes
	var fresh []uint64
	i := 0
	for k, n := range next.nodes {
		for ; i < len(r.nodes) && r.nodes[i].ID < n.ID; i++ {
			became[i] = gone
		}
		if i < len(r.nodes) && r.nodes[i] == n {
			became[i] = uint64(k)
			i++
			continue
		}
		fresh = n.appendPoints(fresh, uint64(k))
	}
	for ; i < len(r.nodes); i++ {
		became[i] = gone
	}
	slices.Sort(fresh)

	next.points = make([]uint64, 0, len(r.points)+len(fresh))
	for _, p := range r.points {
		owner := became[p&ownerMask]
		if owner == gone {
			continue
		}
		p = p&^ownerMask | owner
		for len(fresh) > 0 && fresh[0] < p {
			next.points, fresh = append(next.points, fresh[0]), fresh[1:]
		}
		next.points = append(next.points, p)
	}
	next.points = append(next.points, fresh...)
	return next
}

// tidy returns nodes in the order of their IDs, each once, with weights that count.
func tidy(nodes []Node) []Node {
	nodes = slices.Clone(nodes)
	for i := range nodes {
		n := &nodes[i]
		if n.Weight <= 0 {
			n.Weight = DefaultWeight
		}
		n.Weight = min(n.Weight, MaxWeight)
	}
	slices.SortFunc(nodes, func(a, b Node) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(b.Weight, a.Weight))
	})
	nodes = slices.CompactFunc(nodes, func(a, b Node) bool { return a.ID == b.ID })
	return nodes[:min(len(nodes), MaxNodes)]
}

// appendPoints appends the node's virtual nodes: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) with
// the hash of the ID as its seed.
func (n Node) appendPoints(to []uint64, owner uint64) []uint64 {
	seed := xxhash.Sum64String(n.ID)
	for range n.Weight * pointsPerWeight {
		seed += 0x9e3779b97f4a7c15
		h := seed
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		to = append(to, (h^h>>31)&^ownerMask|owner)
	}
	return to
}

// Owner returns the ID of the node that the room kind/name should live on. It is false if the ring
// has no nodes.
func (r *Ring) Owner(kind, name string) (id string, ok bool) {
	if len(r.nodes) == 0 {
		return "", false
	}
	return r.nodes[r.owner(hash(kind, name))].ID, true
}

// hash is that of a room's full name.
func hash(kind, name string) uint64 {
	key := make([]byte, 0, 264) // stays on the stack: names are at most 128 bytes each
	key = append(key, kind...)
	key = append(key, '/')
	key = append(key, name...)
	return xxhash.Sum64(key)
}

// owner returns the index of the node whose virtual node is the first at or after h, round the ring.
func (r *Ring) owner(h uint64) uint64 {
	i, _ := slices.BinarySearch(r.points, h&^ownerMask)
	if i == len(r.points) {
		i = 0
	}
	return r.points[i] & ownerMask
}

// Nodes returns the nodes in the order of their IDs, with the weights that count.
func (r *Ring) Nodes() []Node { return slices.Clone(r.nodes) }

// Shares returns which part of all rooms each node should get, by ID; together they are 1.
func (r *Ring) Shares() map[string]float64 {
	arcs := make([]float64, len(r.nodes))
	for i, p := range r.points {
		// Unsigned arithmetic closes the ring: the first arc begins at the last point.
		before := r.points[(i+len(r.points)-1)%len(r.points)]
		arcs[p&ownerMask] += float64(p&^ownerMask - before&^ownerMask)
	}
	shares := make(map[string]float64, len(r.nodes))
	for i, n := range r.nodes {
		shares[n.ID] = arcs[i] / (1 << 64)
	}
	return shares
}
