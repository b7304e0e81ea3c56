package small_test

import (
	"math/rand/v2"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/internal/small"
)

// TestMap compares with a map, around the number of entries that need none.
func TestMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var m small.Map[int, int]
	want := map[int]int{}
	for range 20_000 {
		key, value := r.IntN(8), r.Int()
		if r.IntN(2) == 0 {
			m.Set(key, value)
			want[key] = value
		} else {
			m.Delete(key)
			delete(want, key)
		}
		if m.Len() != len(want) {
			t.Fatalf("%d entries, want %d", m.Len(), len(want))
		}
		for key := range 8 {
			if m.Get(key) != want[key] {
				t.Fatalf("%d is %d, want %d", key, m.Get(key), want[key])
			}
		}
	}
}

// TestText: what Set returned never changes.
func TestText(t *testing.T) {
	var text small.Text
	long := make([]byte, small.MaxText+1)
	in := []byte("abc")
	got := []string{text.Set(nil), text.Set(long), text.Set(in), text.Set([]byte("xyz"))}
	in[0] = 'z'
	for i, want := range []string{"", string(long), "abc", "xyz"} {
		if got[i] != want {
			t.Errorf("%d: %q, want %q", i, got[i], want)
		}
	}
	var other small.Text
	if n := testing.AllocsPerRun(100, func() { other = small.Text{}; other.Set(long[:small.MaxText]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFewAllocateNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		var m small.Map[string, int]
		for _, key := range []string{"a", "b", "c", "d"} {
			m.Set(key, len(key))
		}
		m.Delete("a")
		m.Set("e", 5)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
