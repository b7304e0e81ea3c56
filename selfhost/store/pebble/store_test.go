package pebble

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

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
