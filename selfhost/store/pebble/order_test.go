package pebble

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A recorder writes down answers in the order in which they come.
type recorder struct {
	mu  sync.Mutex // guards log
	log []string
	wg  sync.WaitGroup
}

func (rec *recorder) done(name string) func(error) {
	rec.wg.Add(1)
	return func(err error) {
		rec.mu.Lock()
		rec.log = append(rec.log, fmt.Sprintf("%s:%s", name, short(err)))
		rec.mu.Unlock()
		rec.wg.Done()
	}
}

func (rec *recorder) wait() string {
	rec.wg.Wait()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return strings.Join(rec.log, " ")
}

var errFault = errors.New("the test's fault")

func short(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrVoid):
		return "void"
	case errors.Is(err, errFault):
		return "fault"
	case errors.Is(err, store.ErrNumber):
		return "number"
	case errors.Is(err, store.ErrBusy):
		return "busy"
	case errors.Is(err, store.ErrStopped):
		return "stopped"
	}
	return err.Error()
}

func TestOrder(t *testing.T) {
	row := []store.Write{put("k", "v")}
	durable := func(n uint64) store.Commit { return store.Commit{Number: n, Writes: row} }
	relaxed := func(n uint64) store.Commit {
		return store.Commit{Number: n, Writes: row, Durability: store.Relaxed}
	}
	for _, tc := range []struct {
		name    string
		fail    uint64
		commits []store.Commit
		want    string
		number  uint64 // after a reset
	}{
		{"durable and relaxed and empty", 0, []store.Commit{durable(1), relaxed(2), {}, relaxed(3), durable(4)}, "ok ok ok ok ok", 4},
		{"relaxed first", 0, []store.Commit{relaxed(1), {}, relaxed(2), durable(3), {}}, "ok ok ok ok ok", 3},
		{"a failure voids what follows", 2, []store.Commit{durable(1), durable(2), durable(3), {}, relaxed(4)}, "ok fault void void void", 1},
		{"a failure of a relaxed one too", 1, []store.Commit{relaxed(1), relaxed(2), durable(3)}, "fault void void", 0},
		{"a refusal spares what came before", 0, []store.Commit{durable(1), durable(2), durable(9), durable(3), {}}, "ok ok number void void", 2},
		{"a repetition waits for the first", 0, []store.Commit{durable(1), durable(1), durable(2)}, "ok ok ok", 2},
		{"a repetition of a failed one", 1, []store.Commit{durable(1), durable(1)}, "fault void", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hold gate
			s := memory(t, Options{Fault: hold.fault})
			r := openRoom(t, s, roomA)
			if tc.fail > 0 {
				hold.fail(roomA, tc.fail, errFault)
			}
			hold.close()
			var rec recorder
			for i, c := range tc.commits {
				r.Commit(c, rec.done(fmt.Sprint(i)))
			}
			if _, err := r.Reset(ctx); !errors.Is(err, store.ErrPending) {
				t.Errorf("reset while commits wait: %v", err)
			}
			if err := r.Close(); !errors.Is(err, store.ErrPending) {
				t.Errorf("close while commits wait: %v", err)
			}
			hold.open()
			var want []string
			for i, w := range strings.Fields(tc.want) {
				want = append(want, fmt.Sprintf("%d:%s", i, w))
			}
			if got := rec.wait(); got != strings.Join(want, " ") {
				t.Errorf("answers %q, want %q", got, want)
			}
			if st, err := r.Reset(ctx); err != nil || st.Number != tc.number {
				t.Errorf("number %d, want %d (%v)", st.Number, tc.number, err)
			}
			if err := wait(r, durable(tc.number+1)); err != nil {
				t.Errorf("after the reset: %v", err)
			}
		})
	}
}

