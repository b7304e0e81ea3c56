package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

func testOrder(t *testing.T, e Engine) {
	row := []store.Write{Put("k", "v")}
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
			var hold Gate
			s := openStore(t, e, Options{Fault: hold.Fault})
			r := Open(t, s, roomA)
			if tc.fail > 0 {
				hold.Fail(roomA, tc.fail, ErrFault)
			}
			hold.Close()
			var rec Recorder
			for i, c := range tc.commits {
				r.Commit(c, rec.Done(fmt.Sprint(i)))
			}
			if _, err := r.Reset(ctx); !errors.Is(err, store.ErrPending) {
				t.Errorf("reset while commits wait: %v", err)
			}
			if err := r.Close(); !errors.Is(err, store.ErrPending) {
				t.Errorf("close while commits wait: %v", err)
			}
			hold.Open()
			var want []string
			for i, w := range strings.Fields(tc.want) {
				want = append(want, fmt.Sprintf("%d:%s", i, w))
			}
			if got := rec.Wait(); got != strings.Join(want, " ") {
				t.Errorf("answers %q, want %q", got, want)
			}
			if st, err := r.Reset(ctx); err != nil || st.Number != tc.number {
				t.Errorf("number %d, want %d (%v)", st.Number, tc.number, err)
			}
			if err := Wait(r, durable(tc.number+1)); err != nil {
				t.Errorf("after the reset: %v", err)
			}
		})
	}
}

// Void rows are seen by nobody after a reset, not even through the cache.
func testVoidRows(t *testing.T, e Engine) {
	var hold Gate
	s := openStore(t, e, Options{Fault: hold.Fault})
	r := Open(t, s, roomA)
	for n, v := range []string{"1", "2"} {
		if err := Wait(r, store.Commit{Number: uint64(n + 1), Writes: []store.Write{Put("a", v), Put("b", v), Put("c", v)}}); err != nil {
			t.Fatal(err)
		}
	}
	hold.Fail(roomA, 4, ErrFault)
	hold.Close()
	var rec Recorder
	r.Commit(store.Commit{Number: 3, Writes: []store.Write{Put("a", "3"), Put("b", "3"), Delete("c")}}, rec.Done("3"))
	r.Commit(store.Commit{Number: 4, Writes: []store.Write{Put("a", "4"), DeleteRange("b", "c"), Put("c", "4"), Put("d", "4")}}, rec.Done("4"))
	r.Commit(store.Commit{Number: 5, Writes: []store.Write{Put("d", "5")}, Outbox: [][]byte{{1}}, Alarm: &store.Alarm{Scheduled: 1, Due: 1}}, rec.Done("5"))
	if got := strings.Join(All(t, r), " "); got != "a=4 c=4 d=5" {
		t.Errorf("pending: %q", got)
	}
	hold.Open()
	if got := rec.Wait(); got != "3:ok 4:fault 5:void" {
		t.Fatal(got)
	}
	st, err := r.Reset(ctx)
	if err != nil || st.Number != 3 || st.HasOutbox || st.Alarm.Due != 0 {
		t.Errorf("%+v %v", st, err)
	}
	for k, want := range map[string]string{"a": "3", "b": "3", "c": "-", "d": "-"} {
		if got := Get(t, r, k); got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	if got := All(t, r); !slices.Equal(got, []string{"a=3", "b=3"}) {
		t.Errorf("rows %q", got)
	}
	if index, ok := s.(store.Index); ok {
		for range index.Alarms(ctx, 10) {
			t.Error("a void alarm is in the index")
		}
	}
}

// A done function may reset the room and commit.
func testResetInDone(t *testing.T, e Engine) {
	var hold Gate
	s := openStore(t, e, Options{Fault: hold.Fault})
	r := Open(t, s, roomA)
	hold.Fail(roomA, 1, ErrFault)
	answer := make(chan error, 1)
	r.Commit(store.Commit{Number: 1, Host: []byte{1}}, func(err error) {
		if !errors.Is(err, ErrFault) {
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

func testBusy(t *testing.T, e Engine) {
	for _, tc := range []struct {
		name string
		o    Options
		n    int // 1,000-byte commits that are taken; the room is busy from half of them on
	}{
		{"room", Options{RoomPendingBytes: 10 * (1001 + rows.Overhead)}, 10},
		{"store", Options{PendingBytes: 10 * (1001 + rows.Overhead)}, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var hold Gate
			hold.Close()
			tc.o.Fault = hold.Fault
			s := openStore(t, e, tc.o)
			r := Open(t, s, roomA)
			var rec Recorder
			var want []string
			for n := range tc.n + 2 {
				if got := r.Busy(); got != (n > tc.n/2) {
					t.Errorf("busy is %v after %d", got, n)
				}
				r.Commit(store.Commit{Number: uint64(n + 1), Writes: []store.Write{Put("k", string(make([]byte, 1000)))}}, rec.Done(fmt.Sprint(n)))
				switch {
				case n < tc.n:
					want = append(want, fmt.Sprintf("%d:ok", n))
				case n == tc.n:
					want = append(want, fmt.Sprintf("%d:busy", n))
				default:
					want = append(want, fmt.Sprintf("%d:void", n))
				}
			}
			hold.Open()
			if got := rec.Wait(); got != strings.Join(want, " ") {
				t.Errorf("%s, want %s", got, want)
			}
			if r.Busy() {
				t.Error("busy with nothing to do")
			}
		})
	}
}
