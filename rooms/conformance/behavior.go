package conformance

import (
	"errors"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// A behavior is one rule of ABI.md, tried on a host.
type behavior struct {
	name  string
	kind  string     // default "probe"
	needs host.Cause // what the host must stop; "" for all hosts
	run   func(r *room)
}

// faults are the commands that end a turn, with the cause that a host gives. Where two limits
// are near, either may be met first.
var faults = []struct {
	command string
	cause   host.Cause
	or      host.Cause
}{
	{"panic", host.CausePanic, ""},
	{"nil", host.CausePanic, ""},
	{"index", host.CausePanic, ""},
	{"divide", host.CausePanic, ""},
	{"late", host.CausePanic, ""},
	{"effects 16385", host.CausePanic, ""},
	{"bytes 9", host.CausePanic, ""},
	{"largevalue", host.CausePanic, ""},
	{"garbage", host.CauseGarbage, ""},
	{"loop", host.CauseFuel, ""},
	{"spin", host.CauseFuel, ""},
	{"recurse", host.CauseStack, host.CauseFuel},
	{"hunger", host.CauseMemory, host.CauseFuel},
	{"block", host.CauseBlocked, ""},
	{"sleep", host.CauseBlocked, ""},
	{"leave", host.CauseBlocked, host.CausePanic}, // the SDK may find it
	{"exit", host.CauseExit, ""},
}

var behaviors = append(faultBehaviors(), []behavior{
	{name: "a sleep loses the memory and nothing else", run: func(r *room) {
		r.connect(1, "attach kept ; tags red ; put a 1 ; count ; alarm 60000")
		r.want("1< 1")
		r.sleep()
		r.say(1, "count ; get a ; tagged red still ; when")
		r.want("1< start 2 1", "1< 1", "1< 1", "1< still", "1< 1790000060000 true")
		r.say(1, "count")
		r.want("1< 2")
	}},
	{name: "a new version keeps connections and rows", run: func(r *room) {
		d, ok := r.driver.(Replacer)
		if !ok {
			r.t.Skip("the host cannot replace a module")
		}
		r.connect(1, "attach kept ; put a 1 ; count")
		r.forget()
		r.guest = d.Replacement(r.t, r.guest)
		r.model.Replace(r.guest)
		r.say(1, "count ; get a ; me")
		r.want("1< start 5 1", "1< 1", "1< 1", "1< 1|user1|||1790000000000||kept|false|")
	}},
	{name: "a failed read runs nothing and blames nobody", needs: host.CauseStorage, run: func(r *room) {
		r.connect(1, "put a 1")
		r.forget()
		for _, command := range []string{"say unheard ; get a", "say unheard ; list . . 3"} {
			r.rows.fail = true
			r.say(1, command)
			var trap *host.Trap
			if !errors.As(r.result.Err, &trap) || trap.Cause != host.CauseStorage || len(r.result.Unrun) != 1 {
				r.t.Errorf("got %v with %d events unrun", r.result.Err, len(r.result.Unrun))
			}
			r.wantSeen()
			r.rows.fail = false
		}
		r.say(1, "get a ; count")
		r.want("1< start 3 1", "1< 1", "1< 1")
	}},
	{name: "a failed commit undoes its turn and tells the room", run: func(r *room) {
		r.run(connect(1, "put a old"), connect(2, ""))
		r.forget()
		r.voids = 1
		r.run(message(1, "put a new ; attach new ; say unheard"), message(2, "say unheard"))
		r.want("1< start 3 1 2", "2< start 3 1 2",
			"1< rejected storage_unavailable message 1", "2< rejected storage_unavailable message 1",
			"1< rejected storage_unavailable message 2", "2< rejected storage_unavailable message 2")
		r.say(1, "get a ; me")
		r.want("1< old", "1< 1|user1|||1790000000000|||false|")
	}},
	{name: "a room knows that the store is away", run: func(r *room) {
		r.connect(1, "put a 1")
		r.forget()
		r.away = true
		r.say(1, "room ; get a")
		r.want("1< probe|conformance|term-1|1|1790000000000|1|true", "1< 1")
		r.say(1, "put a 2 ; say unheard")
		r.want()
		r.away = false
		r.say(1, "get a")
		r.want("1< start 3 1", "1< rejected storage_unavailable message 1", "1< 1")
	}},
	{name: "an alarm comes at least once", run: func(r *room) {
		r.connect(1, "alarm 1000")
		r.forget()
		r.voids = 1
		r.pass(time.Second) // its commit fails: it is still set
		r.want()
		r.run(&abi.AlarmEvent{Scheduled: r.rows.alarm, Attempt: 1})
		r.want("1< start 3 1", "1< alarm 1790000001000 1")
		r.run(&abi.AlarmEvent{Scheduled: 1_790_000_001_000, Attempt: 2}) // it is over
		r.want()
	}},
	{name: "an alarm that fails stays set", run: func(r *room) {
		r.connect(1, "put alarm panic ; alarm 1000")
		r.forget()
		r.pass(time.Second)
		r.wantRejected(host.CausePanic)
		r.say(1, "del alarm ; when")
		r.want("1< start 3 1", "1< start 3 1", "1< 1790000001000 true") // once alone to find the culprit
		r.pass(time.Second)
		r.want("1< alarm 1790000001000 0")
	}},
	{name: "the members of a kind are limited", kind: "small", run: func(r *room) {
		r.run(connect(1, ""), connect(2, ""), connect(3, ""))
		r.want("3 closed 4006 room_full")
		r.run(gone(1))
		r.forget()
		r.connect(3, "members")
		r.want("3< members 2 3")
	}},
	{name: "a room that cannot start runs nothing", kind: "fragile", run: func(r *room) {
		r.connect(1, "put start panic")
		r.forget()
		r.sleep()
		r.say(1, "say unheard")
		if !errors.Is(r.result.Err, host.ErrStart) || len(r.result.Unrun) != 1 {
			r.t.Errorf("got %v with %d events unrun", r.result.Err, len(r.result.Unrun))
		}
		r.wantSeen()
		delete(r.rows.byKey, "start")
		r.say(1, "say heard")
		r.want("1< start 3 1", "1< heard")
	}},
	{name: "a malformed event never reaches the room", run: func(r *room) {
		r.run(connect(1, ""), connect(2, ""))
		r.forget()
		r.run(&abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte{0xff}}, message(2, "count"))
		r.wantRejected(host.CauseEvent)
		r.want("1 closed 1007 invalid_utf8", "2< 1", "2< gone 1 1007 invalid_utf8")
	}},
	{name: "the largest message, row and attachment", run: func(r *room) {
		r.connect(1, "attachn 8192")
		r.forget()
		big := "send " + strings.Repeat("x", abi.MaxMessage-len("send "))
		r.say(1, big)
		r.want("1< 1048571 bytes")
		r.say(1, "putn k 1999999 ; len k")
		r.want("1< 1999999")
		r.say(1, "len k ; list . . 5")
		r.want("1< 1999999", "1< list k=1999999 false")
		r.sleep()
		r.say(1, "bytes 7")
		if len(r.seen) != 8 { // the start and seven of a megabyte
			r.t.Errorf("%d lines", len(r.seen))
		}
		r.forget()
		r.say(1, "effects 16384")
		if len(r.seen) != 16384 {
			r.t.Errorf("%d lines", len(r.seen))
		}
	}},
	{name: "pages of a list join", run: func(r *room) {
		r.connect(1, "fill 40")
		r.forget()
		r.rows.page = 7
		r.say(1, "clear row000010 row000030 ; put row000020 xx ; list row000005 row000033 12 ; tsil . row000012 3")
		r.want(
			"1< list row000005=0 row000006=0 row000007=0 row000008=0 row000009=0 row000020=2 row000030=0 row000031=0 row000032=0 false",
			"1< tsil row000009=0 row000008=0 row000007=0 true")
	}},
	{name: "many connections of one batch", run: func(r *room) {
		var events []abi.Event
		for id := uint64(1); id <= 900; id++ {
			events = append(events, connect(id, "mute"))
		}
		events = append(events, message(900, "unmute ; say hello ; kickall"))
		r.run(events...)
		if got := r.table.Len(); got != 0 || len(r.closed) != 900 {
			r.t.Errorf("%d connections left, %d closed", got, len(r.closed))
		}
		r.connect(901, "members")
		if last := r.seen[len(r.seen)-1]; last != "901< members 901" {
			r.t.Errorf("seen %s", last)
		}
	}},
}...)

// faultBehaviors makes one behavior of each fault: the turn has no effect, the event is rejected, its
// neighbors in the batch happen, connections stay, and the room goes on.
func faultBehaviors() []behavior {
	var list []behavior
	for _, f := range faults {
		list = append(list, behavior{name: "fault: " + f.command, needs: f.cause, run: func(r *room) {
			r.run(connect(1, "attach kept ; put a 0"), connect(2, "count"))
			r.forget()
			r.run(message(1, "put a 1 ; others first"), message(2, "put a 2 ; say unheard ; kick 1 ; "+f.command), message(1, "get a ; me"))
			if x := r.result.Rejections; len(x) == 1 && f.or != "" && x[0].Trap.Cause == f.or {
				x[0].Trap.Cause = f.cause
			}
			r.wantRejected(f.cause)
			r.want("1< start 3 1 2", "2< start 3 1 2", "2< first",
				"1< start 3 1 2", "2< start 3 1 2", "1< rejected rejected message 2", "2< rejected rejected message 2",
				"1< 1", "1< 1|user1|||1790000000000||kept|false|")
			r.say(2, "count")
			r.want("2< 1")
		}})
	}
	return list
}
