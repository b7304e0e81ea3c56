package host_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

func TestStartIsInTheFirstBatch(t *testing.T) {
	b := newBench(t)
	if b.run(); b.room.Started() || len(b.guest.batches) != 0 {
		t.Error("a Run without events started the room")
	}
	r := b.run(connect(1), message(1, "say hi"))
	b.expect("start:cold[] +1 m1:say_hi")
	if len(r.Turns) != 1 || len(r.Turns[0].Events) != 3 || r.Turns[0].Decision || !b.room.Started() {
		t.Errorf("%d turns, started %v", len(r.Turns), b.room.Started())
	}
	b.run(message(1, "x"))
	b.expect("m1:x")
}

func TestStart(t *testing.T) {
	b := newBench(t)
	if r := b.room.Start(context.Background(), false); r.Err != nil || len(r.Turns) != 1 || !b.room.Started() {
		t.Errorf("%+v", r)
	}
	if r := b.room.Start(context.Background(), false); len(r.Turns) != 0 {
		t.Error("a room in memory was started again")
	}
	b.expect("start:cold[]")
	b.guest.poison = "start"
	b.room.Sleep()
	if r := b.room.Start(context.Background(), false); !errors.Is(r.Err, host.ErrStart) {
		t.Errorf("got %v", r.Err)
	}
}

func TestTrapFindsTheCulprit(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.guest.words()
	r := b.run(message(1, "a"), message(2, "panic"), message(1, "b"))
	b.expect("trap(m1:a,m2:panic) start:trap[1 2] m1:a trap(m2:panic) start:trap[1 2] rejected(m2:panic rejected) m1:b")
	if len(r.Rejections) != 1 || r.Rejections[0].Event.(*abi.MessageEvent).Connection != 2 || r.Rejections[0].Known || r.Err != nil {
		t.Errorf("%+v", r)
	}
	if got := ids(b.room.Connections().Connections()); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("the connections are %v", got)
	}
}

// A trap that comes only from a full memory goes away with the memory.

func TestTrapIsTriedOnceOnAFreshMemory(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.run(message(1, "x"))
	b.guest.words()
	r := b.run(message(1, "once"))
	if len(r.Rejections) != 0 {
		t.Errorf("%+v", r.Rejections)
	}
	b.expect("trap(m1:once) start:trap[1] m1:once")
}

