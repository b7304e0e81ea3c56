package host_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// FuzzRoom drives a room with arbitrary batches, sleeps, replacements, storage failures and
// void turns, and compares it after each step with what must always hold:
//
//   - the guest, the room's table and the deliverer's table have the same connections;
//   - every event handed in either happened, was rejected, is unrun, or was of a connection or an
//     alarm that is not there;
//   - a room that is not broken comes to an end of what it is owed.
//
// The guest itself checks starts, handles, time and the order of a connection's events.
func FuzzRoom(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 9, 3, 1, 5, 2, 9, 10, 4, 1, 9, 12, 2, 1, 9})
	f.Add([]byte{0, 1, 0, 2, 0, 3, 9, 2, 1, 4, 2, 3, 1, 9, 11, 5, 1, 9, 13, 9})
	f.Add([]byte{0, 1, 9, 4, 1, 4, 1, 6, 1, 9, 12, 9, 7, 1, 9, 14, 2, 1, 9, 14, 9})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 200 {
			return
		}
		b := newBench(t, func(c *host.Config) { c.Kind.Members = 5 })
		var events []abi.Event
		id := func(i *int) uint64 {
			*i++
			if *i >= len(ops) {
				return 1
			}
			return uint64(ops[*i]%6) + 1
		}
		void := false
		for i := 0; i < len(ops); i++ {
			switch ops[i] % 16 {
			case 0:
				events = append(events, connectWith(id(&i), ""))
			case 1:
				events = append(events, connectWith(id(&i), "close me"))
			case 2:
				events = append(events, message(id(&i), "say x"))
			case 3:
				events = append(events, message(id(&i), "panic"))
			case 4:
				events = append(events, message(id(&i), fmt.Sprint("close ", id(&i))))
			case 5:
				events = append(events, gone(id(&i)))
			case 6:
				events = append(events, message(id(&i), "garbage"))
			case 7:
				events = append(events, message(id(&i), "alarm 500"))
			case 8:
				events = append(events, &abi.AlarmEvent{Scheduled: 500}, message(id(&i), "storage"))
			case 9:
				b.fuzzRun(events, void)
				events, void = nil, false
			case 10:
				b.room.Sleep()
			case 11:
				b.room.Replace(b.guest)
			case 12:
				void = true
			case 13:
				if b.storage.err == nil {
					b.storage.err = errors.New("away")
				} else {
					b.storage.err = nil
				}
			case 14:
				b.guest.poison = [...]string{"", "start", "close", "rejected", "connect", "alarm"}[id(&i)-1]
			case 15:
				events = append(events, request(id(&i), "panic"), told(id(&i), "panic"))
			}
		}
		b.guest.poison, b.storage.err = "", nil
		b.fuzzRun(events, false)
		if b.room.Pending() {
			t.Error("a healthy room is still owed something")
		}
	})
}

// fuzzRun runs events; with void, the turns behind the first are void.
func (b *bench) fuzzRun(events []abi.Event, void bool) {
	r := b.room.Run(b.t.Context(), false, events)
	b.account(events, r)
	if r.Err != nil && b.guest.poison == "" && b.storage.err == nil {
		b.t.Errorf("a healthy room ends with %v", r.Err)
	}
	turns := r.Turns
	if void && len(turns) > 1 {
		b.deliver(turns[0])
		var lost []abi.Event
		for _, t := range turns[1:] {
			if t.Decision {
				b.deliver(t)
			} else {
				lost = append(lost, t.Lost()...)
			}
		}
		b.room.Void(&b.durable, b.room.Alarm(), lost, abi.CodeStorageUnavailable)
	} else {
		for _, t := range turns {
			b.deliver(t)
		}
	}
	own, delivered := ids(b.room.Connections().Connections()), ids(b.durable.Connections())
	slices.Sort(own)
	slices.Sort(delivered)
	if !slices.Equal(own, delivered) {
		b.t.Errorf("the room's table has %v, the deliverer's %v", own, delivered)
	}
	if b.room.Started() != (b.guest.handle != 0) {
		b.t.Errorf("started %v, but the guest's handle is %d", b.room.Started(), b.guest.handle)
	}
	if b.room.Started() {
		inside := slices.Sorted(slices.Values(b.guest.conns))
		if !slices.Equal(own, inside) {
			b.t.Errorf("the room's table has %v, the guest %v", own, inside)
		}
	}
	if b.room.Connections().Len() > 5 {
		b.t.Errorf("%d members", b.room.Connections().Len())
	}
}

// account checks that no event happened twice or vanished without a reason.
func (b *bench) account(events []abi.Event, r host.Result) {
	happened := map[abi.Event]int{}
	for _, t := range r.Turns {
		for _, e := range t.Events {
			if !t.Decision {
				happened[e]++
			}
		}
	}
	for _, x := range r.Rejections {
		happened[x.Event]++
	}
	for _, e := range r.Unrun {
		happened[e]++
	}
	for _, e := range events {
		if happened[e] > 1 {
			b.t.Errorf("%s happened %d times", e.Type(), happened[e])
		}
		if happened[e] == 0 {
			switch e.Type() {
			case abi.EventRequest, abi.EventTold:
				b.t.Errorf("%s vanished", e.Type())
			}
		}
	}
}
