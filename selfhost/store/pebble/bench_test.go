package pebble

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

// chatCommit is about what a message of a chat room writes.
func chatCommit(n uint64) store.Commit {
	return store.Commit{Number: n, Time: n, Writes: []store.Write{
		put(fmt.Sprintf("\x00history%08d", n), string(make([]byte, 200))),
		put("\x00session", string(make([]byte, 80))),
		del(fmt.Sprintf("\x00history%08d", max(n, 1000)-1000)),
	}}
}

func p50(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Nanoseconds()) / 1e3
}

// One publisher: a commit beside the fsync of a plain file, taken in turns.
func BenchmarkCommitOneRoom(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(filepath.Join(dir, "store"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r := openRoom(b, s, roomA)
	data := make([]byte, 400)
	var floor, commit []time.Duration
	for n := uint64(1); b.Loop(); n++ {
		began := time.Now()
		if _, err := f.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := syncData(f); err != nil {
			b.Fatal(err)
		}
		floor = append(floor, time.Since(began))
		c := chatCommit(n)
		began = time.Now()
		if err := wait(r, c); err != nil {
			b.Fatal(err)
		}
		commit = append(commit, time.Since(began))
	}
	fp, cp := p50(floor), p50(commit)
	b.ReportMetric(fp, "fsync-p50-us")
	b.ReportMetric(cp, "commit-p50-us")
	b.ReportMetric(cp-fp, "added-p50-us")
	b.ReportMetric(cp/fp, "commit/fsync")
}

// A thousand rooms, each with one publisher that waits for its answer.
func BenchmarkCommit1000Rooms(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const rooms = 1000
	each := b.N/rooms + 1
	var mu sync.Mutex
	var latency []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	began := time.Now()
	for i := range rooms {
		r := openRoom(b, s, store.RoomID{Kind: "chat", Name: fmt.Sprint(i)})
		wg.Go(func() {
			own := make([]time.Duration, 0, each)
			for n := range each {
				began := time.Now()
				if err := wait(r, chatCommit(uint64(n+1))); err != nil {
					b.Error(err)
				}
				own = append(own, time.Since(began))
			}
			mu.Lock()
			latency = append(latency, own...)
			mu.Unlock()
		})
	}
	wg.Wait()
	took := time.Since(began)
	b.StopTimer()
	st := s.Stats()
	b.ReportMetric(float64(st.Commits)/took.Seconds(), "commits/s")
	b.ReportMetric(float64(st.Groups)/took.Seconds(), "fsyncs/s")
	b.ReportMetric(float64(st.Commits)/float64(st.Groups), "commits/fsync")
	b.ReportMetric(p50(latency), "commit-p50-us")
	b.ReportMetric(float64(st.Stalls), "stalls")
}

// The processor's part of a commit: the file system is memory.
func BenchmarkCommitCPU(b *testing.B) {
	for _, d := range []store.Durability{store.Durable, store.Relaxed} {
		b.Run([]string{"durable", "relaxed"}[d], func(b *testing.B) {
			s := memory(b, Options{})
			r := openRoom(b, s, roomA)
			answers := make(chan error, 64)
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				n++
				c := chatCommit(n)
				c.Durability = d
				r.Commit(c, func(err error) { answers <- err })
				if n > 32 {
					if err := <-answers; err != nil {
						b.Fatal(err)
					}
				}
			}
			for range min(n, 32) {
				<-answers
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	r := openRoom(b, s, roomA)
	for n := uint64(1); n <= 1000; n++ {
		r.Commit(chatCommit(n), func(error) {})
	}
	if err := wait(r, store.Commit{}); err != nil {
		b.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	key := []byte("\x00session")
	b.Run("cached", func(b *testing.B) {
		for b.Loop() {
			if _, _, hit := r.GetCached(key); !hit {
				b.Fatal("miss")
			}
		}
	})
	b.Run("engine", func(b *testing.B) {
		for b.Loop() {
			r.cache.RemoveSpan(&rows.Span{Start: string(key), End: string(key) + "\x00"})
			if _, ok, err := r.Get(ctx, key); !ok || err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list50", func(b *testing.B) {
		for b.Loop() {
			res, err := r.List(ctx, abi.ListRequest{Start: []byte("\x00history"), Limit: 50, Reverse: true})
			if err != nil || len(res.Entries) != 50 {
				b.Fatal(err)
			}
		}
	})
}
