package host

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// rows is a storage in a map.
type rows map[string]string

func (s rows) Get(_ context.Context, key []byte) ([]byte, bool, error) {
	v, ok := s[string(key)]
	return []byte(v), ok, nil
}

func (s rows) List(_ context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	keys := slices.Sorted(maps.Keys(s))
	if q.Reverse {
		slices.Reverse(keys)
	}
	var r abi.ListResponse
	for _, k := range keys {
		if k < string(q.Start) || len(q.End) > 0 && k >= string(q.End) {
			continue
		}
		if len(r.Entries) == q.Limit {
			r.More = true
			break
		}
		r.Entries = append(r.Entries, abi.Entry{Key: []byte(k), Value: []byte(s[k])})
	}
	return r, nil
}

func (s rows) apply(effects []abi.Effect) {
	for _, e := range effects {
		switch e := e.(type) {
		case *abi.PutEffect:
			s[string(e.Key)] = string(e.Value)
		case *abi.DeleteEffect:
			delete(s, string(e.Key))
		case *abi.DeleteRangeEffect:
			maps.DeleteFunc(s, func(k, _ string) bool { return k >= string(e.Start) && (len(e.End) == 0 || k < string(e.End)) })
		}
	}
}

// TestPending compares random writes over a storage with the same writes made in it.
func TestPending(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	key := func() []byte { return fmt.Appendf(nil, "k%02d", g.IntN(30)) }
	for round := range 300 {
		under, truth := rows{}, rows{}
		for range g.IntN(20) {
			k := string(key())
			under[k], truth[k] = "old", "old"
		}
		p := &pending{under: under}
		for range g.IntN(4) {
			var w []abi.Effect
			for range g.IntN(6) {
				switch g.IntN(4) {
				case 0:
					w = append(w, &abi.DeleteEffect{Key: key()})
				case 1:
					a, b := key(), key()
					if bytes.Compare(a, b) > 0 {
						a, b = b, a
					}
					if g.IntN(3) == 0 {
						b = nil
					}
					w = append(w, &abi.DeleteRangeEffect{Start: a, End: b})
				default:
					w = append(w, &abi.PutEffect{Key: key(), Value: fmt.Appendf(nil, "new %d", g.IntN(100))})
				}
			}
			p.write(w)
			truth.apply(w)
		}
		ctx := context.Background()
		for n := range 30 {
			k := fmt.Appendf(nil, "k%02d", n)
			v, ok, err := p.Get(ctx, k)
			want, there := truth[string(k)]
			if err != nil || ok != there || string(v) != want {
				t.Fatalf("round %d: %s is %q %v, want %q %v", round, k, v, ok, want, there)
			}
			if v, ok, hit := p.GetCached(k); hit && (ok != there || string(v) != want) {
				t.Fatalf("round %d: %s is cached as %q %v, want %q %v", round, k, v, ok, want, there)
			}
		}
		for range 10 {
			q := abi.ListRequest{Start: key(), Limit: 1 + g.IntN(8), Reverse: g.IntN(2) == 0}
			if g.IntN(2) == 0 {
				q.End = key()
			}
			got, err := p.List(ctx, q)
			want, _ := truth.List(ctx, q)
			if err != nil || fmt.Sprint(got.Entries) != fmt.Sprint(want.Entries) || got.More != want.More {
				t.Fatalf("round %d: %+v\n got %v\nwant %v", round, q, got, want)
			}
		}
	}
}

// TestPendingBytes: an answer ends at the limit of bytes, and says that there is more.
func TestPendingBytes(t *testing.T) {
	p := &pending{under: rows{}}
	for n := range 5 {
		p.write([]abi.Effect{&abi.PutEffect{Key: fmt.Appendf(nil, "k%d", n), Value: make([]byte, abi.MaxListBytes/2-10)}})
	}
	got, err := p.List(context.Background(), abi.ListRequest{Limit: 1000})
	if err != nil || len(got.Entries) != 2 || !got.More {
		t.Fatalf("%d entries, more %v, %v", len(got.Entries), got.More, err)
	}
}
