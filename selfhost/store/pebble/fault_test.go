package pebble

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A badDisk fails one operation of those that it counts, and can go on failing.
type badDisk struct {
	counts func(errorfs.Op) bool
	at     int64 // which one fails, from 1; 0 for none
	err    error
	n      atomic.Int64
	armed  atomic.Bool
	hit    atomic.Pointer[errorfs.Op]
}

func (d *badDisk) op(op errorfs.Op) error {
	if !d.armed.Load() || !d.counts(op) {
		return nil
	}
	if d.n.Add(1) == d.at {
		d.hit.Store(&op)
		return d.err
	}
	return nil
}

func changes(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpRemove, errorfs.OpRemoveAll, errorfs.OpFilePreallocate, errorfs.OpLock:
		return false // of these a failure costs nothing
	}
	return op.Kind.ReadOrWrite() == errorfs.OpIsWrite
}

// load commits in several rooms at once until the store stops or each room has made
// so many commits. It returns the last number that each room saw acknowledged.
func load(t *testing.T, s *Store, rooms, commits, size int) []uint64 {
	acked := make([]uint64, rooms)
	var wg sync.WaitGroup
	for i := range rooms {
		wg.Go(func() {
			r, err := s.Open(ctx, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
			if err != nil {
				if !errors.Is(err, store.ErrStopped) {
					t.Error(err)
				}
				return
			}
			stopped := false
			var answers sync.WaitGroup
			for n := uint64(1); n <= uint64(commits); n++ {
				answers.Add(1)
				w := []store.Write{
					put("last", fmt.Sprint(n)),
					put(fmt.Sprintf("row%06d", n), fmt.Sprintf("%0*d", size, n)),
					delRange("row", fmt.Sprintf("row%06d", max(n, 10)-10)),
				}
				r.Commit(store.Commit{Number: n, Time: n, Writes: w}, func(err error) {
					defer answers.Done()
					switch {
					case err == nil && stopped:
						t.Errorf("commit %d acknowledged after one that failed", n)
					case err == nil && acked[i] != n-1:
						t.Errorf("commit %d acknowledged after %d", n, acked[i])
					case err == nil:
						acked[i] = n
					case !errors.Is(err, store.ErrStopped):
						t.Errorf("commit %d: %v", n, err)
					default:
						stopped = true
					}
				})
				if n%3 == 0 {
					answers.Wait()
				}
			}
			answers.Wait()
		})
	}
	wg.Wait()
	return acked
}

// verify opens a store on what a crash left and looks for all that was acknowledged.
func verify(t *testing.T, fs vfs.FS, dir string, acked []uint64, size int) {
	t.Helper()
	s, err := Open(dir, Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, n := range acked {
		r := openRoom(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		st := r.State()
		if st.Number < n {
			t.Errorf("room %d is at %d, and %d was acknowledged", i, st.Number, n)
			continue
		}
		if st.Number == 0 {
			continue
		}
		if got := get(t, r, "last"); got != fmt.Sprint(st.Number) || st.Time != st.Number {
			t.Errorf("room %d at %d holds half a commit: %s, time %d", i, st.Number, got, st.Time)
		}
		first := max(st.Number, 10) - 10
		for k := max(first, 1); k <= st.Number; k++ {
			if got, want := get(t, r, fmt.Sprintf("row%06d", k)), fmt.Sprintf("%0*d", size, k); got != want {
				t.Errorf("room %d: row %d is lost or wrong", i, k)
			}
		}
	}
}

// mustStop checks that a store has stopped as it should.
func mustStop(t *testing.T, s *Store, cause error) {
	t.Helper()
	select {
	case <-s.Stopped():
	case <-time.After(patience):
		t.Fatal("the store goes on after a failed write")
	}
	if err := s.Err(); !errors.Is(err, store.ErrStopped) || cause != nil && !errors.Is(err, cause) {
		t.Errorf("cause: %v", err)
	}
	if strings.Contains(s.Err().Error(), "\n") {
		t.Errorf("more than a line: %q", s.Err())
	}
	if !s.Away() {
		t.Error("a stopped store is away")
	}
	if _, err := s.Open(ctx, store.RoomID{Kind: "k", Name: "late"}); !errors.Is(err, store.ErrStopped) {
		t.Errorf("open: %v", err)
	}
	s.roomsMu.Lock()
	rooms := len(s.rooms)
	var some *room
	for _, r := range s.rooms {
		some = r
	}
	s.roomsMu.Unlock()
	if rooms > 0 {
		if err := wait(some, store.Commit{Number: some.sent + 1, Host: []byte{}}); !errors.Is(err, store.ErrStopped) {
			t.Errorf("commit: %v", err)
		}
		if _, _, err := some.Get(ctx, []byte("zz")); !errors.Is(err, store.ErrStopped) {
			t.Errorf("get: %v", err)
		}
		if _, err := some.Reset(ctx); !errors.Is(err, store.ErrStopped) {
			t.Errorf("reset: %v", err)
		}
	}
	_ = s.Stats()
	if err := s.Close(); !errors.Is(err, store.ErrStopped) {
		t.Errorf("close: %v", err)
	}
}

// TestFailedWrites fails, in run after run, a later one of all operations that
// change the disk: writes and fsyncs of the log, of tables, of the manifest, renames, new
// files. Whatever it was, the store stops, and nothing that was acknowledged is
// missing from what the disk had then.
func TestFailedWrites(t *testing.T) {
	const rooms, commits, size = 4, 60, 20_000
	run := func(t *testing.T, d *badDisk) {
		mem := vfs.NewCrashableMem()
		d.counts = changes
		s, err := Open("d", Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(d.op)), MemTableBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		d.armed.Store(true)
		acked := load(t, s, rooms, commits, size)
		if d.at == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		rng := rand.New(rand.NewPCG(1, uint64(d.at)))
		crash := mem.CrashClone(vfs.CrashCloneCfg{})
		torn := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		if d.at > 0 {
			if d.hit.Load() == nil && s.Err() == nil {
				// The last operations belong to background work and to Close.
				_ = s.Close()
				return
			}
			mustStop(t, s, d.err)
		}
		verify(t, crash, "d", acked, size)
		verify(t, torn, "d", acked, size)
		if t.Failed() {
			t.Logf("failed operation: %+v", d.hit.Load())
		}
	}
	var whole badDisk
	run(t, &whole)
	total := whole.n.Load()
	runs := int64(40)
	if testing.Short() {
		runs = 12
	}
	t.Logf("%d operations", total)
	kinds := map[string]int{}
	for i := range runs {
		d := &badDisk{at: 1 + i*total/runs, err: syscall.EIO}
		if i%2 == 1 {
			d.err = syscall.ENOSPC
		}
		t.Run(fmt.Sprint(d.at), func(t *testing.T) { run(t, d) })
		if op := d.hit.Load(); op != nil {
			kinds[fmt.Sprintf("%d %s", op.Kind, op.Path[strings.LastIndexAny(op.Path, ".-/")+1:])]++
		}
	}
	t.Log(kinds)
}

// Each sort of operation, the first time it comes after the store was opened: the ones
// that the engine answers with an exit or a panic among them.
func TestFailedOperations(t *testing.T) {
	for _, tc := range []struct {
		name   string
		counts func(errorfs.Op) bool
	}{
		{"write of the log", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") }},
		{"fsync of the log", func(op errorfs.Op) bool { return isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") }},
		{"a new log", func(op errorfs.Op) bool {
			return (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite) && strings.HasSuffix(op.Path, ".log")
		}},
		{"fsync of the directory", func(op errorfs.Op) bool { return isSync(op.Kind) && op.Path == "d" }},
		{"write of a table", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".sst") }},
		{"fsync of a table", func(op errorfs.Op) bool { return isSync(op.Kind) && strings.HasSuffix(op.Path, ".sst") }},
		{"a new table", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") }},
		{"write of the manifest", func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileWrite && strings.Contains(op.Path, "MANIFEST")
		}},
		{"fsync of the manifest", func(op errorfs.Op) bool { return isSync(op.Kind) && strings.Contains(op.Path, "MANIFEST") }},
	} {
		for _, at := range []int64{1, 3} {
			t.Run(fmt.Sprintf("%s %d", tc.name, at), func(t *testing.T) {
				mem := vfs.NewCrashableMem()
				d := &badDisk{counts: tc.counts, at: at, err: syscall.EIO}
				s, err := Open("d", Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(d.op)), MemTableBytes: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				d.armed.Store(true)
				acked := load(t, s, 4, 120, 20_000)
				mustStop(t, s, syscall.EIO)
				if d.hit.Load() == nil {
					t.Fatal("the operation never came")
				}
				verify(t, mem.CrashClone(vfs.CrashCloneCfg{}), "d", acked, 20_000)
			})
		}
	}
}

// After the first fault nothing changes the disk any more, whatever the engine tries.
func TestNothingAfterAFault(t *testing.T) {
	mem := vfs.NewMem()
	var fenced atomic.Pointer[fence]
	var later atomic.Int64
	n := 0
	var mu sync.Mutex // guards n
	s, err := Open("d", Options{MemTableBytes: 1 << 20, FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if f := fenced.Load(); f != nil && f.tripped.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			later.Add(1)
		}
		if isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 10 {
				return syscall.EIO
			}
		}
		return nil
	}))})
	if err != nil {
		t.Fatal(err)
	}
	fenced.Store(s.fence)
	load(t, s, 4, 60, 20_000)
	mustStop(t, s, syscall.EIO)
	before := later.Load()
	// An operation that had begun may end after the fault, one of each of the engine's few
	// goroutines; only the log's file matters, and that one has a single writer.
	if before > 5 {
		t.Errorf("%d operations after the fault", before)
	}
	s, err = Open("d", Options{FS: mem}) // the lock was given back
	if err != nil {
		t.Fatal(err)
	}
	if later.Load() != before {
		t.Error("the stopped store writes on")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Faults while a store is being opened are returned, and leave the directory free.
func TestFailedOpen(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s, err := Open("d", Options{FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	acked := load(t, s, 2, 20, 100)
	crash := func() *vfs.MemFS {
		return mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, 1))})
	}
	whole := &badDisk{counts: changes}
	whole.armed.Store(true)
	left := crash()
	again, err := Open("d", Options{FS: errorfs.Wrap(left, errorfs.InjectorFunc(whole.op))})
	if err != nil {
		t.Fatal(err)
	}
	total := whole.n.Load()
	if err := errors.Join(again.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for at := range total {
		d := &badDisk{counts: changes, at: at + 1, err: syscall.ENOSPC}
		d.armed.Store(true)
		left := crash()
		bad, err := Open("d", Options{FS: errorfs.Wrap(left, errorfs.InjectorFunc(d.op))})
		if err == nil && d.hit.Load() != nil {
			// It was one of the engine's background work, just after the start.
			mustStop(t, bad, syscall.ENOSPC)
		} else if err == nil {
			err = bad.Close()
		}
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("operation %d (%+v): %v", at, d.hit.Load(), err)
		}
		verify(t, left, "d", acked, 100)
	}
}

