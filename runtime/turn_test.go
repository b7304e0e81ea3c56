package runtime_test

import (
	"testing"

	"github.com/oriel-rooms/oriel/runtime"
)

func TestTurns(t *testing.T) {
	r := newRuntime(t, runtime.Options{})
	m := load(t, r, guest(t))
	t.Log(m.LoadTimes(), m.WarmUpError(), m.ImageSize(), m.CopyOnWrite())
	a, b := newRoom(t, m, "a"), newRoom(t, m, "b")
	mustAsk(t, a, nil, "count", "1")
	mustAsk(t, a, nil, "count", "2")
	mustAsk(t, b, nil, "count", "1")
	mustAsk(t, a, nil, "count", "3")
	a.Sleep()
	mustAsk(t, a, nil, "count", "1")
	mustAsk(t, b, nil, "count", "2")
}

// TestCollector lets the collector of a Go guest run in the middle of turns, with large and
// small objects, though its clock stands still: no turn blocks.
func TestCollector(t *testing.T) {
	r := newRuntime(t, runtime.Options{TurnFuel: 1 << 40})
	m := load(t, r, guest(t))
	for i := range 20 {
		room := newRoom(t, m, "room")
		for k := range 5 {
			mustAsk(t, room, nil, "churn "+itoa(i*7+k), "ok")
		}
	}
}
