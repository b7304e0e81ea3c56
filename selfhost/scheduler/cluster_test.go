package scheduler_test

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
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

// TestLinkBringsWhatItLost: what the owner has made of a connection while the link to its gateway was broken is known there
// once the link is back, and to the next owner.
func TestLinkBringsWhatItLost(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{Protocols: []string{"again"}}), "a", "b")
	again := &websocket.DialOptions{Subprotocols: []string{"again"}}
	ann := f.nodes["a"].dialAs("desk", "one", "ann", again)
	ann.expect("welcome ann")
	bob := f.nodes["b"].dialAs("desk", "one", "bob", again)
	bob.expect("welcome bob")
	lost := &f.nodes["a"].muted
	lost.on.Store(true)
	bob.send("attach new")
	ann.expect("bob is new")
	await(t, func() bool { return lost.frames.Load() == 1 })
	lost.on.Store(false)
	f.breakLinks("b")
	bob.expect("resync")
	f.place("b", deskOne)
	f.awaitOwner(deskOne, "b")
	bob.send("memory")
	bob.expect("memory=1 attachment=new")
}

// TestGatewayIsAnother: a gateway that has lost its lease comes back as another node, with the
// connections that it had; what they do reaches the room, and their end is the end of them there and here.
func TestGatewayIsAnother(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	b := f.nodes["b"]
	f.mu.Lock()
	b.id = "b2"
	f.nodes["b2"] = b
	delete(f.nodes, "b")
	f.mu.Unlock()
	f.breakLinks("b2")
	if code := bob.closed(); code != abi.CodeRestarting { // as the room's protocol has no resync
		t.Errorf("bob was told %v", code)
	}
	ann.expect("bob left with " + itoa(int(abi.CodeRestarting)))
	dan := b.dial("desk", "one", "dan") // so that the gateway keeps the room
	dan.expect("welcome dan")
	await(t, func() bool {
		b, a := b.scheduler.Counts(deskOne), f.nodes["a"].scheduler.Counts(deskOne)
		return b.Sockets == 1 && b.Table == 1 && a.Homes == 1 && a.Table == 2
	})
}

func itoa(n int) string { return strconv.Itoa(n) }

// TestVacate drains a node: its rooms are elsewhere before its clients are sent away, and those of
// other nodes do not notice.
func TestVacate(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	names := []string{"one", "two", "three", "four"}
	clients := make(map[string]*client)
	for _, name := range names {
		c := f.nodes["b"].dial("desk", name, "bob")
		c.expect("welcome bob")
		c.send("count")
		c.expect("n=1")
		clients[name] = c
	}
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	f.mu.Lock()
	f.others = "b"
	f.mu.Unlock()
	f.rebalance()
	if err := f.nodes["a"].scheduler.Vacate(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f.awaitOwner(store.RoomID{Kind: "desk", Name: name}, "b")
		clients[name].send("count")
		clients[name].expect("n=2")
	}
	ann.send("count") // through the node that drains
	ann.expect("n=3")
}

// TestWhatARoomOwes moves a room with an alarm that is set, and has rooms of two nodes tell each other.
func TestWhatARoomOwes(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	two := store.RoomID{Kind: "desk", Name: "two"}
	f.place("b", two)
	bob := f.nodes["b"].dial("desk", "two", "bob")
	bob.expect("welcome bob")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("tell two")
	bob.expect("told by one for ann")
	bob.send("tell one")
	ann.expect("told by two for bob")
	ann.send("alarm 200")
	ann.expect("set")
	f.place("b", deskOne)
	ann.expect("alarm")
}

// TestFailedCommitsAcrossNodes: turns that are void are void for clients of other nodes too.
func TestFailedCommitsAcrossNodes(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	f.fail.Store(true)
	bob.send("count")
	bob.expect("rejected: storage_unavailable: count")
	f.fail.Store(false)
	bob.send("count")
	bob.expect("n=1")
	f.fail.Store(true)
	if status, _ := f.nodes["b"].get("desk/one/n"); status != 200 { // reads need no commit
		t.Errorf("a read answers %d", status)
	}
}

