package memory

import (
	"bytes"
	"errors"
	"sync"
	"testing"
)

// images runs a test on both sorts of image, where both are at hand.
func images(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("default", func(t *testing.T) { test(t, Options{Limit: 4 * PageSize}) })
	t.Run("plain", func(t *testing.T) { test(t, Options{Limit: 4 * PageSize, Plain: true}) })
}

// patterned returns bytes of one page with zero stretches.
func patterned() []byte {
	b := make([]byte, 2*PageSize)
	for i := range b {
		if i/5000%2 == 0 {
			b[i] = byte(i)
		}
	}
	return b
}

func newImage(t testing.TB, o Options) *Image {
	t.Helper()
	im, err := NewImage(patterned(), []uint64{7, 8}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	})
	return im
}

func newMemory(t testing.TB, im *Image) *Memory {
	t.Helper()
	m, err := im.New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestViews(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		im := newImage(t, o)
		a, b := newMemory(t, im), newMemory(t, im)
		a.Bytes()[0], a.Globals[0] = 99, 99
		if b.Bytes()[0] == 99 || b.Globals[0] != 7 {
			t.Error("two views share what one of them changed")
		}
		if !a.grow(4*PageSize) || len(a.Bytes()) != 4*PageSize {
			t.Error("a view did not grow to the limit")
		}
		if a.grow(5 * PageSize) {
			t.Error("a view grew past the limit")
		}
		a.Bytes()[4*PageSize-1] = 99
		a.Release()
		if n := im.Views(); n != 1 {
			t.Errorf("%d views", n)
		}
		for range 3 { // the same bytes again, whether used again or new
			c := newMemory(t, im)
			if !bytes.Equal(c.Bytes(), patterned()) || c.Globals[0] != 7 || c.Globals[1] != 8 {
				t.Error("a view does not begin as the image")
			}
			c.grow(4 * PageSize)
			if c.Bytes()[4*PageSize-1] != 0 {
				t.Error("a view has bytes of an earlier one behind its end")
			}
			c.Bytes()[5], c.Bytes()[4*PageSize-1], c.Globals[1] = 1, 1, 1
			c.Release()
		}
		b.Release()
	})
}

func TestImageLimits(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		for name, f := range map[string]func() (*Image, error){
			"longer than the limit": func() (*Image, error) { return NewImage(make([]byte, 5*PageSize), nil, o) },
			"no whole page":         func() (*Image, error) { return NewImage(make([]byte, 100), nil, o) },
		} {
			if _, err := f(); err == nil {
				t.Error(name)
			}
		}
		full, err := NewImage(make([]byte, 4*PageSize), nil, o)
		if err != nil {
			t.Fatal(err)
		}
		m := newMemory(t, full)
		if m.grow(5*PageSize) || !m.grow(4*PageSize) {
			t.Error("a full image")
		}
		m.Release()
		full.Close()
		if _, err := full.New(); !errors.Is(err, ErrClosed) {
			t.Errorf("a closed image: %v", err)
		}
		empty, err := NewImage(nil, nil, Options{Plain: o.Plain})
		if err != nil {
			t.Fatal(err)
		}
		newMemory(t, empty).Release()
		empty.Close()
	})
}

// TestCloseBeforeRelease keeps a view readable after its image is closed.
func TestCloseBeforeRelease(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		im := newImage(t, o)
		m := newMemory(t, im)
		im.Close()
		if !bytes.Equal(m.Bytes(), patterned()) {
			t.Error("the bytes are gone")
		}
		m.Bytes()[0] = 1
		m.Release()
	})
}

