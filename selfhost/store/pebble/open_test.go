package pebble

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	if !errors.Is(err, store.ErrLocked) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	s, err = Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFormat(t *testing.T) {
	for _, tc := range []struct {
		name       string
		key, value []byte
	}{
		{"another version", []byte(formatKey), []byte{2}},
		{"an unreadable version", []byte(formatKey), []byte{1, 1}},
		{"another program", []byte("hello"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fs := vfs.NewMem()
			db, err := engine.Open("d", &engine.Options{FS: fs, Logger: quiet{}})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Set(tc.key, tc.value, engine.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}
			for range 2 { // also the second time: a refused directory is not marked as ours
				_, err = Open("d", Options{FS: fs})
				if !errors.Is(err, store.ErrFormat) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil {
		t.Error("opened a file")
	}
}

func TestClosed(t *testing.T) {
	s := memory(t, Options{})
	r := openRoom(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "b")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !s.Away() || s.Err() != nil {
		t.Error("a closed store is away, and has not stopped")
	}
	_, _, err1 := r.Get(ctx, []byte("zz"))
	_, err2 := r.List(ctx, abi.ListRequest{Limit: 1})
	_, _, err3 := r.Outbox(ctx, 0, 1)
	_, err4 := s.Open(ctx, store.RoomID{Kind: "x", Name: "y"})
	_, err5 := r.Reset(ctx)
	err6 := wait(r, store.Commit{Number: 2, Host: []byte{}})
	var err7 error
	for _, err := range s.Alarms(ctx, 1) {
		err7 = err
	}
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	_ = s.Stats()
}

func TestCloseAnswers(t *testing.T) {
	var hold gate
	hold.close()
	s := memory(t, Options{Fault: hold.fault})
	r := openRoom(t, s, roomA)
	var answers []error
	for n := range uint64(5) {
		r.Commit(store.Commit{Number: n + 1, Writes: []store.Write{put("a", "b")}}, func(err error) { answers = append(answers, err) })
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	hold.open()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if len(answers) != 5 || errors.Join(answers...) != nil {
		t.Errorf("answers %v", answers)
	}
}

func TestNoLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s, err := Open(t.TempDir(), Options{RelaxedSync: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	r := openRoom(t, s, roomA)
	for n := range uint64(3) {
		if err := wait(r, store.Commit{Number: n + 1, Host: []byte{}, Durability: store.Durability(n % 2)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}
