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

// A store that is closed in good order leaves no goroutine, the engine's included.
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
