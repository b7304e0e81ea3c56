package ring

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
)

func Example() {
	r := New([]Node{{ID: "10.0.0.1:7000"}, {ID: "10.0.0.2:7000"}, {ID: "10.0.0.3:7000", Weight: 200}})
	fmt.Println(r.Owner("chat", "lobby"))
	shares := r.Shares()
	for _, n := range r.Nodes() {
		fmt.Printf("%s %.2f\n", n.ID, shares[n.ID])
	}
	// Output:
	// 10.0.0.3:7000 true
	// 10.0.0.1:7000 0.25
	// 10.0.0.2:7000 0.25
	// 10.0.0.3:7000 0.50
}

// fleet names nodes as a fleet in one network would be.
func fleet(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: fmt.Sprintf("10.%d.%d.%d:7000", i>>16, i>>8&255, i&255), Weight: DefaultWeight}
	}
	return nodes
}

// rooms returns the hashes of n rooms, of which half have names in a row and half random ones.
func rooms(n int) []uint64 {
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, n)
	for i := range hashes {
		name := "room-" + strconv.Itoa(i)
		if i%2 == 1 {
			name = strconv.FormatUint(random.Uint64(), 36)
		}
		hashes[i] = hash("chat", name)
	}
	return hashes
}

func place(r *Ring, rooms []uint64) (owners []uint64, counts []int) {
	owners, counts = make([]uint64, len(rooms)), make([]int, len(r.nodes))
	for i, h := range rooms {
		owners[i] = r.owner(h)
		counts[owners[i]]++
	}
	return owners, counts
}

// TestFleets places a million rooms on fleets of several sizes, lets a node join and one leave, and
// looks at every room.
func TestFleets(t *testing.T) {
	sizes, count := []int{3, 10, 30, 100, 1000}, 1_000_000
	if testing.Short() {
		sizes, count = []int{3, 100}, 100_000
	}
	all := rooms(count)
	for _, size := range sizes {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			limit := 1.15
			if size > 100 {
				limit = 1.25
			}
			nodes := fleet(size + 1)
			joiner := nodes[size/2] // not the last one, so that indexes shift
			before := New(slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return n == joiner }))
			after := before.With(nodes)
			was, counts := place(before, all)
			is, now := place(after, all)
			mean := float64(count) / float64(size)
			most, least := float64(slices.Max(counts))/mean, float64(slices.Min(counts))/mean
			t.Logf("%d nodes: fullest %.3f of the mean, emptiest %.3f", size, most, least)
			if most > limit && !testing.Short() {
				t.Errorf("the fullest node has %.3f of the mean, want at most %.2f", most, limit)
			}
			moved := 0
			for i := range all {
				from, to := before.nodes[was[i]], after.nodes[is[i]]
				if from == to {
					continue
				}
				// Read backwards, this is the joiner leaving.
				if moved++; to != joiner {
					t.Fatalf("a join of %s moved a room from %s to %s", joiner.ID, from.ID, to.ID)
				}
			}
			if k := slices.Index(after.nodes, joiner); moved != now[k] || moved == 0 {
				t.Fatalf("%d rooms moved, the joiner has %d", moved, now[k])
			}
		})
	}
}

// TestWeights compares what nodes of several weights get of a million rooms with their part of
// the sum of weights.
func TestWeights(t *testing.T) {
	sizes, count := []int{3, 10, 100}, 1_000_000
	if testing.Short() {
		sizes, count = []int{3, 10}, 100_000
	}
	all := rooms(count)
	for _, size := range sizes {
		nodes, sum := fleet(size), 0
		for i := range nodes {
			nodes[i].Weight = []int{50, 100, 200, 400}[i%4]
			sum += nodes[i].Weight
		}
		r := New(nodes)
		_, counts := place(r, all)
		shares, total, worst := r.Shares(), 0.0, 0.0
		for i, n := range r.nodes {
			want := float64(n.Weight) / float64(sum)
			got := float64(counts[i]) / float64(count)
			total += shares[n.ID]
			worst = max(worst, math.Abs(got/want-1))
			if math.Abs(got/want-1) > 0.1 {
				t.Errorf("%d nodes: %s of weight %d has %.4f of the rooms, want %.4f within 10 %%", size, n.ID, n.Weight, got, want)
			}
			if math.Abs(got-shares[n.ID]) > 5*math.Sqrt(want/float64(count)) {
				t.Errorf("%d nodes: %s has %.4f of the rooms, its share is %.4f", size, n.ID, got, shares[n.ID])
			}
		}
		t.Logf("%d nodes: off by %.1f %% at most", size, 100*worst)
		if math.Abs(total-1) > 1e-9 {
			t.Errorf("shares add up to %v", total)
		}
	}
}

