package rows

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// apply is what writes do to a map, one after the other.
func apply(m map[string]string, writes []store.Write) {
	for _, w := range writes {
		switch w.Op {
		case store.Put:
			m[string(w.Key)] = string(w.Value)
		case store.Delete:
			delete(m, string(w.Key))
		case store.DeleteRange:
			maps.DeleteFunc(m, func(k, _ string) bool {
				return k >= string(w.Key) && (len(w.End) == 0 || k < string(w.End))
			})
		}
	}
}

func randomWrites(rng *rand.Rand) []store.Write {
	key := func() []byte { return []byte{byte('a' + rng.IntN(8))} }
	writes := make([]store.Write, rng.IntN(8))
	for i := range writes {
		w := store.Write{Op: store.Op(1 + rng.IntN(3)), Key: key()}
		switch w.Op {
		case store.Put:
			w.Value = fmt.Append(nil, rng.Int())
		case store.DeleteRange:
			if rng.IntN(4) > 0 {
				w.End = key()
			}
			if rng.IntN(8) == 0 {
				w.Key = nil
			}
		}
		writes[i] = w
	}
	return writes
}

// A change does what its writes do in their order, and an overlay of changes over an engine that
// has some of them shows what the engine will have with all; what it retires is what the
// cache may say.
func TestOverlayAgainstMaps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 2000 {
		engine, all := map[string]string{}, map[string]string{}
		var o Overlay
		var changes []Change
		cache := NewCache(1 << 20).Room(roomA)
		cache.Fill(nil)
		for n := uint64(1); n <= 6; n++ {
			w := randomWrites(rng)
			c := NewChange(w)
			apply(all, w)
			changes = append(changes, c)
			o.Add(n, c)
		}
		retired := rng.IntN(7)
		for _, c := range changes[:retired] {
			for _, s := range c.Spans {
				maps.DeleteFunc(engine, func(k, _ string) bool { return s.Covers(k) })
			}
			for _, row := range c.Rows {
				if delete(engine, row.Key); !row.Deleted {
					engine[row.Key] = string(row.Value)
				}
			}
		}
		o.Retire(uint64(retired), cache)
		page, _ := cache.Page("", "", false, 99)
		cached := map[string]string{}
		for _, row := range page {
			cached[row.Key] = string(row.Value)
		}
		if !maps.Equal(cached, engine) {
			t.Fatalf("the cache has %v, the engine %v", cached, engine)
		}
		for k := 'a'; k < 'j'; k++ {
			value, ok, known := o.Get([]byte(string(k)))
			if !known {
				var v string
				v, ok = engine[string(k)]
				value = []byte(v)
			}
			if want, wantOK := all[string(k)]; ok != wantOK || string(value) != want {
				t.Fatalf("%c is %q %v, want %q %v", k, value, ok, want, wantOK)
			}
		}
		reverse := rng.IntN(2) == 0
		src := &pages{rows: page, reverse: reverse}
		res, err := List(t.Context(), src, o.Snapshot(nil, nil, reverse), 99, reverse)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(maps.Keys(all))
		if reverse {
			slices.Reverse(want)
		}
		var got []string
		for _, e := range res.Entries {
			got = append(got, string(e.Key))
			if string(e.Value) != all[string(e.Key)] {
				t.Fatalf("listed %s is %q", e.Key, e.Value)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("listed %q, want %q", got, want)
		}
		if retired == 6 && (o.rows != nil || o.commits != nil) {
			t.Fatal("an empty overlay keeps something")
		}
	}
}

type pages struct {
	rows    []Row
	reverse bool
	at      Row
}

func (p *pages) Next() bool {
	if len(p.rows) == 0 {
		return false
	}
	if p.reverse {
		p.at, p.rows = p.rows[len(p.rows)-1], p.rows[:len(p.rows)-1]
	} else {
		p.at, p.rows = p.rows[0], p.rows[1:]
	}
	return true
}

func (p *pages) Key() []byte            { return []byte(p.at.Key) }
func (p *pages) Value() ([]byte, error) { return p.at.Value, nil }
func (p *pages) Err() error             { return nil }

// What the writer keeps of its buffers does not matter.
func TestChangeCopies(t *testing.T) {
	k, v := []byte("k"), []byte("v")
	c := NewChange([]store.Write{{Op: store.Put, Key: k, Value: v}})
	k[0], v[0] = '!', '!'
	if c.Rows[0].Key != "k" || string(c.Rows[0].Value) != "v" {
		t.Errorf("%+v", c)
	}
}