// TestOwnerOvertaken: an owner whose lease ended is refused by the store; its own clients and those of
// others are served by the next one, and nothing that was refused is seen by anybody.
func TestOwnerOvertaken(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	f.place("c", deskOne)
	cid := f.nodes["c"].dial("desk", "one", "cid")
	cid.expect("welcome cid")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	f.mu.Lock()
	f.nodes["c"].expired = true // the others hold it for dead, and it does not know
	delete(f.ring, deskOne)
	f.mu.Unlock()
	f.breakLinks("c")
	bob := f.nodes["b"].dial("desk", "one", "bob") // has a take the room over
	bob.expect("welcome bob")
	f.awaitOwner(deskOne, "a")
	cid.send("count") // the store refuses it, and the old owner has nowhere to go
	if code := ann.closed(); code != abi.CodeRestarting {
		t.Errorf("a gateway's client of the old owner was told %v", code)
	}
	bob.send("count")
	for got := bob.receive(); got != "n=1"; got = bob.receive() {
		if strings.HasPrefix(got, "n=") {
			t.Fatalf("what was refused was counted: %q", got)
		}
	}
	f.mu.Lock()
	f.nodes["c"].expired = false // it is back, under another lease
	f.mu.Unlock()
	if code := cid.closed(); code != abi.CodeRestarting {
		t.Errorf("a client of the old owner was told %v", code)
	}
}

// TestKickedElsewhere: of a connection that its room closes, its gateway keeps nothing.
func TestKickedElsewhere(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	cid := f.nodes["b"].dial("desk", "one", "cid")
	cid.expect("welcome cid")
	ann.send("kick bob")
	if code := bob.closed(); code != abi.CodeKicked {
		t.Errorf("bob was told %v", code)
	}
	await(t, func() bool {
		b, a := f.nodes["b"].scheduler.Counts(deskOne), f.nodes["a"].scheduler.Counts(deskOne)
		return b.Sockets == 1 && b.Table == 1 && a.Homes == 1 && a.Table == 2
	})
}

// TestRefusedElsewhere: nor of one that the room refuses.
func TestRefusedElsewhere(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	mallory := f.nodes["b"].dial("desk", "one", "mallory")
	if code := mallory.closed(); code != abi.CodeForbidden {
		t.Errorf("mallory was told %v", code)
	}
	await(t, func() bool {
		b, a := f.nodes["b"].scheduler.Counts(deskOne), f.nodes["a"].scheduler.Counts(deskOne)
		return b.Sockets == 1 && b.Table == 1 && a.Homes == 1 && a.Table == 2
	})
}

// TestLeavesWhileTheOwnerDies: a client whose close goes down with the owner is no member of the next.
func TestLeavesWhileTheOwnerDies(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	cid := f.nodes["b"].dial("desk", "one", "cid")
	cid.expect("welcome cid")
	f.awaitOwner(deskOne, "a")
	release := f.nodes["a"].scheduler.Hold(deskOne)
	_ = bob.ws.CloseNow()
	await(t, func() bool {
		b := f.nodes["b"].scheduler.Counts(deskOne)
		return b.Members == 1 && b.Mailbox == 0 // the close has left for the owner, which stands still
	})
	f.mu.Lock()
	f.nodes["a"].dead = true
	f.others = "b"
	live := f.nodes["a"].live
	f.nodes["a"].live = nil
	f.mu.Unlock()
	for _, p := range live {
		_ = p.Close()
	}
	release()
	f.rebalance()
	cid.closed()
	dan := f.nodes["b"].dial("desk", "one", "dan")
	dan.expect("welcome dan")
	f.awaitOwner(deskOne, "b")
	await(t, func() bool { return f.nodes["b"].scheduler.Counts(deskOne).Model == 1 })
}

// TestAskedInVain: a node that is asked for rooms that are not its own keeps nothing of them.
func TestAskedInVain(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c") // all rooms are a's
	for i := range 100 {
		s, err := f.nodes["c"].Open(context.Background(), "b")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(scheduler.AttachFrame(store.RoomID{Kind: "desk", Name: "x" + itoa(i)})); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(1000); err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
	}
	await(t, func() bool { return f.nodes["b"].scheduler.Rooms() == 0 })
}

