package runtime_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/runtime"
)

// metered notes what turns burn.
type metered struct {
	*runtime.Room
	worst int64
	traps int
}

func (m *metered) Turn(ctx context.Context, batch []byte, s host.Storage) ([]byte, error) {
	out, err := m.Room.Turn(ctx, batch, s)
	m.worst = max(m.worst, m.Fuel())
	if err != nil {
		m.traps++
	}
	return out, err
}

// A crowd is a room of the chat with many members.
type crowd struct {
	t       testing.TB
	kind    abi.KindOptions
	guest   *metered
	room    *host.Room
	storage roomtest.Storage
	now     time.Time
	handle  uint64
	names   []int
	seeds   *rand.ChaCha8
}

func newCrowd(t testing.TB, o runtime.Options) *crowd {
	binary, err := shippedModule()
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, seeds: rand.NewChaCha8([32]byte{1}), now: time.UnixMilli(1_790_000_000_000)}
	c.guest = &metered{Room: newRoom(t, load(t, newRuntime(t, o), binary), "chat/crowd")}
	kind, ok := c.guest.Module().Manifest().Kind("chat")
	if !ok {
		t.Fatal("no chat")
	}
	c.kind = kind
	c.names = rand.New(rand.NewPCG(1, 2)).Perm(abi.MaxConnections)
	c.begin(nil, abi.StartCold)
	return c
}

// begin runs the room on another node, with the connections that came along.
func (c *crowd) begin(table *host.Table, reason abi.StartReason) {
	c.guest.Sleep()
	var alarm uint64
	if c.room != nil {
		alarm = c.room.Alarm()
	}
	c.room = host.New(host.Config{
		Kind: c.kind, Name: "crowd", Term: fmt.Sprint("term-", c.handle), Guest: c.guest, Storage: &c.storage,
		Now: func() time.Time { return c.now }, Seed: func(s *[abi.SeedSize]byte) { _, _ = c.seeds.Read(s[:]) },
		Handle: func() uint64 { c.handle++; return c.handle }, Reason: reason, Connections: table, Alarm: alarm,
	})
}

// run hands events over, none of which may be lost, and returns the dearest turn and the traps.
func (c *crowd) run(what string, events ...abi.Event) (worst int64, traps int) {
	c.t.Helper()
	c.guest.worst, c.guest.traps = 0, 0
	result := c.room.Run(context.Background(), false, events)
	if result.Err != nil || len(result.Rejections) > 0 {
		c.t.Fatalf("%s: %v, %d rejected", what, result.Err, len(result.Rejections))
	}
	for _, turn := range result.Turns {
		c.storage.Apply(turn.Writes)
	}
	c.t.Logf("%-20s %5d events, %4d turns, the dearest took %6.1f M of fuel, %d traps", what, len(events), len(result.Turns), float64(c.guest.worst)/1e6, c.guest.traps)
	return c.guest.worst, c.guest.traps
}

// each makes an event for each of n connections.
func each(n int, event func(id uint64) abi.Event) (out []abi.Event) {
	for id := range uint64(n) {
		out = append(out, event(id+1))
	}
	return out
}

func (c *crowd) enter(id uint64) abi.Event {
	return &abi.ConnectEvent{Connection: abi.Connection{ID: id, User: fmt.Sprintf("user-%05d", c.names[id]), Protocol: "oriel.v1.json", Since: uint64(c.now.UnixMilli())}}
}

func hello(id uint64) abi.Event {
	return &abi.MessageEvent{Connection: id, Encoding: abi.Text, Data: []byte(`{"type":"hello"}`)}
}

func lost(id uint64) abi.Event { return &abi.CloseEvent{Connection: id, Code: abi.CodeNoStatus} }

// TestCrowd: the largest chat starts with half of what a start may burn, after a sleep, a crash and a
// hand-over, and with all members in the grace time; everybody may say hello anew, and go, at once.
func TestCrowd(t *testing.T) {
	for _, members := range []int{3000, 0} {
		c := newCrowd(t, runtime.Options{Untimed: true})
		if members == 0 {
			if testing.Short() {
				t.Skip("takes seconds")
			}
			members = c.kind.Members
		}
		t.Log(members, "members")
		c.run("connect", each(members, c.enter)...)
		c.run("hello", each(members, hello)...)
		for _, reason := range []abi.StartReason{abi.StartWake, abi.StartMoved, abi.StartTrap} {
			c.begin(c.room.Connections(), reason)
			worst, traps := c.run("start", &abi.RequestEvent{ID: 1, Method: "GET"})
			if half := (runtime.DefaultTurnFuel + runtime.StartFuel*int64(members)) / 2; worst > half || worst > runtime.DefaultTurnFuel || traps > 0 {
				t.Errorf("a start with %d members burnt %d of fuel, half is %d; %d traps", members, worst, half, traps)
			}
		}
		c.now = c.now.Add(10 * time.Second)
		c.run("resync", each(members, hello)...)
		if n := c.room.Connections().Len(); n != members {
			t.Errorf("%d members are left of %d", n, members)
		}
		c.begin(c.room.Connections(), abi.StartMoved)
		if _, traps := c.run("start and close", each(members, lost)...); traps > 0 {
			t.Errorf("%d traps when everybody goes", traps)
		}
		if n := c.room.Connections().Len(); n != 0 {
			t.Errorf("%d members are left", n)
		}
		c.begin(c.room.Connections(), abi.StartMoved)
		if worst, _ := c.run("start, all graced", &abi.RequestEvent{ID: 1, Method: "GET"}); worst > runtime.DefaultTurnFuel*3/4 {
			t.Errorf("a start with %d members in the grace time burnt %d of fuel", members, worst)
		}
		c.now = c.now.Add(6 * time.Second)
		for turns := 0; c.room.Alarm() != 0 && c.room.Alarm() <= uint64(c.now.UnixMilli()); turns++ {
			c.run("the grace time ends", &abi.AlarmEvent{Scheduled: c.room.Alarm()})
			if turns > members {
				t.Fatal("it does not end")
			}
		}
		for key := range c.storage.Rows() {
			if len(key) > 2 && key[:3] == "\x00sg" {
				t.Errorf("somebody stays in the grace time: %q", key)
			}
		}
	}
}