func TestBudget(t *testing.T) {
	budget := NewBudget(2)
	o := Options{Limit: 4 * PageSize, Budget: budget}
	one, two := newImage(t, o), newImage(t, o)
	if !one.CopyOnWrite() {
		t.Skip("views are copies here")
	}
	a, b := newMemory(t, one), newMemory(t, two)
	if _, err := one.New(); !errors.Is(err, ErrNoMappings) {
		t.Errorf("a third mapping: %v", err)
	}
	a.Release()
	newMemory(t, one).Release() // a mapping that is used again
	b.Release()
	two.Close()
	one.Close()
	if n := budget.used.Load(); n != 0 {
		t.Errorf("%d mappings are counted after all", n)
	}
	if n := SystemBudget().Max(); n < 1000 {
		t.Errorf("the system allows %d mappings", n)
	}
}

func TestSlot(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		im := newImage(t, o)
		a, b := newMemory(t, im), newMemory(t, im)
		s := &Slot{}
		if s.Reallocate(PageSize) != nil || s.Bytes() != nil || !s.Refused() {
			t.Error("an empty slot has bytes")
		}
		s.Set(a)
		if got := s.Reallocate(1); &got[0] != &a.Bytes()[0] || len(got) != 2*PageSize || cap(got) != len(got) {
			t.Error("the slot has other bytes")
		}
		if got := s.Reallocate(3 * PageSize); len(got) != 3*PageSize || len(a.Bytes()) != 3*PageSize || s.Refused() {
			t.Error("the memory under the slot did not grow")
		}
		if s.Reallocate(5*PageSize) != nil || !s.Refused() {
			t.Error("the memory under the slot grew past the limit")
		}
		s.Set(b)
		if got := s.Reallocate(1); len(got) != 2*PageSize || s.Refused() {
			t.Error("the second memory has the first one's length")
		}
		s.Set(nil)
		if got := s.Reallocate(1); got == nil || len(got) != 0 || s.Bytes() != nil {
			t.Error("a parked slot has bytes")
		}
		s.Free()
		if !bytes.Equal(b.Bytes(), patterned()) {
			t.Error("Free touched a memory")
		}
		a.Release()
		b.Release()
	})
}

// TestPlainGrowth grows in many small steps without copying each time.
func TestPlainGrowth(t *testing.T) {
	m := NewPlain(64 * PageSize)
	moved := 0
	var last *byte
	for i := uint64(1); i <= 64; i++ {
		if !m.grow(i * PageSize) {
			t.Fatal(i)
		}
		if p := &m.Bytes()[0]; p != last {
			moved, last = moved+1, p
		}
	}
	if m.grow(65*PageSize) || moved > 8 {
		t.Errorf("moved %d times", moved)
	}
	m.Release()
}

// TestHammer takes and gives views from many goroutines.
func TestHammer(t *testing.T) {
	images(t, func(t *testing.T, o Options) {
		im := newImage(t, o)
		want := patterned()
		var wg sync.WaitGroup
		for id := range 8 {
			wg.Go(func() {
				for range 200 {
					m, err := im.New()
					if err != nil {
						t.Error(err)
						return
					}
					if !bytes.Equal(m.Bytes(), want) {
						t.Error("a view is not fresh")
					}
					for i := 0; i < len(m.Bytes()); i += 4096 {
						m.Bytes()[i] = byte(id)
					}
					m.Release()
				}
			})
		}
		wg.Wait()
		if im.Views() != 0 {
			t.Errorf("%d views", im.Views())
		}
	})
}

// BenchmarkNew measures a view that is taken and given back, of which one page was
// written, by both sorts of image.
func BenchmarkNew(b *testing.B) {
	for name, plain := range map[string]bool{"copy-on-write": false, "plain": true} {
		b.Run(name, func(b *testing.B) {
			image := make([]byte, 48*PageSize)
			im, err := NewImage(image, make([]uint64, 8), Options{Limit: 1024 * PageSize, Plain: plain})
			if err != nil {
				b.Fatal(err)
			}
			defer im.Close()
			for b.Loop() {
				m := newMemory(b, im)
				m.Bytes()[0] = 1
				m.Release()
			}
		})
	}
}
