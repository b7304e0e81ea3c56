package pebble

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

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
	var rec storetest.Recorder
	a.Commit(store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}}, rec.Done("a1"))
	<-syncing
	a.Commit(store.Commit{Number: 2, Writes: []store.Write{put("a", "2")}, Durability: store.Relaxed}, rec.Done("a2"))
	for n := range uint64(3) {
		if err := wait(b, store.Commit{Number: n + 1, Writes: []store.Write{put("b", "1")}, Durability: store.Relaxed}); err != nil {
			t.Fatal(err)
		}
		if err := wait(b, store.Commit{}); err != nil {
			t.Fatal(err)
		}
	}
	if rec.Len() != 0 {
		t.Error("answered before its fsync")
	}
	slow.release()
	if got := rec.Wait(); got != "a1:ok a2:ok" {
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
	var rec storetest.Recorder
	syncing := slow.hold()
	for i := range n {
		r := openRoom(t, s, store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		r.Commit(store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}}, rec.Done(fmt.Sprint(i)))
		if i == 0 {
			<-syncing
		}
	}
	slow.release()
	log := strings.Fields(rec.Wait())
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
	var rec storetest.Recorder
	r := openRoom(t, s, roomA)
	syncing := slow.hold()
	for n := range uint64(5) {
		// Two and their overhead fit a group; the first is alone because it did not wait.
		c := store.Commit{Number: n + 1, Writes: []store.Write{put("a", string(make([]byte, 4700)))}}
		r.Commit(c, rec.Done(fmt.Sprint(n)))
		if n == 0 {
			<-syncing
		}
	}
	slow.release()
	rec.Wait()
	if st := s.Stats(); st.Groups != 3 || st.GroupMax != 2 {
		t.Errorf("stats %+v", st)
	}
}