// TestAskedTooLate: who was told that a node has a room, and asks it after the room was given back, does
// not bring the room back there. Nodes that asked each other so kept a room moving for ever.
func TestAskedTooLate(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c") // all rooms are a's
	id := store.RoomID{Kind: "desk", Name: "one"}
	ask := func() string {
		t.Helper()
		s, err := f.nodes["c"].Open(context.Background(), "b")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Send(scheduler.RecordedFrame(id)); err != nil {
			t.Fatal(err)
		}
		answer, err := s.Recv(1000)
		if err != nil {
			t.Fatal(err)
		}
		return scheduler.Elsewhere(answer)
	}
	if to := ask(); to != "a" || f.owner(id) != "" {
		t.Errorf("the answer is %q, and the room belongs to %q", to, f.owner(id))
	}
	f.nodes["c"].dial("desk", "one", "ann").expect("welcome ann")
	if to := ask(); to != "a" || f.owner(id) != "a" {
		t.Errorf("the answer is %q, and the room belongs to %q", to, f.owner(id))
	}
	await(t, func() bool { return f.nodes["b"].scheduler.Rooms() == 0 })
}

// TestFewMoveAtATime: while the first rooms of many are on their way, the others go on where they are; on their way
// are those that are being given back, and those that their next owner has not opened yet.
func TestFewMoveAtATime(t *testing.T) {
	for _, stage := range []string{"released", "opened"} {
		t.Run(stage, func(t *testing.T) { fewMoveAtATime(t, stage) })
	}
}

func fewMoveAtATime(t *testing.T, stage string) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b")
	f.nodes["a"].scheduler.Patient()
	const all, few = 24, 8
	held, goOn := make(chan store.RoomID), make(chan struct{})
	var moving atomic.Bool
	hold := func(id store.RoomID) {
		if !moving.Load() {
			return
		}
		select {
		case held <- id:
			<-goOn
		case <-goOn: // also at the end of the nodes
		}
	}
	if stage == "released" {
		f.releasing = hold
	} else {
		f.claiming = func(_ string, id store.RoomID) { hold(id) }
	}
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(goOn) }) })
	clients := make(map[store.RoomID]*client)
	for i := range all {
		id := store.RoomID{Kind: "desk", Name: itoa(i)}
		clients[id] = f.nodes["b"].dial("desk", id.Name, "bob")
		clients[id].expect("welcome bob")
	}
	f.mu.Lock()
	f.others = "b"
	f.mu.Unlock()
	moving.Store(true)
	f.rebalance()
	stay := maps.Clone(clients)
	for range few {
		delete(stay, <-held)
	}
	for _, c := range stay {
		c.send("count")
		c.expect("n=1")
	}
	select {
	case <-held:
		t.Errorf("more than %d rooms move at a time", few)
	default:
	}
	once.Do(func() { close(goOn) })
	if err := f.nodes["a"].scheduler.Vacate(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for id := range clients {
		f.awaitOwner(id, "b")
	}
}

// TestPutAwayHoldsNobodyUp: while a node that closes gives a room back to the store, nobody waits for that.
func TestPutAwayHoldsNobodyUp(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a")
	n := f.nodes["a"]
	if status, _ := n.get("desk/one/n"); status != 200 {
		t.Fatal(status)
	}
	var released atomic.Bool
	f.releasing = func(store.RoomID) {
		looked := make(chan struct{})
		go func() {
			n.scheduler.Where()
			n.scheduler.Rebalance()
			close(looked)
		}()
		select {
		case <-looked:
			released.Store(true)
		case <-time.After(patience):
		}
	}
	n.stop()
	if !released.Load() {
		t.Error("who looks at the room waits until the store has it")
	}
}

// TestMoveAsksTheNextOwner: a gateway that was called by one owner looks for the next one where that has moved
// the room, and not where it was called from.
func TestMoveAsksTheNextOwner(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	c := f.nodes["c"].dial("desk", "one", "cid")
	c.expect("welcome cid")
	for i, to := range []string{"b", "a", "b", "a"} {
		before := f.opens.Load()
		f.place(to, deskOne)
		f.awaitOwner(deskOne, to)
		c.send("count")
		c.expect("n=" + itoa(i+1))
		// The next owner asks both others, and one of them comes.
		if n := f.opens.Load() - before; n != 3 {
			t.Errorf("move %d took %d streams", i, n)
		}
	}
}
