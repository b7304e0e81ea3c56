package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// testHammer opens, commits in, reads, resets and closes rooms from many goroutines,
// while others read the indexes and the counters, and closes the store in the middle.
func testHammer(t *testing.T, e Engine) {
	var hold Gate
	s := openStore(t, e, Options{Fault: func(id store.RoomID, n uint64) error {
		if n%17 == 0 && rand.IntN(3) == 0 {
			return ErrFault
		}
		return hold.Fault(id, n)
	}, CacheBytes: 64 << 10})
	closing, enough := make(chan struct{}), make(chan struct{})
	var commits atomic.Int64
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
					c := store.Commit{Number: n + k + 1, Writes: []store.Write{Put(fmt.Sprint(k), fmt.Sprint(round)), DeleteRange("1", "2")}, Durability: store.Durability(rand.IntN(2)), Alarm: &store.Alarm{Scheduled: 1, Due: k}}
					r.Commit(c, func(err error) {
						failed = failed || err != nil
						if err == nil && failed {
							t.Error("success after a failure")
						}
						if err == nil && commits.Add(1) == 1500 {
							close(enough)
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
				if index, ok := s.(store.Index); ok {
					for _, err := range index.Alarms(ctx, 100) {
						if err != nil && over(err) {
							return
						}
					}
				}
				if s, ok := s.(store.Shared); ok {
					if _, err := s.Claim(ctx, 2); err != nil && over(err) {
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
		<-enough
		close(closing)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
}
