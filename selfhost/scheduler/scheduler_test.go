package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

// desk is a room for tests: text commands ask for one thing each.
type desk struct{ inMemory int }

func (d *desk) Connect(r *rooms.Room, c *rooms.Connection) error {
	if c.User() == "mallory" {
		return abi.CodeForbidden
	}
	c.Attach([]byte(c.User()))
	c.Send(rooms.Text("welcome " + c.User()))
	return nil
}

func (d *desk) Message(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
	d.inMemory++
	command, rest, _ := strings.Cut(string(m.Data), " ")
	switch command {
	case "say":
		r.Broadcast(rooms.Text(c.User() + ": " + rest))
	case "count": // durable
		n := 0
		if v, ok := r.Storage().Get("n"); ok {
			n, _ = strconv.Atoi(string(v))
		}
		r.Storage().Put("n", strconv.AppendInt(nil, int64(n+1), 10))
		c.Send(rooms.Text("n=" + strconv.Itoa(n+1)))
	case "memory":
		c.Send(rooms.Text(fmt.Sprintf("memory=%d attachment=%s", d.inMemory, c.Attachment())))
	case "attach": // what is kept beside the connection
		c.Attach([]byte(rest))
		r.Broadcast(rooms.Text(c.User() + " is " + rest))
	case "panic":
		panic("as asked")
	case "ban": // a kick that writes
		r.Storage().Put("banned", []byte(rest))
		fallthrough
	case "kick":
		for o := range r.Connections() {
			if o.User() == rest {
				o.Close(abi.CodeKicked, "as asked")
			}
		}
	case "alarm":
		ms, _ := strconv.Atoi(rest)
		r.SetAlarm(r.Now().Add(time.Duration(ms) * time.Millisecond))
		c.Send(rooms.Text("set"))
	case "tell":
		r.Tell("desk", rest, []byte(c.User()))
	case "tick":
		ms, _ := strconv.Atoi(rest)
		r.SetTick(time.Duration(ms) * time.Millisecond)
	}
}

func (d *desk) Close(r *rooms.Room, c *rooms.Connection, code abi.Code, _ string) {
	r.Broadcast(rooms.Text(fmt.Sprintf("%s left with %d", c.User(), code)))
}

func (d *desk) Alarm(r *rooms.Room, a rooms.Alarm) {
	r.Storage().Put("alarmed", []byte("yes"))
	r.Broadcast(rooms.Text("alarm"))
}

func (d *desk) Tick(r *rooms.Room, _ rooms.Tick) { r.Broadcast(rooms.Text("tick")) }

func (d *desk) Told(r *rooms.Room, t rooms.Told) {
	r.Storage().Put("told", t.Data)
	r.Broadcast(rooms.Text("told by " + t.FromRoom + " for " + string(t.Data)))
}

func (d *desk) Rejected(r *rooms.Room, code abi.Code, e abi.Event) {
	if m, ok := e.(*abi.MessageEvent); ok {
		if c := r.Connection(m.Connection); c != nil {
			c.Send(rooms.Text("rejected: " + code.String() + ": " + string(m.Data)))
		}
	}
}

func (d *desk) Request(r *rooms.Room, q *rooms.Request) {
	if q.Path == "/panic" {
		panic("as asked")
	}
	v, _ := r.Storage().Get(strings.TrimPrefix(q.Path, "/"))
	q.Respond(200, "text/plain", v)
}

func desks(o rooms.Options) *rooms.Module {
	m := &rooms.Module{}
	m.Register("desk", func() rooms.Kind { return &desk{} }, o)
	return m
}

