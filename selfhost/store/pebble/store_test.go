package pebble

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

func TestCommitAndRead(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open("d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	r := openRoom(t, s, roomA)
	if st := r.State(); st.Number != 0 || st.Time != 0 || len(st.Term) != 32 || st.Alarm != (store.Alarm{}) || st.Host != nil || st.HasOutbox {
		t.Fatalf("new room: %+v", st)
	}
	alarm := store.Alarm{Scheduled: 5000, Due: 6000, Attempt: 1}
	first := store.Commit{
		Number: 1, Time: 1000,
		Writes: []store.Write{put("a", "1"), put("b", "2"), put("c", "3"), del("b"), delRange("c", "d"), put("c", "4"), put("e", "")},
		Alarm:  &alarm, Host: []byte("host"), Outbox: [][]byte{[]byte("x"), []byte("y")},
	}
	if err := wait(r, first); err != nil {
		t.Fatal(err)
	}
	if err := wait(r, store.Commit{Number: 2, Time: 900, Writes: []store.Write{put("f", "6")}, OutboxDone: []uint64{store.OutboxID(1, 0)}}); err != nil {
		t.Fatal(err)
	}
	check := func(r store.Room) {
		t.Helper()
		if got, want := all(t, r), []string{"a=1", "c=4", "e=", "f=6"}; !slices.Equal(got, want) {
			t.Errorf("rows %q, want %q", got, want)
		}
		for k, want := range map[string]string{"a": "1", "b": "-", "c": "4", "e": "", "zz": "-", "": "-"} {
			if got := get(t, r, k); got != want {
				t.Errorf("%q is %q, want %q", k, got, want)
			}
		}
		rows, more, err := r.Outbox(ctx, 0, 10)
		if err != nil || more || len(rows) != 1 || rows[0].ID != store.OutboxID(1, 1) || string(rows[0].Data) != "y" {
			t.Errorf("outbox %v %v %v", rows, more, err)
		}
	}
	check(r)
	term := r.State().Term
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	check(openRoom(t, s, roomA))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, err = Open("d", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r = openRoom(t, s, roomA)
	st := r.State()
	if st.Number != 2 || st.Time != 1000 || st.Alarm != alarm || string(st.Host) != "host" || !st.HasOutbox {
		t.Errorf("state %+v", st)
	}
	if st.Term == term {
		t.Error("another process has the same term")
	}
	check(r)
	if err := wait(r, store.Commit{Number: 3, Host: []byte{}, OutboxDone: []uint64{store.OutboxID(1, 1), 77}}); err != nil {
		t.Fatal(err)
	}
	if st, err := r.Reset(ctx); err != nil || st.Host != nil || st.HasOutbox || st.Number != 3 || st.Time != 1000 {
		t.Errorf("state %+v %v", st, err)
	}
}

func TestNumbers(t *testing.T) {
	for _, tc := range []struct {
		name string
		sent uint64
		want error
	}{
		{"next", 3, nil},
		{"the last one again", 2, nil},
		{"one before", 1, store.ErrNumber},
		{"a gap", 4, store.ErrNumber},
		{"zero", 0, store.ErrNumber},
		{"beyond all", store.MaxNumber + 1, store.ErrNumber},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := memory(t, Options{})
			r := openRoom(t, s, roomA)
			for n := range uint64(2) {
				if err := wait(r, store.Commit{Number: n + 1, Writes: []store.Write{put("n", fmt.Sprint(n+1))}}); err != nil {
					t.Fatal(err)
				}
			}
			err := wait(r, store.Commit{Number: tc.sent, Writes: []store.Write{put("n", "x")}})
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			want := "2" // a repeated number is not applied again
			if tc.sent == 3 {
				want = "x"
			}
			if got := get(t, r, "n"); got != want {
				t.Errorf("row is %q, want %q", got, want)
			}
			var e *store.Error
			if tc.want == nil {
				return
			}
			if !errors.As(err, &e) || e.Op != "commit" || e.Room != roomA {
				t.Errorf("%#v does not name the operation and the room", err)
			}
			if err := wait(r, store.Commit{Number: 3, Writes: []store.Write{put("n", "y")}}); !errors.Is(err, store.ErrVoid) {
				t.Errorf("after a refusal: %v", err)
			}
			if err := wait(r, store.Commit{}); !errors.Is(err, store.ErrVoid) {
				t.Errorf("empty, after a refusal: %v", err)
			}
			if _, err := r.Reset(ctx); err != nil {
				t.Fatal(err)
			}
			if err := wait(r, store.Commit{Number: 3, Writes: []store.Write{put("n", "y")}}); err != nil {
				t.Errorf("after the reset: %v", err)
			}
		})
	}
}

