package cluster

import (
	"testing"
	"time"
)

func TestWall(t *testing.T) {
	clock, elapsed := time.Unix(1_000_000, 0), time.Duration(0)
	w := &wall{clock: func() time.Time { return clock }, elapsed: func() time.Duration { return elapsed }}
	w.jumped()
	for _, step := range []struct{ real, set, want time.Duration }{
		{time.Second, 0, 0},
		{time.Hour, 0, 0},
		{time.Second, time.Hour, time.Hour},
		{time.Second, 0, 0},
		{0, -2 * time.Hour, -2 * time.Hour},
		{time.Second, tolerance - 1, 0}, // a clock that is put right a little
		{time.Second, 1, tolerance},     // and once more
		{time.Second, 0, 0},
	} {
		elapsed += step.real
		clock = clock.Add(step.real + step.set)
		if got := w.jumped(); got != step.want {
			t.Errorf("%s after it was set by %s: %s, want %s", step.real, step.set, got, step.want)
		}
	}
	if by := newWall().jumped(); by != 0 {
		t.Errorf("a clock that nobody has set has jumped by %s", by)
	}
}
