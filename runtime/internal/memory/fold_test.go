package memory

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestFold(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		im := newImage(t, o)
		random := rand.New(rand.NewPCG(1, 2))
		for round := range 50 {
			m := newMemory(t, im)
			if round%2 == 1 {
				m.grow(uint64(2+round%3) * PageSize)
			}
			for range random.IntN(40) {
				at, n := random.IntN(len(m.Bytes())), random.IntN(300)
				for i := at; i < min(at+n, len(m.Bytes())); i++ {
					m.Bytes()[i] = byte(random.Uint32N(3)) // often what is there already
				}
			}
			m.Globals[0], m.Globals[1] = random.Uint64(), uint64(round)
			want, globals := bytes.Clone(m.Bytes()), append([]uint64(nil), m.Globals...)
			fold := m.Fold()
			if !bytes.Equal(m.Bytes(), want) {
				t.Fatal("Fold changed the memory")
			}
			m.Release()
			back, err := im.Unfold(fold)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back.Bytes(), want) || back.Globals[0] != globals[0] || back.Globals[1] != globals[1] {
				t.Fatalf("round %d: another memory came back", round)
			}
			if again := back.Fold(); !bytes.Equal(again, fold) {
				t.Fatal("the second fold is another one")
			}
			back.Release()
		}
		if n := im.Views(); n != 0 {
			t.Errorf("%d views", n)
		}
	})
}

// TestFoldIsSmall touches single bytes of many pages.
func TestFoldIsSmall(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		im := newImage(t, o)
		m := newMemory(t, im)
		defer m.Release()
		if n := len(m.Fold()); n > 8 {
			t.Errorf("nothing takes %d bytes", n)
		}
		for i := 0; i < len(m.Bytes()); i += 4096 {
			m.Bytes()[i]++
		}
		if n, pages := len(m.Fold()), len(m.Bytes())/4096; n > 8+5*pages {
			t.Errorf("a byte in each of %d pages takes %d bytes", pages, n)
		}
	})
}

// FuzzUnfold reads anything.
func FuzzUnfold(f *testing.F) {
	im, err := NewImage(patterned(), []uint64{7, 8}, Options{Limit: 4 * PageSize, Plain: true})
	if err != nil {
		f.Fatal(err)
	}
	m := newMemory(f, im)
	m.Bytes()[1000] = 77
	f.Add(m.Fold())
	f.Add([]byte{4, 2, 1, 1, 0, 1, 5})
	f.Fuzz(func(t *testing.T, fold []byte) {
		m, err := im.Unfold(fold)
		if err != nil {
			if !errors.Is(err, ErrFold) {
				t.Fatal(err)
			}
			return
		}
		if len(m.Bytes()) > 4*PageSize {
			t.Fatal("past the limit")
		}
		m.Release()
	})
}

// BenchmarkFold measures a room of a Go guest's shape: a few bytes in each of 80 pages.
func BenchmarkFold(b *testing.B) {
	im, err := NewImage(make([]byte, 64*PageSize), make([]uint64, 8), Options{Limit: 1024 * PageSize})
	if err != nil {
		b.Fatal(err)
	}
	defer im.Close()
	m := newMemory(b, im)
	defer m.Release()
	for page := range 80 {
		copy(m.Bytes()[page*12*4096%len(m.Bytes())+page*4096/80:], "some bytes that a room changed, and some more")
	}
	fold := m.Fold()
	b.Run("fold", func(b *testing.B) {
		for b.Loop() {
			m.Fold()
		}
		b.ReportMetric(float64(len(fold)), "bytes")
	})
	b.Run("unfold", func(b *testing.B) {
		for b.Loop() {
			back, err := im.Unfold(fold)
			if err != nil {
				b.Fatal(err)
			}
			back.Release()
		}
	})
}