func TestTrapsOfEachEvent(t *testing.T) {
	for _, tt := range []struct {
		name     string
		event    abi.Event
		poison   string
		log      string // of the second batch
		decision abi.Effect
	}{
		{"connect", connectWith(9, "panic"), "", "trap(+9) start:trap[1] trap(+9)", &abi.CloseEffect{Connection: 9, Code: abi.CodeRejected}},
		{"message", message(1, "panic"), "", "trap(m1:panic) start:trap[1] trap(m1:panic) start:trap[1] rejected(m1:panic rejected)", nil},
		{"garbage", message(1, "garbage"), "", "garbage(m1:garbage) start:trap[1] garbage(m1:garbage) start:trap[1] rejected(m1:garbage rejected)", nil},
		{"request", request(5, "panic"), "", "trap(r5) start:trap[1] trap(r5)", &abi.RespondEffect{Request: 5, Status: 500}},
		{"tick", &abi.TickEvent{}, "tick", "trap(tick) start:trap[1] trap(tick)", nil},
		{"alarm", &abi.AlarmEvent{Scheduled: 77}, "alarm", "trap(alarm@77) start:trap[1] trap(alarm@77)", nil},
		{"told", told(3, "panic"), "", "trap(told3) start:trap[1] trap(told3) start:trap[1] rejected(told rejected)", nil},
		{"tags too late", message(1, "tag"), "", "m1:tag start:trap[1] m1:tag start:trap[1] rejected(m1:tag rejected)", nil},
		{"join too late", message(1, "join"), "", "m1:join start:trap[1] m1:join start:trap[1] rejected(m1:join rejected)", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.run(connectWith(1, "alarm 77"))
			b.guest.words()
			b.guest.poison = tt.poison
			r := b.run(tt.event)
			b.expect(tt.log)
			if len(r.Rejections) != 1 || r.Rejections[0].Event != tt.event || r.Rejections[0].Trap == nil || r.Err != nil || len(r.Unrun) != 0 {
				t.Fatalf("%+v", r)
			}
			var decided []abi.Effect
			for _, turn := range r.Turns {
				if turn.Decision {
					decided = append(decided, turn.Effects...)
					if turn.Durable() {
						t.Error("a decision is durable")
					}
				}
			}
			switch want := tt.decision.(type) {
			case nil:
				if len(decided) != 0 {
					t.Errorf("decided %v", decided)
				}
			case *abi.CloseEffect:
				got, ok := decided[0].(*abi.CloseEffect)
				if !ok || got.Connection != want.Connection || got.Code != want.Code || got.Reason != "rejected" {
					t.Errorf("decided %+v", decided[0])
				}
			case *abi.RespondEffect:
				got, ok := decided[0].(*abi.RespondEffect)
				if !ok || got.Request != want.Request || got.Status != want.Status || !strings.Contains(string(got.Body), `"code":"rejected"`) {
					t.Errorf("decided %+v", decided[0])
				}
			}
			if b.room.Alarm() != 77 {
				t.Errorf("the alarm is %d", b.room.Alarm())
			}
			b.guest.poison = ""
			if r := b.run(message(1, "x")); len(r.Rejections) != 0 || len(r.Turns) != 1 {
				t.Errorf("afterwards: %+v", r)
			}
		})
	}
}

func TestTrapInClose(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.guest.words()
	b.guest.poison = "close"
	r := b.run(gone(1))
	b.expect("trap(-1) start:trap[1 2] trap(-1)")
	if len(r.Rejections) != 1 || b.room.Connections().Len() != 1 || b.durable.Len() != 1 {
		t.Errorf("%+v, %d connections, %d delivered", r, b.room.Connections().Len(), b.durable.Len())
	}
	b.run(message(2, "x"))
	b.expect("start:trap[2] m2:x")
}

func TestTrapInStart(t *testing.T) {
	b := newBench(t)
	b.guest.poison = "start"
	events := []abi.Event{connect(1), message(1, "x")}
	r := b.run(events...)
	var start *host.StartError
	if !errors.As(r.Err, &start) || !errors.Is(r.Err, host.ErrStart) || !errors.Is(r.Err, host.ErrTrap) || start.Trap.Cause != host.CausePanic {
		t.Fatalf("got %v", r.Err)
	}
	if !slices.Equal(r.Unrun, events) || len(r.Turns) != 0 || len(r.Rejections) != 0 || b.room.Started() {
		t.Errorf("%+v", r)
	}
	b.guest.words()
	b.guest.poison = ""
	if r := b.run(r.Unrun...); r.Err != nil || len(r.Turns) != 1 {
		t.Errorf("%+v", r)
	}
	b.expect("start:trap[] +1 m1:x")
}

// A start that fails in the middle of the single runs leaves the rest unrun.

func TestTrapInStartBetweenSingles(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.guest.words()
	starts := 0
	b.room.Replace(guestFunc{func(ctx context.Context, batch []byte, s host.Storage) ([]byte, error) {
		d, _ := abi.DecodeBatch(batch)
		if d.Events[0].Type() == abi.EventStart {
			if starts++; starts == 3 || starts == 4 {
				return nil, &host.Trap{Cause: host.CauseFuel}
			}
		}
		return b.guest.Turn(ctx, batch, s)
	}, b.guest.Sleep})
	r := b.run(message(1, "a"), message(1, "panic"), message(1, "b"), message(1, "c"))
	if !errors.Is(r.Err, host.ErrStart) || len(r.Rejections) != 1 || len(r.Unrun) != 2 {
		t.Fatalf("%+v", r)
	}
	b.guest.words()
	b.run(r.Unrun...)
	// The third start trapped as it was told of the rejection, so the fourth was not told.
	b.expect("start:trap[1] m1:b m1:c")
}

