package pebble

import (
	"fmt"
	"slices"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

func TestAlarms(t *testing.T) {
	s := memory(t, Options{})
	const n = indexPage*2 + 3
	for i := range n {
		r := openRoom(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		a := store.Alarm{Scheduled: 1, Due: uint64(n - i)}
		if err := wait(r, store.Commit{Number: 1, Alarm: &store.Alarm{Scheduled: 99, Due: 99}}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 7 {
			a.Due = 0 // parked
		}
		if err := wait(r, store.Commit{Number: 2, Alarm: &a}); err != nil {
			t.Fatal(err)
		}
		if st, err := r.Reset(ctx); err != nil || st.Alarm != a {
			t.Fatalf("%+v %v", st, err)
		}
	}
	for _, until := range []uint64{0, 1, 100, n, 1<<64 - 1} {
		var got []uint64
		for a, err := range s.Alarms(ctx, until) {
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(n - a.Due); a.Room.Name != want {
				t.Fatalf("due %d is room %s", a.Due, a.Room)
			}
			got = append(got, a.Due)
		}
		want := []uint64{}
		for d := uint64(1); d <= min(until, n); d++ {
			if (n-d)%100 != 7 {
				want = append(want, d)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("until %d: %d alarms, want %d", until, len(got), len(want))
		}
	}
	for range s.Alarms(ctx, n) {
		break // a caller may end early
	}
}