// TestWith walks through random fleets and compares each ring with one made from nothing.
func TestWith(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pool, r := fleet(12), &Ring{}
	for range 100 {
		var nodes []Node
		for _, i := range random.Perm(len(pool))[:random.IntN(len(pool)+1)] {
			n := pool[i]
			if random.IntN(3) == 0 {
				n.Weight = 1 + random.IntN(30)
			}
			nodes = append(nodes, n)
		}
		r = r.With(nodes)
		fresh := New(nodes)
		if !reflect.DeepEqual(r.nodes, fresh.nodes) || !slices.Equal(r.points, fresh.points) {
			t.Fatalf("a changed ring differs from a new one of %v", nodes)
		}
		random.Shuffle(len(nodes), func(i, k int) { nodes[i], nodes[k] = nodes[k], nodes[i] })
		if r.With(nodes) != r {
			t.Fatal("the same nodes in another order are another ring")
		}
	}
}

// TestEqualHashes puts two virtual nodes on one hash: the order of IDs decides, however they came.
func TestEqualHashes(t *testing.T) {
	const h = uint64(7) << ownerBits
	r := &Ring{nodes: []Node{{"a", 1}, {"b", 1}}, points: []uint64{h, h | 1}}
	if r.owner(h) != 0 || r.owner(h-1) != 0 || r.owner(h|ownerMask) != 0 {
		t.Fatal("the greater ID has the hash of both")
	}
}

func TestOddNodes(t *testing.T) {
	if id, ok := New(nil).Owner("chat", "lobby"); ok || id != "" {
		t.Fatalf("an empty ring answers %q", id)
	}
	if s := New(nil).Shares(); len(s) != 0 {
		t.Fatalf("an empty ring has shares: %v", s)
	}
	r := New([]Node{{"b", MaxWeight + 1}, {"a", 0}, {"a", 7}, {"c", -1}, {"d", MaxWeight}})
	want := []Node{{"a", DefaultWeight}, {"b", MaxWeight}, {"c", DefaultWeight}, {"d", MaxWeight}}
	if !slices.Equal(r.Nodes(), want) {
		t.Fatalf("nodes are %v, want %v", r.Nodes(), want)
	}
	if n := len(r.points); n != (2*DefaultWeight+2*MaxWeight)*pointsPerWeight {
		t.Fatalf("%d virtual nodes", n)
	}
	one := New([]Node{{ID: "only"}})
	if s := one.Shares(); math.Abs(s["only"]-1) > 1e-9 {
		t.Fatalf("the only node has %v", s)
	}
	// Both ends of the ring belong to its first point.
	if one.owner(0) != 0 || one.owner(math.MaxUint64) != 0 {
		t.Fatal("an end of the ring has no owner")
	}
	if id, _ := New([]Node{{ID: ""}}).Owner("", ""); id != "" {
		t.Fatal(id)
	}
}

// TestGolden holds every version to the same answers: two versions in one fleet must agree.
func TestGolden(t *testing.T) {
	r := New([]Node{{"10.0.0.1:7000", 100}, {"10.0.0.2:7000", 100}, {"[fd00::3]:7000", 50}, {"node-4.example:7443", 200}, {"node-5.example:7443", 1000}})
	got := map[string]string{}
	for _, room := range []string{"lobby", "a", "room-17", "~", "0123456789.ABCDEF_abcdef-", "team.blue", "x1", "x2", "x3", "x4"} {
		id, _ := r.Owner("chat", room)
		got[room] = id
	}
	want := map[string]string{
		"lobby": "node-5.example:7443", "a": "10.0.0.1:7000", "room-17": "node-5.example:7443", "~": "10.0.0.2:7000",
		"0123456789.ABCDEF_abcdef-": "node-5.example:7443", "team.blue": "node-5.example:7443",
		"x1": "node-4.example:7443", "x2": "[fd00::3]:7000", "x3": "node-5.example:7443", "x4": "node-5.example:7443",
	}
	if !maps.Equal(got, want) {
		t.Errorf("rooms are at\n%#v\nwant\n%#v", got, want)
	}
	var digest uint64
	for i := range 10_000 {
		digest = digest*31 + r.owner(hash("arena", strconv.Itoa(i)))
	}
	if digest != 0xcb5e15893166b4ac {
		t.Errorf("digest of 10,000 rooms is %#x", digest)
	}
	if r.points[0] != 0x1f136c8500001 || r.points[len(r.points)-1] != 0xffff27d4c4100004 {
		t.Errorf("first and last virtual node are at %#x and %#x", r.points[0], r.points[len(r.points)-1])
	}
}

func BenchmarkOwner(b *testing.B) {
	for _, size := range []int{3, 30, 1000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			r := New(fleet(size))
			names := make([]string, 1024)
			for i := range names {
				names[i] = "room-" + strconv.Itoa(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Owner("chat", names[i%len(names)])
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, size := range []int{3, 30, 1000} {
		nodes := fleet(size + 1)
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			for b.Loop() {
				New(nodes[:size])
			}
		})
		b.Run(strconv.Itoa(size)+"/one joins", func(b *testing.B) {
			r := New(nodes[:size])
			for b.Loop() {
				r.With(nodes)
			}
		})
	}
}