// A read that fails is an error of that read and no more.
func TestFailedRead(t *testing.T) {
	var bad atomic.Bool
	mem := vfs.NewMem()
	s, err := Open("d", Options{FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	load(t, s, 1, 5, 100)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = Open("d", Options{BlockCacheBytes: 1, FS: errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if bad.Load() && op.Kind == errorfs.OpFileReadAt {
			return syscall.EIO
		}
		return nil
	}))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := openRoom(t, s, store.RoomID{Kind: "k", Name: "0"})
	bad.Store(true)
	_, _, err = r.Get(ctx, []byte("row000003"))
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	bad.Store(false)
	if get(t, r, "row000003") == "-" {
		t.Error("the row is gone")
	}
	if err := wait(r, store.Commit{Number: 6, Host: []byte{}}); err != nil {
		t.Error(err)
	}
}

// What recovery read from a log that was never synced is on the disk before anybody can
// read it: here the fsync failed, the process ended, the next one saw the commit in the
// operating system's memory, and then the power went.
func TestRecoveredIsDurable(t *testing.T) {
	mem := vfs.NewCrashableMem()
	d := &badDisk{at: 1, err: syscall.EIO, counts: func(op errorfs.Op) bool { return isSync(op.Kind) && strings.HasSuffix(op.Path, ".log") }}
	s, err := Open("d", Options{FS: errorfs.Wrap(mem, errorfs.InjectorFunc(d.op))})
	if err != nil {
		t.Fatal(err)
	}
	d.armed.Store(true)
	if err := wait(openRoom(t, s, roomA), store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}}); !errors.Is(err, store.ErrStopped) {
		t.Fatalf("got %v", err)
	}
	mustStop(t, s, syscall.EIO)
	if s, err = Open("d", Options{FS: mem}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := openRoom(t, s, roomA).State().Number; n != 1 {
		t.Fatalf("the log was not read: number %d", n)
	}
	after, err := Open("d", Options{FS: mem.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	if n := openRoom(t, after, roomA).State().Number; n != 1 {
		t.Error("it was readable and is gone")
	}
}