func (n *node) get(path string) (int, string) {
	n.t.Helper()
	res, err := http.Get(n.url + gateway.Prefix + path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestTwoClientsTalk(t *testing.T) {
	n := open(t, desks(rooms.Options{}), nil)
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	bob := n.dial("desk", "one", "bob")
	bob.expect("welcome bob")
	ann.send("say hello")
	ann.expect("ann: hello")
	bob.expect("ann: hello")
	other := n.dial("desk", "two", "eve")
	other.expect("welcome eve")
	other.send("say alone")
	other.expect("eve: alone")
	_ = ann.ws.Close(1000, "")
	bob.expect("ann left with 1000")
}

func TestRefusedByTheRoom(t *testing.T) {
	n := open(t, desks(rooms.Options{}), nil)
	if code := n.dial("desk", "one", "mallory").closed(); code != abi.CodeForbidden {
		t.Fatal(code)
	}
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("say still here")
	ann.expect("ann: still here")
}

func TestRoomFull(t *testing.T) {
	n := open(t, desks(rooms.Options{Members: 2}), nil)
	n.dial("desk", "one", "a").expect("welcome a")
	n.dial("desk", "one", "b").expect("welcome b")
	if code := n.dial("desk", "one", "c").closed(); code != abi.CodeRoomFull {
		t.Fatal(code)
	}
}

func TestKickedConnectionGetsItsCodeAndTheRoomItsClose(t *testing.T) {
	n := open(t, desks(rooms.Options{}), nil)
	ann, bob := n.dial("desk", "one", "ann"), n.dial("desk", "one", "bob")
	ann.expect("welcome ann")
	bob.expect("welcome bob")
	ann.send("kick bob")
	ann.expect("bob left with 4208")
	if code := bob.closed(); code != abi.CodeKicked {
		t.Fatal(code)
	}
}

func TestTrapKeepsConnectionsAndTellsTheSender(t *testing.T) {
	n := open(t, desks(rooms.Options{}), nil)
	ann, bob := n.dial("desk", "one", "ann"), n.dial("desk", "one", "bob")
	ann.expect("welcome ann")
	bob.expect("welcome bob")
	ann.send("memory")
	ann.expect("memory=1 attachment=ann")
	ann.send("panic")
	ann.expect("rejected: rejected: panic")
	ann.send("memory")
	ann.expect("memory=1 attachment=ann") // a fresh memory, the same attachment
	bob.send("say here")
	ann.expect("bob: here")
	if s := n.scheduler.Stats(); s.Traps["panic"] != 1 {
		t.Fatalf("traps: %v", s.Traps)
	}
	if status, _ := n.get("desk/one/panic"); status != 500 {
		t.Fatal(status)
	}
}

func TestSleepsAndWakes(t *testing.T) {
	n := open(t, desks(rooms.Options{SleepAfter: 20 * time.Millisecond}), nil)
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	await(t, func() bool { s := n.scheduler.Stats(); return s.Sleeps >= 1 && s.Awake == 0 })
	ann.send("memory")
	ann.expect("memory=1 attachment=ann")
	_ = ann.ws.Close(1000, "")
	await(t, func() bool { return n.scheduler.Stats().Rooms == 0 })
}

// await polls a counter that no event announces.
func await(t *testing.T, ok func() bool) {
	t.Helper()
	ctx := deadline(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it never happened")
		}
	}
}

func TestWhatWasAnsweredIsThereAfterARestart(t *testing.T) {
	m := desks(rooms.Options{})
	dir := t.TempDir()
	for i := 1; i <= 3; i++ {
		s, err := pebble.Open(dir, pebble.Options{})
		if err != nil {
			t.Fatal(err)
		}
		n := open(t, m, s)
		c := n.dial("desk", "one", "ann")
		c.expect("welcome ann")
		c.send("count")
		c.expect("n=" + strconv.Itoa(i))
		n.stop()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAlarmFiresWithNobodyThere(t *testing.T) {
	m := desks(rooms.Options{SleepAfter: time.Millisecond})
	dir := t.TempDir()
	s, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := open(t, m, s)
	c := n.dial("desk", "one", "ann")
	c.expect("welcome ann")
	c.send("alarm 300")
	c.expect("set")
	n.stop() // before it is due
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = pebble.Open(dir, pebble.Options{}); err != nil {
		t.Fatal(err)
	}
	n = open(t, m, s)
	await(t, func() bool { _, body := n.get("desk/one/alarmed"); return body == "yes" })
}

func TestTellReachesAnotherRoom(t *testing.T) {
	n := open(t, desks(rooms.Options{}), nil)
	bob := n.dial("desk", "two", "bob")
	bob.expect("welcome bob")
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("tell two")
	bob.expect("told by one for ann")
	await(t, func() bool { // the outbox is emptied by a later commit
		for range n.store.(store.Index).Outboxes(context.Background()) {
			return false
		}
		return true
	})
}

func TestTicks(t *testing.T) {
	n := open(t, desks(rooms.Options{SleepAfter: time.Millisecond}), nil)
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("tick 10")
	ann.expect("tick")
	before := n.scheduler.Stats().Sleeps // it may have slept until it was told to tick
	ann.expect("tick", "tick")
	if n.scheduler.Stats().Sleeps != before {
		t.Fatal("a ticking room slept")
	}
	ann.send("tick 0")
	await(t, func() bool { return n.scheduler.Stats().Sleeps > before })
}

// TestFailedCommitIsVoid fails one commit: its effects are seen by nobody, the room is back at
// the state before, the sender hears of it, and what comes afterwards works.
func TestFailedCommitIsVoid(t *testing.T) {
	var fail bool
	s, err := pebble.OpenMemory(pebble.Options{Fault: func(store.RoomID, uint64) error {
		if fail {
			fail = false
			return errors.New("as the test asked")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := open(t, desks(rooms.Options{}), s)
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("count")
	ann.expect("n=1")
	fail = true // read by the committer only after the next message, which is sent after this
	ann.send("count")
	ann.expect("rejected: storage_unavailable: count")
	ann.send("count")
	ann.expect("n=2")
	ann.send("memory")
	ann.expect("memory=2 attachment=ann")
	if s := n.scheduler.Stats(); s.VoidTurns == 0 {
		t.Fatal("no turn was void")
	}
}

func TestUnknownKindIsRefused(t *testing.T) {
	n := open(t, desks(rooms.Options{}), nil)
	if code := n.dial("nothing", "one", "ann").closed(); code != abi.CodeUnknownKind {
		t.Fatal(code)
	}
}

func TestManyMessagesKeepTheirOrder(t *testing.T) {
	n := open(t, desks(rooms.Options{MessagesPerSecond: 100_000, MessageBurst: 100_000}), nil)
	ann, bob := n.dial("desk", "one", "ann"), n.dial("desk", "one", "bob")
	ann.expect("welcome ann")
	bob.expect("welcome bob")
	const count = 3000
	go func() {
		for i := range count {
			_ = ann.ws.Write(context.Background(), 1, []byte("say "+strconv.Itoa(i)))
		}
	}()
	for i := range count {
		bob.expect("ann: " + strconv.Itoa(i))
	}
}
