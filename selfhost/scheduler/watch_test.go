package scheduler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// friends watches whom its members name, and tells everybody what it hears.
type friends struct{}

func (f *friends) Start(r *rooms.Room) {
	r.Broadcast(rooms.Text(fmt.Sprint("start ", r.StartReason())))
	if _, ok := r.Storage().Get("started"); ok {
		r.Storage().Put("started", nil)
	}
}

func (f *friends) Connect(_ *rooms.Room, c *rooms.Connection) error {
	c.Send(rooms.Text("welcome " + c.User()))
	return nil
}

func (f *friends) Message(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
	word, rest, _ := strings.Cut(string(m.Data), " ")
	switch word {
	case "watch":
		for user := range strings.FieldsSeq(rest) {
			if err := r.Watch(user); err != nil {
				c.Send(rooms.Text(err.Error()))
			}
		}
	case "unwatch":
		r.Unwatch(rest)
	case "notify":
		user, data, _ := strings.Cut(rest, " ")
		for i := range 3 {
			r.Notify(user, "poke", rooms.Text(fmt.Sprint(data, i)))
		}
	case "put":
		r.Storage().Put(rest, nil)
	}
	c.Send(rooms.Text("done " + word))
}

func (f *friends) Presence(r *rooms.Room, users []abi.UserPresence) {
	if _, ok := r.Storage().Get("poison"); ok {
		panic("presence")
	}
	for _, u := range users {
		r.Broadcast(rooms.Text(fmt.Sprint(u.User, " ", u.Online)))
	}
}

func (f *friends) Notified(_ *rooms.Room, to *rooms.Connection, n rooms.Notified) {
	to.Send(rooms.Text(n.FromKind + "/" + n.FromRoom + " " + n.Event + " " + string(n.Data)))
}

func friendly(o rooms.Options) *rooms.Module {
	m := &rooms.Module{}
	m.Register("friends", func() rooms.Kind { return &friends{} }, o)
	return m
}

// next reads until a text that is none of those to skip.
func (c *client) next(skip ...string) string {
	c.t.Helper()
	for {
		got := c.receive()
		ok := true
		for _, s := range skip {
			ok = ok && !strings.HasPrefix(got, s)
		}
		if ok {
			return got
		}
	}
}

// until reads until one text has come.
func (c *client) until(want string) {
	c.t.Helper()
	for c.receive() != want {
	}
}

func TestWatch(t *testing.T) {
	n := open(t, friendly(rooms.Options{SleepAfter: time.Millisecond}), nil)
	ann := n.dial("friends", "one", "ann")
	ann.until("welcome ann")
	ann.send("watch bob cid")
	ann.until("bob false")
	ann.until("cid false")
	await(t, func() bool { return n.scheduler.Stats().Awake == 0 })
	bob := n.dial("friends", "two", "bob") // wakes the room
	ann.until("bob true")
	_ = bob.ws.CloseNow()
	ann.until("bob false")

	ann.send("unwatch bob")
	ann.until("done unwatch")
	bob = n.dial("friends", "two", "bob")
	bob.until("welcome bob")
	cid := n.dial("friends", "two", "cid")
	for {
		got := ann.next("start")
		if strings.HasPrefix(got, "bob") {
			t.Errorf("heard %q", got)
		}
		if got == "cid true" {
			break
		}
	}

	// A room without connections is put away, and hears at its next start.
	_ = ann.ws.CloseNow()
	await(t, func() bool { return n.scheduler.Stats().Rooms == 1 })
	_ = cid.ws.CloseNow()
	ann = n.dial("friends", "one", "ann")
	ann.until("cid false")
}

// TestWatchSurvives has commits fail, a restart, and a room that fails on what it hears.
func TestWatchSurvives(t *testing.T) {
	f := newFleet(t, friendly(rooms.Options{}), "a")
	n := f.nodes["a"]
	ann := n.dial("friends", "one", "ann")
	ann.send("watch bob")
	ann.until("bob false")

	f.fail.Store(true)
	ann.send("unwatch bob") // void
	await(t, func() bool { return n.scheduler.Stats().VoidTurns > 0 })
	f.fail.Store(false)
	ann.until("bob false") // the room has started again by itself
	bob := n.dial("friends", "two", "bob")
	ann.until("bob true")

	ann.send("put poison")
	ann.until("done put")
	_ = bob.ws.CloseNow()
	await(t, func() bool { return n.scheduler.Stats().Traps["panic"] > 0 })
	await(t, func() bool { return n.scheduler.Stats().Traps["panic"] > 1 }) // told anew, after a while
	if traps := n.scheduler.Stats().Traps["panic"]; traps > 4 {
		t.Errorf("%d traps at once", traps)
	}
}

