package scheduler_test

import (
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// TestMovesOnWhileItGathers: the ring changes again while a new owner waits for the room's gateways. Who has been
// called is let in at once, and goes on with the room.
func TestMovesOnWhileItGathers(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	bob := f.nodes["b"].dial("desk", "one", "bob")
	bob.expect("welcome bob")
	cid := f.nodes["c"].dial("desk", "one", "cid")
	cid.expect("welcome cid")
	var again, held sync.Once
	f.watch(func(from, to string) {
		switch from + to {
		case "cb": // the new owner asks whether there are connections
			again.Do(func() { f.place("a", deskOne) })
		case "bc":
			held.Do(func() { await(t, func() bool { return f.nodes["c"].scheduler.Moving(deskOne) }) })
		}
	})
	f.place("c", deskOne)
	await(t, func() bool { return f.streams("b", "c") > 0 })
	f.awaitOwner(deskOne, "a")
	bob.send("count")
	bob.expect("n=1")
	cid.send("count")
	cid.expect("n=2")
	if n := f.streams("b", "c"); n != 1 {
		t.Errorf("a gateway that was called asked %d times", n)
	}
	for id, n := range f.nodes {
		if st := n.scheduler.Stats(); st.Gaps != 0 || st.Lost != 0 {
			t.Errorf("node %s: %d gaps, %d lost", id, st.Gaps, st.Lost)
		}
	}
}

// TestAskedWhileItMoves: who asks an owner that is giving the room away waits, and is sent to the next owner.
func TestAskedWhileItMoves(t *testing.T) {
	f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
	ann := f.nodes["a"].dial("desk", "one", "ann")
	ann.expect("welcome ann")
	f.watch(nil)
	cid := make(chan *client, 1)
	var once sync.Once
	f.releasing = func(store.RoomID) {
		once.Do(func() {
			go func() { cid <- f.nodes["c"].dial("desk", "one", "cid") }()
			await(t, func() bool { return f.nodes["a"].scheduler.Knocking(deskOne) == 1 || f.streams("c", "a") > 1 })
		})
	}
	f.place("b", deskOne)
	(<-cid).expect("welcome cid")
	f.awaitOwner(deskOne, "b")
	if n := f.streams("c", "a"); n != 1 {
		t.Errorf("a gateway asked the owner before %d times", n)
	}
}

// TestBanDiesWithTheOwner: so it is if the connection could go on with the next owner, because its protocol has a resync: the room
// has written that it is gone.
func TestBanDiesWithTheOwner(t *testing.T) {
	for _, next := range []string{"b", "c"} {
		t.Run("next is "+next, func(t *testing.T) {
			f := newFleet(t, desks(rooms.Options{Protocols: []string{"again"}}), "a", "b", "c")
			again := &websocket.DialOptions{Subprotocols: []string{"again"}}
			ann := f.nodes["a"].dialAs("desk", "one", "ann", again)
			ann.expect("welcome ann")
			bob := f.nodes["b"].dialAs("desk", "one", "bob", again)
			bob.expect("welcome bob")
			cid := f.nodes["b"].dialAs("desk", "one", "cid", again)
			cid.expect("welcome cid")
			f.nodes["a"].muted.on.Store(true)
			ann.send("ban bob")
			ann.expect("bob left with " + itoa(int(abi.CodeKicked)))
			f.kill("a")
			f.place(next, deskOne)
			cid.expect("resync")
			if code := bob.closed(); code != abi.CodeRestarting {
				t.Errorf("bob was told %v", code)
			}
			cid.send("say still here")
			cid.expect("cid: still here")
			await(t, func() bool {
				b, n := f.nodes["b"].scheduler.Counts(deskOne), f.nodes[next].scheduler.Counts(deskOne)
				return b.Members == 1 && b.Sockets == 1 && b.Table == 1 && n.Table == 1 && n.Model == 1
			})
		})
	}
}

// TestKickDiesWithTheOwner: the room closes a connection of another node, and what it says of that is lost with it. The
// gateway and the next owner agree on who is there, and in the end the connection is in neither.
func TestKickDiesWithTheOwner(t *testing.T) {
	for _, next := range []string{"b", "c"} {
		t.Run("next is "+next, func(t *testing.T) {
			f := newFleet(t, desks(rooms.Options{}), "a", "b", "c")
			ann := f.nodes["a"].dial("desk", "one", "ann")
			ann.expect("welcome ann")
			bob := f.nodes["b"].dial("desk", "one", "bob")
			bob.expect("welcome bob")
			f.nodes["a"].muted.on.Store(true)
			ann.send("kick bob")
			ann.expect("bob left with " + itoa(int(abi.CodeKicked)))
			f.kill("a")
			f.place(next, deskOne)
			if code := bob.closed(); code != abi.CodeRestarting { // as the room's protocol has no resync
				t.Errorf("bob was told %v", code)
			}
			dan := f.nodes["b"].dial("desk", "one", "dan")
			for dan.receive() != "welcome dan" {
			}
			f.awaitOwner(deskOne, next)
			await(t, func() bool {
				b, n := f.nodes["b"].scheduler.Counts(deskOne), f.nodes[next].scheduler.Counts(deskOne)
				return b.Members == 1 && b.Sockets == 1 && b.Table == 1 && n.Table == 1 && n.Model == 1
			})
		})
	}
}
