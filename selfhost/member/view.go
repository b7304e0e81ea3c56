package member

import (
	"cmp"
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/selfhost/ring"
)

// A View is what a node knows of the fleet at one time. It does not change; when another takes
// its place, Superseded says so:
//
//	for v := m.View(); ; v = m.View() {
//		use(v)
//		select {
//		case <-v.Superseded():
//		case <-m.Lost():
//			return
//		}
//	}
type View struct {
	// Version rises with every change at Redis. It goes back if Redis lost changes.
	Version uint64
	// Members are the living nodes, in the order of their addresses and generations.
	Members []Member
	// Ring is made of the addresses of the members that are not draining.
	Ring *ring.Ring

	tag        string            // version and its random part, as Redis has it
	current    map[string]Member // by address: the newest generation
	superseded chan struct{}
}

// Member returns a member by its identity.
func (v *View) Member(id string) (Member, bool) {
	address, generation, err := ParseID(id)
	if err != nil {
		return Member{}, false
	}
	i, _ := slices.BinarySearchFunc(v.Members, Member{ID: id, Address: address, Generation: generation}, byAddress)
	if i == len(v.Members) || v.Members[i].ID != id {
		return Member{}, false
	}
	return v.Members[i], true
}

// At returns the member that lives at an address: the newest, if an older one's lease has not ended yet.
func (v *View) At(address string) (Member, bool) {
	m, ok := v.current[address]
	return m, ok
}

// Owner returns the member that the ring proposes for the room kind/name. It is false if all are
// draining.
func (v *View) Owner(kind, name string) (Member, bool) {
	address, ok := v.Ring.Owner(kind, name)
	return v.current[address], ok
}

// Format returns the highest version of a format that every member reads, 0 if one reads none: what
// may be written.
func (v *View) Format(name string) int {
	if len(v.Members) == 0 {
		return 0
	}
	return slices.MinFunc(v.Members, func(a, b Member) int { return cmp.Compare(a.Formats[name], b.Formats[name]) }).Formats[name]
}

// Superseded is closed when a newer view has taken this one's place.
func (v *View) Superseded() <-chan struct{} { return v.superseded }

// next makes the view of members that follows v, which may be nil.
func (v *View) next(version uint64, tag string, members []Member) *View {
	n := &View{Version: version, Members: members, tag: tag, current: make(map[string]Member, len(members)), superseded: make(chan struct{})}
	slices.SortFunc(n.Members, byAddress)
	for _, m := range n.Members {
		n.current[m.Address] = m // rising generations: the newest stays
	}
	nodes := make([]ring.Node, 0, len(n.current))
	for address, m := range n.current {
		if !m.Draining {
			nodes = append(nodes, ring.Node{ID: address, Weight: m.Weight})
		}
	}
	if v == nil {
		n.Ring = ring.New(nodes)
	} else {
		n.Ring = v.Ring.With(nodes)
	}
	return n
}

func byAddress(a, b Member) int {
	return cmp.Or(strings.Compare(a.Address, b.Address), cmp.Compare(a.Generation, b.Generation), strings.Compare(a.ID, b.ID))
}