func TestNotify(t *testing.T) {
	n := open(t, friendly(rooms.Options{SleepAfter: time.Millisecond}), nil)
	ann := n.dial("friends", "one", "ann")
	phone := n.dial("friends", "two", "bob&device=phone")
	phone.until("welcome bob")
	newer := n.dial("friends", "one", "bob&device=phone")
	newer.until("welcome bob")
	tablet := n.dial("friends", "two", "bob&device=tablet")
	tablet.until("welcome bob")
	nameless := n.dial("friends", "three", "bob")
	nameless.until("welcome bob")
	await(t, func() bool { return n.scheduler.Stats().Awake == 0 })

	ann.send("notify bob hey")
	for _, c := range []*client{newer, tablet, nameless} {
		for i := range 3 {
			if got := c.next("start", "welcome", "done"); got != fmt.Sprint("friends/one poke hey", i) {
				t.Errorf("got %q", got)
			}
		}
	}
	devices, err := n.scheduler.Notify(context.Background(), "bob", &abi.NotifiedEvent{Event: "e", Encoding: abi.Text, Data: []byte("x")})
	if err != nil || devices != 3 {
		t.Errorf("%d devices, %v", devices, err)
	}
	for _, c := range []*client{newer, tablet, nameless} {
		c.until("/ e x")
	}
	for _, bad := range []*abi.NotifiedEvent{
		{Encoding: abi.Text}, {Event: "e"}, {Event: "e", Encoding: abi.Text, Data: []byte{0xff}},
		{Event: "e", Encoding: abi.Binary, Data: make([]byte, abi.MaxNotify+1)},
	} {
		if _, err := n.scheduler.Notify(context.Background(), "bob", bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if devices, err := n.scheduler.Notify(context.Background(), "nobody", &abi.NotifiedEvent{Event: "e", Encoding: abi.Text}); err != nil || devices != 0 {
		t.Errorf("%d devices, %v", devices, err)
	}
	// The older connection of the phone has heard nothing: what comes next is the answer.
	phone.send("watch nobody")
	if got := phone.next("start", "welcome"); got != "done watch" && got != "nobody false" {
		t.Errorf("the phone's older connection got %q", got)
	}
	if st := n.scheduler.Stats(); st.Notified != 9 || st.NotifiesLost != 0 {
		t.Errorf("%d devices notified, %d notifications lost", st.Notified, st.NotifiesLost)
	}
}

// census is what a fleet knows of users: the presence of all nodes in one memory.
type census struct {
	presence.Local
	mu    sync.Mutex // guards homes
	homes map[uint64]presence.Device
}

// presenceDesk is a census as one node sees it.
type presenceDesk struct {
	*census
	node string
}

func (d presenceDesk) Join(c presence.Connection) {
	d.mu.Lock()
	if d.homes == nil {
		d.homes = make(map[uint64]presence.Device)
	}
	d.homes[c.ID] = presence.Device{Node: d.node, Connection: c}
	d.mu.Unlock()
	d.Local.Join(c)
}

func (d presenceDesk) Devices(ctx context.Context, user string) (presence.Devices, error) {
	all, err := d.Local.Devices(ctx, user)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range all.Devices {
		all.Devices[i].Node = d.homes[all.Devices[i].ID].Node
	}
	return all, err
}

// bury lets everybody go whose sockets a dead node held.
func (c *census) bury(node string) {
	c.mu.Lock()
	var gone []presence.Connection
	for _, d := range c.homes {
		if d.Node == node {
			gone = append(gone, d.Connection)
		}
	}
	c.mu.Unlock()
	for _, x := range gone {
		c.Leave(x)
	}
}

// TestWatchMoves moves a sleeping room that watches, and kills its owner: its next owner watches for it.
func TestWatchMoves(t *testing.T) {
	var all census
	f := newFleetWith(t, friendly(rooms.Options{SleepAfter: time.Millisecond}), &all, "a", "b", "c")
	one := store.RoomID{Kind: "friends", Name: "one"}
	two := store.RoomID{Kind: "friends", Name: "two"}
	f.place("a", one)
	f.place("c", two)
	ann := f.nodes["b"].dial("friends", "one", "ann")
	ann.send("watch bob")
	ann.until("bob false")

	bob := f.nodes["c"].dial("friends", "two", "bob")
	ann.until("bob true")
	await(t, func() bool { return f.nodes["a"].scheduler.Stats().Awake == 0 })
	f.place("b", one) // in order, asleep
	f.awaitOwner(one, "b")
	ann.until("bob true") // told anew
	_ = bob.ws.CloseNow()
	ann.until("bob false")

	f.place("a", one)
	f.awaitOwner(one, "a")
	ann.until("bob false")
	await(t, func() bool { // else nothing can have been lost, and ann stays
		return slices.ContainsFunc(f.nodes["b"].scheduler.Where(), func(w scheduler.Where) bool { return w.Room == one && w.Owner == "a" })
	})
	f.kill("a")
	all.bury("a")
	if code := ann.closed(); code != abi.CodeRestarting { // raw frames have no resync
		t.Errorf("ann was told %v", code)
	}
	ann = f.nodes["b"].dial("friends", "one", "ann")
	ann.until("welcome ann")
	bob = f.nodes["c"].dial("friends", "two", "bob")
	ann.until("bob true")

	// Devices on two nodes; the room of one has its owner on a third.
	f.place("c", one)
	tablet := f.nodes["b"].dial("friends", "one", "bob&device=tablet")
	tablet.until("welcome bob")
	ann.send("notify bob hey")
	for _, c := range []*client{bob, tablet} {
		for i := range 3 {
			c.until(fmt.Sprint("friends/one poke hey", i))
		}
	}
}

// TestWatchMovesWithNothing: what waits for the next owner and does not start the room does not keep it from
// being started for what it watches.
func TestWatchMovesWithNothing(t *testing.T) {
	f := newFleet(t, friendly(rooms.Options{SleepAfter: time.Millisecond}), "a", "b")
	one := store.RoomID{Kind: "friends", Name: "one"}
	f.place("a", one)
	ann := f.nodes["b"].dial("friends", "one", "ann")
	ann.send("watch bob")
	ann.until("bob false")
	f.releasing = func(store.RoomID) { // no alarm is set
		f.nodes["b"].scheduler.Wake([]store.RoomID{one})
	}
	f.place("b", one)
	f.awaitOwner(one, "b")
	ann.until("bob false")
}

// TestWatchVoidStart: the start that a failed commit has undone is made again.
func TestWatchVoidStart(t *testing.T) {
	f := newFleet(t, friendly(rooms.Options{SleepAfter: time.Millisecond}), "a", "b")
	one := store.RoomID{Kind: "friends", Name: "one"}
	f.place("a", one)
	ann := f.nodes["b"].dial("friends", "one", "ann")
	ann.send("watch bob")
	ann.until("bob false")
	ann.send("put started") // now each start writes
	ann.until("done put")
	f.releasing = func(store.RoomID) { f.fail.Store(true) }
	f.place("b", one)
	f.awaitOwner(one, "b")
	await(t, func() bool { return f.nodes["b"].scheduler.Stats().VoidTurns > 0 })
	f.fail.Store(false)
	ann.until("bob false")
}

// TestWatchHammer has users come and go, and rooms sleep and move; when all is still, every room has said
// what is true.
func TestWatchHammer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := rand.New(rand.NewPCG(seed, 0))
	var all census
	nodes := []string{"a", "b", "c"}
	f := newFleetWith(t, friendly(rooms.Options{SleepAfter: time.Millisecond}), &all, nodes...)
	const watchers, users, steps = 6, 5, 150
	var mu sync.Mutex // guards seen
	seen := make([]map[string]string, watchers)
	for i := range watchers {
		seen[i] = make(map[string]string)
		c := f.nodes[nodes[i%3]].dial("friends", fmt.Sprint("w", i), fmt.Sprint("ann", i))
		for u := range users {
			c.send(fmt.Sprint("watch user", u))
		}
		go func() {
			for {
				_, b, err := c.ws.Read(context.Background())
				if err != nil {
					return
				}
				if user, state, ok := strings.Cut(string(b), " "); ok && strings.HasPrefix(user, "user") {
					mu.Lock()
					seen[i][user] = state
					mu.Unlock()
				}
			}
		}()
	}
	here := make(map[int]*client)
	for range steps {
		switch u := g.IntN(users); g.IntN(12) {
		default:
			if c := here[u]; c != nil {
				_ = c.ws.CloseNow()
				delete(here, u)
			} else {
				here[u] = f.nodes[nodes[g.IntN(3)]].dial("friends", fmt.Sprint("home", g.IntN(3)), fmt.Sprint("user", u))
			}
		case 0, 1:
			f.place(nodes[g.IntN(3)], store.RoomID{Kind: "friends", Name: fmt.Sprint("w", g.IntN(watchers))})
		case 2: // a notification to somebody who may be gone
			_, _ = f.nodes["a"].scheduler.Notify(context.Background(), fmt.Sprint("user", u), &abi.NotifiedEvent{Event: "e", Encoding: abi.Text})
		}
	}
	await(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for i := range watchers {
			for u := range users {
				if want := fmt.Sprint(here[u] != nil); seen[i][fmt.Sprint("user", u)] != want {
					return false
				}
			}
		}
		return true
	})
}
