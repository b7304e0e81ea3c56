package session

import (
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/internal/small"
)

// roster is who is present: found by name, and listed in the order of names when somebody asks. A
// list that is always in order is moved on by each who comes or goes, and while the collector runs,
// each pointer that moves costs 100 ns: with thousands of members that is a turn's fuel for a few of
// them. So newcomers wait, unsorted, until the list is asked for.
type roster struct {
	byName small.Map[string, *user]
	order  []*user // by name, and those who have gone since
	fresh  []*user // not in order yet
	gone   int     // how many of both have gone, about
}

func (l *roster) len() int { return l.byName.Len() }

// grow makes an empty roster ready for n users.
func (l *roster) grow(n int) {
	l.byName.Grow(n)
	if n > cap(l.fresh) {
		l.fresh = make([]*user, 0, n)
	}
}

// get returns a user who is present, or nil.
func (l *roster) get(name string) *user { return l.byName.Get(name) }

func (l *roster) add(u *user) {
	l.byName.Set(u.name, u)
	l.fresh = append(l.fresh, u)
}

func (l *roster) remove(u *user) {
	l.byName.Delete(u.name)
	u.gone = true
	if l.gone++; l.gone > l.len()+fewGone {
		l.sweep()
	}
}

// fewGone are not worth a look at all.
const fewGone = 32

func (l *roster) sweep() {
	isGone := func(u *user) bool { return u.gone }
	l.order, l.fresh = slices.DeleteFunc(l.order, isGone), slices.DeleteFunc(l.fresh, isGone)
	l.gone = 0
}

func compareNames(a, b *user) int { return strings.Compare(a.name, b.name) }

// sorted lists the users by name. The list is valid until somebody comes or goes.
func (l *roster) sorted() []*user {
	if l.gone > 0 {
		l.sweep()
	}
	if len(l.fresh) > 0 {
		slices.SortFunc(l.fresh, compareNames)
		at := len(l.order) - 1
		l.order = append(l.order, l.fresh...)
		for to, next := len(l.order)-1, len(l.fresh)-1; next >= 0; to-- {
			if at >= 0 && compareNames(l.order[at], l.fresh[next]) > 0 {
				l.order[to] = l.order[at]
				at--
			} else {
				l.order[to] = l.fresh[next]
				next--
			}
		}
		clear(l.fresh)
		l.fresh = l.fresh[:0]
	}
	return l.order
}

// after is the place in sorted of the first user behind a name.
func after(sorted []*user, name string) int {
	at, found := slices.BinarySearchFunc(sorted, name, func(u *user, name string) int { return strings.Compare(u.name, name) })
	if found {
		at++
	}
	return at
}

// graces are the users in the grace time, in the order of its ends. Those who come back stay in the
// list until it is looked at.
type graces struct {
	list []grace
	live int
}

type grace struct {
	until uint64
	user  *user
}

// over reports whether the user has come back, or has gone.
func (g *grace) over() bool { return g.user.until != g.until }

// add begins a grace time that ends not before any other: so the list is in order, also when a
// new version of the kind has a shorter one.
func (g *graces) add(u *user, until uint64) {
	if n := len(g.list); n > 0 {
		until = max(until, g.list[n-1].until)
	}
	u.until = until
	if g.live++; len(g.list) >= 2*g.live+fewGone { // one user may come and go and come
		g.list = slices.DeleteFunc(g.list, func(e grace) bool { return e.over() })
	}
	g.list = append(g.list, grace{until, u})
}

// end ends a user's grace time.
func (g *graces) end(u *user) {
	u.until = 0
	g.live--
}

// first is the end of the first grace time, 0 if there is none.
func (g *graces) first() uint64 {
	for len(g.list) > 0 && g.list[0].over() {
		g.list = g.list[1:]
	}
	if len(g.list) == 0 {
		return 0
	}
	return g.list[0].until
}

// ended returns the users whose grace time is over, at most so many, in the order of its ends and of
// their names: the order of the rows, in which they come back after a sleep.
func (g *graces) ended(now uint64, most int) []*user {
	var out []*user
	for {
		until := g.first()
		if until == 0 || until > now || len(out) >= most {
			return out
		}
		n := 0
		for n < len(g.list) && g.list[n].until == until {
			n++
		}
		same := g.list[:n]
		byName := func(a, b grace) int { return compareNames(a.user, b.user) }
		if !slices.IsSortedFunc(same, byName) {
			slices.SortFunc(same, byName)
		}
		for _, e := range same {
			if len(out) == most {
				break
			}
			g.list = g.list[1:]
			if !e.over() && (len(out) == 0 || out[len(out)-1] != e.user) {
				out = append(out, e.user)
			}
		}
	}
}