type guestFunc struct {
	turn  func(context.Context, []byte, host.Storage) ([]byte, error)
	sleep func()
}

func (g guestFunc) Turn(ctx context.Context, b []byte, s host.Storage) ([]byte, error) {
	return g.turn(ctx, b, s)
}

func (g guestFunc) Sleep() { g.sleep() }

// A room that fails on being told of a failure is started without.

func TestTrapInRejected(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.guest.words()
	b.guest.poison = "rejected"
	r := b.run(message(1, "panic"), message(1, "a"))
	b.expect("trap(m1:panic) start:trap[1] trap(m1:panic) trap(start:trap[1],rejected(m1:panic rejected)) start:trap[1] m1:a")
	if r.Err != nil || b.room.Pending() {
		t.Errorf("%v, pending %v", r.Err, b.room.Pending())
	}
}

func TestStorageTrapRunsNothing(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.guest.words()
	b.storage.err = errors.New("the disk is away")
	events := []abi.Event{message(1, "a"), message(1, "storage"), message(1, "b")}
	r := b.run(events...)
	if trap := asTrap(r.Err); trap == nil || trap.Cause != host.CauseStorage || !errors.Is(r.Err, b.storage.err) {
		t.Fatalf("got %v", r.Err)
	}
	if !slices.Equal(r.Unrun, events) || len(r.Turns) != 0 || len(r.Rejections) != 0 {
		t.Errorf("%+v", r)
	}
	b.expect("trap(m1:a,m1:storage)")
	b.storage.err = nil
	b.run(r.Unrun...)
	b.expect("start:trap[1] m1:a m1:storage m1:b")
}

// A storage failure among the singles leaves what is behind it, and what the room is owed.

func TestStorageTrapAmongSingles(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.guest.words()
	b.storage.err = errors.New("the disk is away")
	r := b.run(message(1, "a"), message(1, "panic"), message(1, "storage"), message(1, "b"))
	if len(r.Unrun) != 2 || len(r.Rejections) != 1 || len(r.Turns) != 3 { // start, a, start with the rejection
		t.Fatalf("%+v", r)
	}
	b.guest.words()
	b.storage.err = nil
	b.run(r.Unrun...)
	b.expect("start:trap[1] m1:storage m1:b")
}

func TestGuestErrorRunsNothing(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.guest.words()
	r := b.run(message(1, "close 2"), message(1, "x"))
	if r.Err != nil || len(r.Turns) != 2 {
		t.Fatalf("%+v", r)
	}
	b.expect("m1:close_2 m1:x -2")
	r = b.run(message(1, "error"))
	if !errors.Is(r.Err, errGuest) || len(r.Unrun) != 1 || !b.room.Started() {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := b.room.Run(ctx, false, []abi.Event{message(1, "y")}); !errors.Is(r.Err, context.Canceled) || len(r.Unrun) != 1 {
		t.Errorf("%+v", r)
	}
	b.run(message(1, "z"))
	b.expect("m1:z")
}

// What a room is owed survives an error of the guest.

func TestGuestErrorKeepsWhatIsOwed(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.room.Void(&b.durable, 0, []abi.Event{message(1, "lost")}, abi.CodeStorageUnavailable)
	b.guest.words()
	if !b.room.Pending() {
		t.Error("nothing is pending after a Void with a lost message")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := b.room.Run(ctx, false, nil); !errors.Is(r.Err, context.Canceled) || len(r.Unrun) != 0 {
		t.Errorf("%+v", r)
	}
	if r := b.room.Start(ctx, false); !errors.Is(r.Err, context.Canceled) {
		t.Errorf("%+v", r)
	}
	b.run()
	b.expect("start:trap[1 2] rejected(m1:lost storage_unavailable)")
	if b.room.Pending() {
		t.Error("still pending")
	}
}

func TestRoomClosesConnections(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2), connect(3))
	b.guest.words()
	r := b.run(message(1, "close 2"), message(2, "too late"), message(1, "close 99"), message(1, "close me"))
	b.expect("m1:close_2 m1:close_99 m1:close_me -2 -1")
	if len(r.Turns) != 2 || b.room.Connections().Len() != 1 || b.durable.Len() != 1 {
		t.Errorf("%d turns, %d and %d connections", len(r.Turns), b.room.Connections().Len(), b.durable.Len())
	}
	for _, e := range r.Turns[1].Events {
		if c := e.(*abi.CloseEvent); c.Code != abi.CodeKicked || c.Reason != "as told" || !c.Clean {
			t.Errorf("%+v", c)
		}
	}
	// The client's own end of a connection that the room has closed is not news.
	b.run(gone(2), message(2, "ghost"), message(3, "x"))
	b.expect("m3:x")
}

