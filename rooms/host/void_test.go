package host_test

import (
	"slices"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// lose runs events and makes every turn of them void.
func (b *bench) lose(events ...abi.Event) {
	b.t.Helper()
	r := b.room.Run(b.t.Context(), false, events)
	var lost []abi.Event
	for _, t := range r.Turns {
		if t.Decision {
			b.deliver(t)
			continue
		}
		lost = append(lost, t.Lost()...)
	}
	b.room.Void(&b.durable, b.room.Alarm(), lost, abi.CodeStorageUnavailable)
	b.guest.words()
}

func TestVoid(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.lose(message(1, "attach 5"), connect(3), message(3, "x"), gone(2), request(1, "x"), message(1, "put k"))
	b.run(message(1, "after"))
	// Connection 3 never was there; 2 is told again, because it is gone.
	b.expect("start:trap[1 2] rejected(m1:attach_5 storage_unavailable) rejected(m1:put_k storage_unavailable) m1:after -2")
	if c, _ := b.room.Connections().Get(1); len(c.Attachment) != 0 {
		t.Error("a void attachment is still there")
	}
	if got := ids(b.room.Connections().Connections()); !slices.Equal(got, []uint64{1}) || b.durable.Len() != 1 {
		t.Errorf("connections %v, delivered %d", got, b.durable.Len())
	}
}

func TestVoidOfTheRoomsOwnClose(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	b.lose(message(1, "close 2")) // both the close and its event are void
	b.run()
	b.expect("start:trap[1 2] rejected(m1:close_2 storage_unavailable)")
	if !b.room.Connections().Has(2) {
		t.Error("a void close closed")
	}
}

func TestVoidBetweenCloseAndItsEvent(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2))
	r := b.room.Run(t.Context(), false, []abi.Event{message(1, "close 2")})
	if len(r.Turns) != 2 {
		t.Fatalf("%d turns", len(r.Turns))
	}
	b.deliver(r.Turns[0])
	for _, lost := range [][]abi.Event{r.Turns[1].Events, nil} { // once lost, once never run
		b.room.Void(&b.durable, 0, lost, abi.CodeStorageUnavailable)
		if !b.room.Pending() {
			t.Error("nothing is pending")
		}
	}
	b.guest.words()
	b.run()
	b.expect("start:trap[1] -2")
	if b.durable.Len() != 1 || b.room.Connections().Len() != 1 {
		t.Error("the connection that the room closed is still in a table")
	}
}

func TestVoidOfARejection(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.lose(message(1, "panic")) // the turn that told the room of it is void too
	b.run(message(1, "x"))
	b.expect("start:trap[1] rejected(m1:panic rejected) m1:x")
}

func TestVoidKeepsWhatIsOwedWithinBounds(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	var lost []abi.Event
	for range 1000 {
		lost = append(lost, message(1, "x"))
	}
	big := message(1, string(make([]byte, abi.MaxMessage)))
	for range 20 {
		lost = append(lost, big)
	}
	b.room.Void(&b.durable, 0, lost, abi.CodeStorageUnavailable)
	b.guest.words()
	b.guest.batches = nil
	b.run()
	n := 0
	for _, size := range b.guest.batches {
		n += size
		if size > 129 {
			t.Errorf("%d events in a batch of rejections", size)
		}
	}
	if n != 1+1000+7 { // the start, the small ones, and what of the large ones fits 8 MiB
		t.Errorf("%d events", n)
	}
	if b.room.Pending() {
		t.Error("still pending")
	}
}

func TestVoidAlarm(t *testing.T) {
	b := newBench(t)
	b.run(connectWith(1, "alarm 70"))
	r := b.room.Run(t.Context(), false, []abi.Event{&abi.AlarmEvent{Scheduled: 70}})
	if b.room.Alarm() != 0 {
		t.Fatal("the alarm is still set")
	}
	b.room.Void(&b.durable, 70, r.Turns[0].Events, abi.CodeStorageUnavailable)
	b.guest.words()
	b.run(&abi.AlarmEvent{Scheduled: 70, Attempt: 1})
	b.expect("start:trap[1] alarm@70")
}

func TestConnectionsOfAnEarlierLife(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(2), connect(3))
	table := b.durable.Clone()
	table.Apply(&abi.CloseEffect{Connection: 2, Code: abi.CodeKicked})
	next := newBench(t, func(c *host.Config) { c.Connections, c.Reason = table, abi.StartMoved })
	next.durable = *table
	table.Remove(3) // not ours any more
	next.run(message(1, "x"))
	next.expect("start:moved[1 3] m1:x -2")
}
