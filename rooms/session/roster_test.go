package session

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// TestRoster compares with a map that is sorted each time, and the grace times with a list that is.
func TestRoster(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var l roster
	want := map[string]*user{}
	for i := range 20_000 {
		name := strconv.Itoa(random.IntN(300))
		switch u := l.get(name); {
		case u != want[name]:
			t.Fatalf("%d: %s is %v, want %v", i, name, u, want[name])
		case u == nil:
			want[name] = &user{name: name}
			l.add(want[name])
		default:
			l.remove(u)
			delete(want, name)
		}
		if random.IntN(50) > 0 {
			continue
		}
		var names []string
		for _, u := range l.sorted() {
			names = append(names, u.name)
		}
		if !slices.Equal(names, slices.Sorted(maps.Keys(want))) || l.len() != len(want) {
			t.Fatalf("%d: %v", i, names)
		}
	}
}

func TestGraces(t *testing.T) {
	users := make([]*user, 100)
	for i := range users {
		users[i] = &user{name: strconv.Itoa(i)}
	}
	var g graces
	for _, i := range rand.Perm(len(users)) {
		g.add(users[i], 10)
	}
	g.end(users[7])
	g.add(users[7], 10)
	g.end(users[8])
	var got []string
	for len(got) < 200 {
		over := g.ended(10, 30)
		if len(over) == 0 {
			break
		}
		for _, u := range over {
			got = append(got, u.name)
			g.end(u)
		}
	}
	if len(got) != 99 || !slices.IsSorted(got) || slices.Contains(got, "8") || g.first() != 0 || g.live != 0 {
		t.Errorf("%d: %v, first %d, live %d", len(got), got, g.first(), g.live)
	}
}