func TestRefusedConnect(t *testing.T) {
	b := newBench(t)
	r := b.run(connectWith(1, "close me"), message(1, "x"), connect(2))
	b.expect("start:cold[] +1 +2 -1")
	if len(r.Turns) != 2 || b.durable.Len() != 1 || b.room.Connections().Len() != 1 || !b.room.Connections().Has(2) {
		t.Errorf("%d turns, tables of %d and %d", len(r.Turns), b.durable.Len(), b.room.Connections().Len())
	}
}

// Close events that the room brought about wait when the turn after fails.

func TestOwedCloseSurvivesAnError(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.guest.words()
	fail := false
	b.room.Replace(guestFunc{func(ctx context.Context, batch []byte, s host.Storage) ([]byte, error) {
		if fail {
			return nil, errGuest
		}
		fail = true
		return b.guest.Turn(ctx, batch, s)
	}, b.guest.Sleep})
	r := b.run(message(1, "close 2"))
	if !errors.Is(r.Err, errGuest) || len(r.Unrun) != 0 || len(r.Turns) != 1 || !b.room.Pending() {
		t.Fatalf("%+v", r)
	}
	b.guest.words()
	fail = false
	b.room.Replace(b.guest)
	b.run()
	b.expect("start:replaced[1] -2")
	if b.room.Connections().Len() != 1 || b.durable.Len() != 1 {
		t.Error("the closed connection is still in a table")
	}
}

// Many small connects of one batch that each attach much do not get past the limit together.

// Who has left does not count.

// The largest start, the most rejections and the largest event fit into one batch.

func TestTimeNeverGoesBack(t *testing.T) {
	b := newBench(t, func(c *host.Config) { c.Time = 5000 })
	r := b.run(connect(1))
	if r.Turns[0].Time != 5000 {
		t.Errorf("the first turn is at %d", r.Turns[0].Time)
	}
	b.clock = 7000
	b.run(message(1, "x"))
	b.clock = 6000
	if r := b.run(message(1, "x")); r.Turns[0].Time != 7000 {
		t.Errorf("time is %d", r.Turns[0].Time)
	}
	b.clock = -5
	b.room.Sleep()
	if r := b.run(message(1, "x")); r.Turns[0].Time != 7000 {
		t.Errorf("time is %d", r.Turns[0].Time)
	}
}

