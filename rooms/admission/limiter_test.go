package admission

import (
	"sync"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	rate := Rate{PerSecond: 10, Burst: 3}
	var b Bucket
	for i := range 3 {
		if _, ok := b.Take(rate, now); !ok {
			t.Fatalf("take %d is refused", i)
		}
	}
	if retry, ok := b.Take(rate, now); ok || retry != 100*time.Millisecond {
		t.Errorf("got %v, %v", retry, ok)
	}
	if retry, ok := b.Take(rate, now.Add(-time.Hour)); ok || retry != 100*time.Millisecond {
		t.Errorf("a clock that goes back: got %v, %v", retry, ok)
	}
	if retry, ok := b.Take(rate, now.Add(99*time.Millisecond)); ok || retry > 2*time.Millisecond {
		t.Errorf("too early: got %v, %v", retry, ok)
	}
	if _, ok := b.Take(rate, now.Add(100*time.Millisecond)); !ok {
		t.Error("refused after the time it was told")
	}
	// It never holds more than the burst.
	later := now.Add(24 * time.Hour)
	for i := range 4 {
		if _, ok := b.Take(rate, later); ok != (i < 3) {
			t.Errorf("take %d: got %v", i, ok)
		}
	}
}

func TestRateOfZeroIsNoLimit(t *testing.T) {
	var b Bucket
	l := NewLimiter[string](Rate{}, 0)
	for range 1000 {
		if _, ok := b.Take(Rate{}, now); !ok {
			t.Fatal("refused")
		}
		if _, ok := l.Take("a", now); !ok {
			t.Fatal("refused")
		}
	}
	if l.Len() != 0 {
		t.Errorf("it keeps %d buckets", l.Len())
	}
	slow := Rate{PerSecond: 1e-12}
	if _, ok := b.Take(slow, now); !ok {
		t.Error("a burst of 0 is one of 1")
	}
	if retry, ok := b.Take(slow, now); ok || retry != time.Hour {
		t.Errorf("got %v, %v", retry, ok)
	}
}

func TestLimiterIsPerKey(t *testing.T) {
	l := NewLimiter[int](Rate{PerSecond: 1, Burst: 2}, 100)
	for key := range 10 {
		for i := range 3 {
			if _, ok := l.Take(key, now); ok != (i < 2) {
				t.Errorf("key %d, take %d: got %v", key, i, ok)
			}
		}
	}
}

func TestLimiterIsBounded(t *testing.T) {
	const keys = 64
	l := NewLimiter[int](Rate{PerSecond: 1, Burst: 1}, keys)
	l.Take(-1, now)
	for i := range 10_000 {
		l.Take(i, now)
		if l.Len() > keys {
			t.Fatalf("%d buckets after %d keys", l.Len(), i)
		}
		// A key that is busy is remembered however many others come.
		if i%8 == 0 {
			if _, ok := l.Take(-1, now); ok {
				t.Fatalf("a busy key is forgotten after %d keys", i)
			}
		}
	}
}

func TestLimiterForgetsFullBuckets(t *testing.T) {
	rate := Rate{PerSecond: 1, Burst: 5}
	l := NewLimiter[int](rate, 1000)
	for key := range 10 {
		l.Take(key, now)
	}
	later := now
	for range 2 {
		later = later.Add(rate.refill() + time.Second)
		l.Take(-1, later)
		l.Take(-2-l.Len(), later)
	}
	if l.Len() > 4 {
		t.Errorf("%d buckets are left", l.Len())
	}
}

func TestTally(t *testing.T) {
	c := NewTally[string](2)
	for i, want := range []bool{true, true, false} {
		if c.Open("a") != want {
			t.Errorf("open %d: got %v", i, !want)
		}
	}
	if !c.Open("b") {
		t.Error("the limit is not per key")
	}
	c.Close("a")
	for i, want := range []bool{true, false} {
		if c.Open("a") != want {
			t.Errorf("open %d after a close: got %v", i, !want)
		}
	}
	for _, k := range []string{"a", "a", "b"} {
		c.Close(k)
	}
	if c.Len() != 0 {
		t.Errorf("%d keys are left", c.Len())
	}
	free := NewTally[string](0)
	for range 1000 {
		if !free.Open("a") {
			t.Fatal("refused")
		}
	}
}

// The limiter and the tally are shared by every goroutine that accepts.
func TestHammer(t *testing.T) {
	const goroutines, takes = 8, 2000
	l := NewLimiter[int](Rate{PerSecond: 1e-9, Burst: 100}, 1<<10)
	c := NewTally[int](goroutines)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards allowed
	allowed := 0
	for range goroutines {
		wg.Go(func() {
			n := 0
			for i := range takes {
				if _, ok := l.Take(0, now); ok {
					n++
				}
				l.Take(1+i%100, now)
				if !c.Open(i % 3) {
					t.Error("refused below the limit")
					return
				}
				c.Close(i % 3)
			}
			mu.Lock()
			allowed += n
			mu.Unlock()
		})
	}
	wg.Wait()
	if allowed != 100 || c.Len() != 0 {
		t.Errorf("%d allowed of a burst of 100, %d keys open", allowed, c.Len())
	}
}

func BenchmarkLimiter(b *testing.B) {
	l := NewLimiter[int](Rate{PerSecond: 1, Burst: 10}, 0)
	i := 0
	for b.Loop() {
		l.Take(i&(1<<20-1), now)
		i++
	}
}
