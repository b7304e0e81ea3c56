package pebble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// TestHammer opens, commits in, reads, resets and closes rooms from many goroutines,
// while others read the indexes and the counters, and closes the store in the middle.
func TestHammer(t *testing.T) {
	var hold gate
	s, err := OpenMemory(Options{Fault: func(id store.RoomID, n uint64) error {
		if n%17 == 0 && rand.IntN(3) == 0 {
			return errFault
		}
		return hold.fault(id, n)
	}, MemTableBytes: 1 << 20, CacheBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	closing := make(chan struct{})
	over := func(err error) bool {
		select {
		case <-closing:
			return err != nil
		default:
			if err != nil {
				t.Error(err)
			}
			return err != nil
		}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { // the owner of a room
			for round := range 40 {
				r, err := s.Open(ctx, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
				if over(err) {
					return
				}
				n := r.State().Number
				var answers sync.WaitGroup
				failed := false
				for k := range uint64(20) {
					answers.Add(1)
					c := store.Commit{Number: n + k + 1, Writes: []store.Write{put(fmt.Sprint(k), fmt.Sprint(round)), delRange("1", "2")}, Durability: store.Durability(rand.IntN(2)), Alarm: &store.Alarm{Scheduled: 1, Due: k}}
					r.Commit(c, func(err error) {
						failed = failed || err != nil
						if err == nil && failed {
							t.Error("success after a failure")
						}
						answers.Done()
					})
					if _, _, err := r.Get(ctx, []byte("3")); err != nil && over(err) {
						break
					}
					if _, err := r.List(ctx, abi.ListRequest{Limit: 5}); err != nil && over(err) {
						break
					}
				}
				answers.Wait()
				if failed {
					if _, err := r.Reset(ctx); err != nil && over(err) {
						return
					}
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 60 {
				s.Stats()
				for _, err := range s.Alarms(ctx, 100) {
					if err != nil && over(err) {
						return
					}
				}
				// A room that is open already is refused.
				if r, err := s.Open(ctx, store.RoomID{Kind: "k", Name: "shared"}); err == nil {
					_ = r.Close()
				} else if !errors.Is(err, store.ErrOpen) && over(err) {
					return
				}
			}
		})
	}
	wg.Go(func() {
		for s.Stats().Commits < 1500 {
			_ = s.Stats()
		}
		close(closing)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}