func TestSleepAndReplace(t *testing.T) {
	b := newBench(t, func(c *host.Config) { c.Reason = abi.StartMoved })
	b.run(connect(1))
	b.expect("start:moved[] +1")
	b.room.Sleep()
	b.room.Sleep()
	b.run(message(1, "x"))
	b.expect("start:wake[1] m1:x")
	if b.guest.slept != 1 {
		t.Errorf("the guest slept %d times", b.guest.slept)
	}
	next := &guest{t: t}
	b.room.Replace(next)
	if b.guest.slept != 2 || b.room.Started() {
		t.Error("the old guest was not put to sleep")
	}
	b.guest = next
	b.run(message(1, "y"))
	b.expect("start:replaced[1] m1:y")
	// A replacement of a sleeping room does not hide why it starts.
	b.room.Sleep()
	b.room.Replace(b.guest)
	b.run(message(1, "z"))
	b.expect("start:wake[1] m1:z")
}

func TestAlarm(t *testing.T) {
	b := newBench(t, func(c *host.Config) { c.Alarm = 50 })
	r := b.run(&abi.AlarmEvent{Scheduled: 49}, &abi.AlarmEvent{Scheduled: 50}, &abi.AlarmEvent{Scheduled: 50})
	b.expect("start:cold[] alarm@50")
	if turn := r.Turns[0]; !turn.AlarmSet || turn.Alarm != 0 || !turn.Durable() || b.room.Alarm() != 0 {
		t.Errorf("%+v", turn)
	}
	b.run(connectWith(1, "alarm 90"))
	if b.room.Alarm() != 90 {
		t.Errorf("the alarm is %d", b.room.Alarm())
	}
	// The alarm's own event clears it before the effects of its turn count.
	b.run(message(1, "alarm 90"), &abi.AlarmEvent{Scheduled: 90})
	if b.room.Alarm() != 90 {
		t.Errorf("the alarm is %d", b.room.Alarm())
	}
	if r := b.run(&abi.AlarmEvent{}); len(r.Turns) != 0 {
		t.Error("an alarm at 0 ran")
	}
}

func TestTurnParts(t *testing.T) {
	b := newBench(t)
	r := b.run(connect(1), message(1, "say a"), message(1, "put k"), message(1, "tell"), message(1, "alarm 5"), message(1, "say b"))
	turn := r.Turns[0]
	if len(turn.Effects) != 3 || len(turn.Writes) != 1 || len(turn.Tells) != 1 || turn.Alarm != 5 || !turn.AlarmSet || !turn.Durable() {
		t.Errorf("%+v", turn)
	}
	if r := b.run(message(1, "say c")); r.Turns[0].Durable() {
		t.Error("a broadcast is durable")
	}
}

// What a peer says at its end never keeps the close from the room.

// tired runs out of fuel with more than so many events.
type tired struct {
	host.Guest
	most, traps int
}

func (g *tired) Turn(ctx context.Context, batch []byte, s host.Storage) ([]byte, error) {
	b, err := abi.DecodeBatch(batch)
	if err != nil {
		return nil, err
	}
	if len(b.Events) > g.most {
		g.traps++
		g.Sleep()
		return nil, &host.Trap{Cause: host.CauseFuel}
	}
	return g.Guest.Turn(ctx, batch, s)
}

// TestManyEventsAreNobodysFault: a batch that is too dear is halved, and the next ones are smaller.
func TestManyEventsAreNobodysFault(t *testing.T) {
	g := &tired{most: 40}
	b := newBench(t, func(c *host.Config) { g.Guest, c.Guest = c.Guest, g })
	b.run(connect(1))
	var many []abi.Event
	for range 1000 {
		many = append(many, message(1, "x"))
	}
	r := b.run(many...)
	if r.Err != nil || len(r.Rejections) > 0 {
		t.Fatalf("%v, %d rejected", r.Err, len(r.Rejections))
	}
	n := 0
	for _, turn := range r.Turns {
		for _, e := range turn.Events {
			if e.Type() == abi.EventMessage {
				n++
			}
		}
	}
	// 128, 64, 32 and 32, and then 64 once more, the other half.
	if n != 1000 || g.traps > 3 {
		t.Errorf("%d messages happened, %d traps", n, g.traps)
	}
}