// A number that another ownership committed is not a repetition.
func TestNumberOfAnotherOwner(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Host: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Host: []byte("x")}); !errors.Is(err, store.ErrNumber) {
		t.Errorf("got %v", err)
	}
}

func TestLimits(t *testing.T) {
	key := func(n int) string { return strings.Repeat("k", n) }
	var full []store.Write // of exactly MaxCommitBytes
	for left := store.MaxCommitBytes; left > 0; {
		n := min(left, abi.MaxKeyValue)
		full = append(full, put(fmt.Sprintf("%08d", len(full)), string(make([]byte, n-8))))
		left -= n
	}
	big := uint64(abi.MaxTime)
	for _, tc := range []struct {
		name string
		c    store.Commit
		ok   bool
	}{
		{"key", store.Commit{Writes: []store.Write{put(key(abi.MaxKey), "")}}, true},
		{"key", store.Commit{Writes: []store.Write{put(key(abi.MaxKey+1), "")}}, false},
		{"no key", store.Commit{Writes: []store.Write{put("", "")}}, false},
		{"no key to delete", store.Commit{Writes: []store.Write{del("")}}, false},
		{"bound", store.Commit{Writes: []store.Write{delRange("", key(abi.MaxBound))}}, true},
		{"bound", store.Commit{Writes: []store.Write{delRange("", key(abi.MaxBound+1))}}, false},
		{"value", store.Commit{Writes: []store.Write{put("k", string(make([]byte, abi.MaxKeyValue-1)))}}, true},
		{"value", store.Commit{Writes: []store.Write{put("k", string(make([]byte, abi.MaxKeyValue)))}}, false},
		{"operation", store.Commit{Writes: []store.Write{{Op: store.DeleteRange + 1, Key: []byte("k")}}}, false},
		{"size", store.Commit{Writes: full}, true},
		{"size", store.Commit{Writes: append(slices.Clone(full), put("k", ""))}, false},
		{"host", store.Commit{Host: make([]byte, store.MaxHost)}, true},
		{"host", store.Commit{Host: make([]byte, store.MaxHost+1)}, false},
		{"outbox row", store.Commit{Outbox: [][]byte{make([]byte, store.MaxOutboxRow)}}, true},
		{"outbox row", store.Commit{Outbox: [][]byte{make([]byte, store.MaxOutboxRow+1)}}, false},
		{"outbox rows", store.Commit{Outbox: make([][]byte, abi.MaxEffectCount)}, true},
		{"outbox rows", store.Commit{Outbox: make([][]byte, abi.MaxEffectCount+1)}, false},
		{"time", store.Commit{Time: big, Host: []byte{}}, true},
		{"time", store.Commit{Time: big + 1, Host: []byte{}}, false},
		{"alarm", store.Commit{Alarm: &store.Alarm{Scheduled: big, Due: big}}, true},
		{"alarm", store.Commit{Alarm: &store.Alarm{Scheduled: big + 1}}, false},
		{"due", store.Commit{Alarm: &store.Alarm{Scheduled: 1, Due: big + 1}}, false},
		{"due without a time", store.Commit{Alarm: &store.Alarm{Due: 1}}, false},
		{"durability", store.Commit{Host: []byte{}, Durability: store.Relaxed + 1}, false},
	} {
		t.Run(fmt.Sprintf("%s %v", tc.name, tc.ok), func(t *testing.T) {
			s := memory(t, Options{})
			r := openRoom(t, s, roomA)
			tc.c.Number = 1
			err := wait(r, tc.c)
			if tc.ok && err != nil || !tc.ok && !errors.Is(err, store.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Names that begin with each other, and bytes 0x00 and 0xff, stay apart.
func TestOpenTwice(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	if _, err := s.Open(ctx, roomA); !errors.Is(err, store.ErrOpen) {
		t.Errorf("open twice: %v", err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := wait(r, store.Commit{Number: 1, Host: []byte{}}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit of a closed room: %v", err)
	}
	if _, err := r.Reset(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("reset of a closed room: %v", err)
	}
	openRoom(t, s, roomA)
}

// Close answers what was submitted, and what comes while it runs.
// The relaxed commit of a quiet store reaches the disk by itself.
func TestRelaxedSync(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := Open("d", Options{FS: fs, RelaxedSync: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}, Durability: store.Relaxed}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		crashed, err := Open("d", Options{FS: fs.CrashClone(vfs.CrashCloneCfg{})})
		if err != nil {
			t.Fatal(err)
		}
		got := get(t, openRoom(t, crashed, roomA), "a")
		if err := crashed.Close(); err != nil {
			t.Fatal(err)
		}
		if got == "b" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never synced")
		}
	}
}

// A store that is closed in good order leaves no goroutine, the engine's included.
