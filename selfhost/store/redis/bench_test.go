package redis

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

func publish(n uint64) store.Commit {
	return store.Commit{Number: n, Time: n, Writes: []store.Write{
		put(fmt.Sprintf("\x00history%06d", n%100), "a message of some sixty bytes, as people write them in chats"), put("\x00session", fmt.Sprint(n)),
	}}
}

// BenchmarkCommit is one publisher: each commit waits for the one before. Between them is a bare SET of
// the same size, through the same client.
func BenchmarkCommit(b *testing.B) {
	for name, settings := range map[string][]string{"memory": nil, "always": redistest.Durable} {
		server := redistest.Start(b, settings...)
		c := server.Client(b)
		s := openStore(b, c, Options{ClaimTime: never})
		r := open1(b, s, roomA)
		value := make([]byte, 80)
		n := uint64(0)
		b.Run(name, func(b *testing.B) {
			var commits, sets []time.Duration
			for b.Loop() {
				n++
				began := time.Now()
				if err := wait(r, publish(n)); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if err := c.Set(ctx, "bare", value, 0).Err(); err != nil {
					b.Fatal(err)
				}
				commits, sets = append(commits, between.Sub(began)), append(sets, time.Since(between))
			}
			slices.Sort(commits)
			slices.Sort(sets)
			commit, set := commits[len(commits)/2], sets[len(sets)/2]
			b.ReportMetric(float64(commit.Microseconds()), "p50-us/commit")
			b.ReportMetric(float64(set.Microseconds()), "p50-us/set")
			b.ReportMetric(float64(commit)/float64(set), "commit/set")
		})
	}
}

// BenchmarkRooms is many rooms at once, four commits of each on their way.
func BenchmarkRooms(b *testing.B) {
	for name, settings := range map[string][]string{"memory": nil, "always": redistest.Durable} {
		server := redistest.Start(b, settings...)
		s := openStore(b, server.Client(b), Options{ClaimTime: never})
		const rooms, ahead = 500, 4
		open := make([]*room, rooms)
		last := make([]uint64, rooms)
		for i := range open {
			open[i] = open1(b, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		}
		b.Run(name, func(b *testing.B) {
			before := s.Stats()
			slots := make(chan struct{}, rooms*ahead)
			var wg sync.WaitGroup
			for i := 0; b.Loop(); i++ {
				slots <- struct{}{}
				wg.Add(1)
				k := i % rooms
				last[k]++
				open[k].Commit(publish(last[k]), func(err error) {
					if err != nil {
						b.Error(err)
					}
					<-slots
					wg.Done()
				})
			}
			wg.Wait()
			after := s.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(after.Commits-before.Commits)/float64(max(after.Groups-before.Groups, 1)), "commits/pipeline")
		})
	}
}

// BenchmarkWake opens and closes a room of 50 rows.
func BenchmarkWake(b *testing.B) {
	server := redistest.Start(b)
	s := openStore(b, redistest.Client(b, redis.Options{URLs: []string{server.URL()}}), Options{ClaimTime: never})
	r := open1(b, s, roomA)
	for n := uint64(1); n <= 50; n++ {
		if err := wait(r, publish(n)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		r = open1(b, s, roomA)
	}
}
