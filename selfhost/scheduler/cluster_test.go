package scheduler_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

var deskOne = store.RoomID{Kind: "desk", Name: "one"}

// awaitOwner waits until a node's record of the room is what the test wants.
func (f *fleet) awaitOwner(id store.RoomID, node string) {
	f.t.Helper()
	await(f.t, func() bool { return f.owner(id) == node })
}

func TestClientsOfTwoNodesTalk(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	cid := f.nodes["c"].dial("desk", "one", "cid")
	cid.expect("welcome cid")
	for _, c := range []*client{ann, bob, cid} {
		c.send("say hello")
	}
	seen := map[*client][]string{}
	for _, c := range []*client{ann, bob, cid} {
		seen[c] = []string{c.receive(), c.receive(), c.receive()}
	}
	for i := range 3 {
		if seen[ann][i] != seen[bob][i] || seen[ann][i] != seen[cid][i] {
			t.Errorf("not one order: %v", seen)
		}
	}
	bob.send("count")
	for bob.receive() != "n=1" {
	}
	_ = bob.ws.CloseNow()
	ann.expect("bob left with 1006")
	cid.expect("bob left with 1006")
	if status, body := f.nodes["c"].get("desk/one/n"); status != 200 || body != "1" {
		t.Errorf("a request through another node: %d %q", status, body)
	}
	mallory := f.nodes["b"].dial("desk", "one", "mallory")
	if code := mallory.closed(); code != abi.CodeForbidden {
		t.Errorf("mallory was told %v", code)
	}
}

// TestMove moves a room while its clients talk: nobody is disconnected, nothing is lost, and
// counting goes on where it was.
func TestMove(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	cid := f.nodes["c"].dial("desk", "one", "cid")
	cid.expect("welcome cid")
	n := 0
	count := func(c *client) {
		t.Helper()
		n++
		c.send("count")
		c.expect("n=" + itoa(n))
	}
	for range 3 {
		for _, to := range []string{"b", "c", "a"} {
			f.place(to, deskOne)
			count(ann)
			count(bob)
			count(cid)
			f.awaitOwner(deskOne, to)
			cid.send("say moved")
			for _, c := range []*client{ann, bob, cid} {
				c.expect("cid: moved")
			}
		}
	}
	bob.send("memory")
	if got := bob.receive(); !strings.HasSuffix(got, " attachment=bob") {
		t.Errorf("after all these moves: %q", got)
	}
	if st := f.nodes["a"].scheduler.Stats(); st.Gaps != 0 || st.Moved == 0 {
		t.Errorf("gaps %d, moves %d", st.Gaps, st.Moved)
	}
}

// TestMoveUnderLoad counts through every node while the room goes from node to node: each count
// is answered once and none is lost.
func TestMoveUnderLoad(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{MessagesPerSecond: 100_000, MessageBurst: 100_000}), "a", "b", "c")
	const each = 300
	done := make(chan int, 3)
	for _, id := range []string{"a", "b", "c"} {
		c := f.nodes[id].dial("desk", "one", id)
		c.expect("welcome " + id)
		go func() {
			got := 0
			defer func() { done <- got }()
			for range each {
				c.send("count")
				c.receive()
				got++
			}
		}()
	}
	finished, moves := 0, 0
	for finished < 3 {
		to := []string{"b", "c", "a"}[moves%3]
		f.place(to, deskOne)
		moves++
		select {
		case got := <-done:
			if got != each {
				t.Fatalf("%d of %d were answered", got, each)
			}
			finished++
		case <-time.After(10 * time.Millisecond): // the pace of the moves
		}
	}
	if _, body := f.nodes["a"].get("desk/one/n"); body != itoa(3*each) {
		t.Errorf("counted %s after %d moves, want %d", body, moves, 3*each)
	}
	for id, n := range f.nodes {
		if st := n.scheduler.Stats(); st.Gaps != 0 || st.Lost != 0 {
			t.Errorf("node %s: %d gaps, %d lost", id, st.Gaps, st.Lost)
		}
	}
}

// TestOwnerDies: the sockets of other nodes stay, their room is elsewhere soon, and who has no way to
// resynchronise is told to come back.
func TestOwnerDies(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	f.place("c", deskOne)
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("count")
	ann.expect("n=1")
	f.awaitOwner(deskOne, "c")
	f.kill("c")
	if code := ann.closed(); code != abi.CodeRestarting {
		t.Errorf("a client without resynchronisation was told %v", code)
	}
	ann = f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("count")
	for ann.receive() != "n=2" { // after what is said of the connection that was closed
	}
}

// TestLinkBreaks: the owner keeps the connections of a gateway that is back in time.
func TestLinkBreaks(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	f.breakLinks("b")
	if code := bob.closed(); code != abi.CodeRestarting {
		t.Errorf("bob was told %v", code)
	}
	ann.expect("bob left with " + itoa(int(abi.CodeRestarting)))
}

func itoa(n int) string { return strconv.Itoa(n) }