// Void rows are seen by nobody after a reset, not even through the cache.
func TestVoidRows(t *testing.T) {
	var hold gate
	s := memory(t, Options{Fault: hold.fault})
	r := openRoom(t, s, roomA)
	for n, v := range []string{"1", "2"} {
		if err := wait(r, store.Commit{Number: uint64(n + 1), Writes: []store.Write{put("a", v), put("b", v), put("c", v)}}); err != nil {
			t.Fatal(err)
		}
	}
	hold.fail(roomA, 4, errFault)
	hold.close()
	var rec recorder
	r.Commit(store.Commit{Number: 3, Writes: []store.Write{put("a", "3"), put("b", "3"), del("c")}}, rec.done("3"))
	r.Commit(store.Commit{Number: 4, Writes: []store.Write{put("a", "4"), delRange("b", "c"), put("c", "4"), put("d", "4")}}, rec.done("4"))
	r.Commit(store.Commit{Number: 5, Writes: []store.Write{put("d", "5")}, Outbox: [][]byte{{1}}, Alarm: &store.Alarm{Scheduled: 1, Due: 1}}, rec.done("5"))
	if got := strings.Join(all(t, r), " "); got != "a=4 c=4 d=5" {
		t.Errorf("pending: %q", got)
	}
	hold.open()
	if got := rec.wait(); got != "3:ok 4:fault 5:void" {
		t.Fatal(got)
	}
	st, err := r.Reset(ctx)
	if err != nil || st.Number != 3 || st.HasOutbox || st.Alarm.Due != 0 {
		t.Errorf("%+v %v", st, err)
	}
	for k, want := range map[string]string{"a": "3", "b": "3", "c": "-", "d": "-"} {
		if got := get(t, r, k); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	if got := all(t, r); !slices.Equal(got, []string{"a=3", "b=3"}) {
		t.Errorf("rows %q", got)
	}
	for range s.Alarms(ctx, 10) {
		t.Error("a void alarm is in the index")
	}
}

// A done function may reset the room and commit.
func TestResetInDone(t *testing.T) {
	var hold gate
	s := memory(t, Options{Fault: hold.fault})
	r := openRoom(t, s, roomA)
	hold.fail(roomA, 1, errFault)
	answer := make(chan error, 1)
	r.Commit(store.Commit{Number: 1, Host: []byte{1}}, func(err error) {
		if !errors.Is(err, errFault) {
			t.Errorf("got %v", err)
		}
		if _, err := r.Reset(ctx); err != nil {
			t.Error(err)
		}
		r.Commit(store.Commit{Number: 1, Host: []byte{2}}, func(err error) { answer <- err })
	})
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

// While an fsync of one room runs, relaxed commits of another are answered, and those of
// the same room wait.
func TestRelaxedOvertakesFsync(t *testing.T) {
	fs, slow := slowFS()
	s, err := Open("d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, b := openRoom(t, s, roomA), openRoom(t, s, store.RoomID{Kind: "k", Name: "b"})
	syncing := slow.hold()
	var rec recorder
	a.Commit(store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}}, rec.done("a1"))
	<-syncing
	a.Commit(store.Commit{Number: 2, Writes: []store.Write{put("a", "2")}, Durability: store.Relaxed}, rec.done("a2"))
	for n := range uint64(3) {
		if err := wait(b, store.Commit{Number: n + 1, Writes: []store.Write{put("b", "1")}, Durability: store.Relaxed}); err != nil {
			t.Fatal(err)
		}
		if err := wait(b, store.Commit{}); err != nil {
			t.Fatal(err)
		}
	}
	rec.mu.Lock()
	early := len(rec.log)
	rec.mu.Unlock()
	if early != 0 {
		t.Error("answered before its fsync")
	}
	slow.release()
	if got := rec.wait(); got != "a1:ok a2:ok" {
		t.Error(got)
	}
}

func TestGroupCommit(t *testing.T) {
	fs, slow := slowFS()
	s, err := Open("d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const n = 200
	var rec recorder
	syncing := slow.hold()
	for i := range n {
		r := openRoom(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		r.Commit(store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}}, rec.done(fmt.Sprint(i)))
		if i == 0 {
			<-syncing
		}
	}
	slow.release()
	log := strings.Fields(rec.wait())
	for i, got := range log {
		if want := fmt.Sprintf("%d:ok", i); got != want {
			t.Fatalf("answer %d is %s", i, got)
		}
	}
	if st := s.Stats(); st.Commits != n || st.Groups != 2 || st.GroupMax != n-1 || st.Sync.Count != 2 || st.Failed != 0 || st.PendingCommits != 0 || st.PendingBytes != 0 || st.OpenRooms != n {
		t.Errorf("stats %+v", st)
	}
}

func TestGroupBytes(t *testing.T) {
	fs, slow := slowFS()
	s, err := Open("d", Options{FS: fs, GroupBytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var rec recorder
	r := openRoom(t, s, roomA)
	syncing := slow.hold()
	for n := range uint64(5) {
		// Two and their overhead fit a group; the first is alone because it did not wait.
		c := store.Commit{Number: n + 1, Writes: []store.Write{put("a", string(make([]byte, 4700)))}}
		r.Commit(c, rec.done(fmt.Sprint(n)))
		if n == 0 {
			<-syncing
		}
	}
	slow.release()
	rec.wait()
	if st := s.Stats(); st.Groups != 3 || st.GroupMax != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestBusy(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Options
		n    int // 1,000-byte commits that are taken; the room is busy from half of them on
	}{
		{"room", Options{RoomPendingBytes: 10 * (1001 + rowOverhead)}, 10},
		{"store", Options{PendingBytes: 10 * (1001 + rowOverhead)}, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hold gate
			hold.close()
			tc.o.Fault = hold.fault
			s := memory(t, tc.o)
			r := openRoom(t, s, roomA)
			var rec recorder
			var want []string
			for n := range tc.n + 2 {
				if got := r.Busy(); got != (n > tc.n/2) {
					t.Errorf("busy is %v after %d", got, n)
				}
				r.Commit(store.Commit{Number: uint64(n + 1), Writes: []store.Write{put("k", string(make([]byte, 1000)))}}, rec.done(fmt.Sprint(n)))
				switch {
				case n < tc.n:
					want = append(want, fmt.Sprintf("%d:ok", n))
				case n == tc.n:
					want = append(want, fmt.Sprintf("%d:busy", n))
				default:
					want = append(want, fmt.Sprintf("%d:void", n))
				}
			}
			hold.open()
			if got := rec.wait(); got != strings.Join(want, " ") {
				t.Errorf("%s, want %s", got, want)
			}
			if r.Busy() {
				t.Error("busy with nothing to do")
			}
		})
	}
}
