package conformance

import (
	"fmt"
	"slices"
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
	run   func(r *trial)
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
	{name: "a sleep loses the memory and nothing else", run: func(r *trial) {
		r.connect(1, "attach kept ; tags red ; put a 1 ; count ; alarm 60000")
		r.want("1< 1")
		r.room.Sleep()
		r.say(1, "count ; get a ; tagged red still ; when")
		r.want("1< start 2 1", "1< 1", "1< 1", "1< still", "1< 4000000060000 true")
		r.say(1, "count")
		r.want("1< 2")
	}},
	{name: "a new version keeps connections and rows", run: func(r *trial) {
		r.connect(1, "attach kept ; put a 1 ; count")
		r.forget()
		reason := r.room.Replace()
		if reason == 0 {
			r.t.Skip("the host cannot replace a module")
		}
		r.say(1, "count ; get a ; me")
		r.want(fmt.Sprintf("1< start %d 1", reason), "1< 1", "1< 1", "1< 1|user1|||4000000000000||kept|false|")
	}},
	{name: "a failed read runs nothing and blames nobody", needs: host.CauseStorage, run: func(r *trial) {
		r.connect(1, "put a 1")
		r.forget()
		r.storage(ReadsFail)
		r.say(1, "say unheard ; get a")
		r.wantUndone(abi.CodeStorageUnavailable)
		r.wantRejected()
		r.repair()
		r.storage(ReadsFail)
		r.connect(2, "say unheard ; list . . 3")
		r.wantUndone(abi.CodeStorageUnavailable)
		r.wantRejected()
		r.repair()
		r.connect(3, "get a ; count")
		r.wantOf(3, "3< 1", "3< 1")
	}},
	{name: "a failed commit undoes its turn", run: func(r *trial) {
		r.run(connect(1, "put a old"), connect(2, ""))
		r.forget()
		r.storage(CommitsFail)
		r.run(message(1, "put a new ; attach new ; say unheard"), message(2, "say unheard"))
		if r.last.Undone != 0 { // the host commits before it runs on: it tells the senders itself
			r.wantUndone(abi.CodeStorageUnavailable)
		} else { // or it ran on, and the room tells them
			r.want("1< start 3 1 2", "2< start 3 1 2",
				"1< rejected storage_unavailable message 1", "2< rejected storage_unavailable message 1",
				"1< rejected storage_unavailable message 2", "2< rejected storage_unavailable message 2")
			r.say(1, "me")
			r.want("1< 1|user1|||4000000000000|||false|")
		}
		r.repair()
		r.connect(3, "get a")
		r.wantOf(3, "3< old")
	}},
	{name: "a room knows that the store is away", run: func(r *trial) {
		r.connect(1, "put a 1")
		r.forget()
		r.storage(CommitsAway)
		r.say(1, "room ; get a")
		r.want("1< probe|conformance|term-1|1|4000000000000|1|true", "1< 1")
		r.say(1, "put a 2 ; say unheard")
		r.want()
		r.repair()
		r.say(1, "get a")
		r.want("1< start 3 1", "1< rejected storage_unavailable message 1", "1< 1")
	}},
	{name: "an alarm comes at least once", run: func(r *trial) {
		r.connect(1, "alarm 1000")
		r.forget()
		r.storage(CommitsFail)
		r.pass(time.Second)
		r.wantSeen(nil)
		r.repair() // it is still set, and comes again
		r.want("1< start 3 1", "1< alarm 4000000001000 0")
		r.take(r.room.Ring()) // it is over
		r.want()
	}},
	{name: "an alarm that fails stays set", run: func(r *trial) {
		r.connect(1, "put alarm panic ; alarm 1000")
		r.forget()
		r.pass(time.Second)
		r.wantRejected(host.CausePanic)
		r.say(1, "del alarm ; when")
		r.want("1< start 3 1", "1< 4000000001000 true")
		r.pass(time.Minute)
		r.want("1< alarm 4000000001000 1")
	}},
	{name: "the members of a kind are limited", kind: "small", run: func(r *trial) {
		r.run(connect(1, ""), connect(2, ""), connect(3, ""))
		r.want("3 closed 4006 room_full")
		r.run(gone(1))
		r.forget()
		r.connect(4, "members")
		r.want("4< members 2 4")
	}},
	{name: "ten tags and no more", run: func(r *trial) {
		r.connect(1, "tags a b c d e f g h i j")
		r.connect(2, "tags a b c d e f g h i j k")
		r.wantRejected(host.CausePanic)
		r.want("1< start 3 1", "2 closed 4209 rejected")
		r.say(1, "tagged j ten ; tagged k eleven ; members")
		r.want("1< start 3 1", "1< ten", "1< members 1")
	}},
	{name: "a room that cannot start runs nothing", kind: "fragile", run: func(r *trial) {
		r.connect(1, "put start panic")
		r.forget()
		r.room.Sleep()
		r.say(1, "say unheard")
		r.wantUndone(abi.CodeRoomUnavailable)
		r.room.Delete("start")
		r.repair()
		r.connect(2, "say heard")
		r.wantOf(2, "2< heard")
	}},
	{name: "a malformed event never reaches the room", needs: host.CauseEvent, run: func(r *trial) {
		r.run(connect(1, ""), connect(2, ""))
		r.forget()
		r.run(&abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte{0xff}}, message(2, "count"))
		r.wantRejected(host.CauseEvent)
		r.want("1 closed 1007 invalid_utf8", "2< 1", "2< gone 1 1007 invalid_utf8")
	}},
	{name: "the largest message, row and attachment", run: func(r *trial) {
		r.connect(1, "attachn 8192")
		r.forget()
		big := "send " + strings.Repeat("x", abi.MaxMessage-len("send "))
		r.say(1, big)
		r.want("1< 1048571 bytes")
		r.say(1, "putn k 1999999 ; len k")
		r.want("1< 1999999")
		r.say(1, "len k ; list . . 5")
		r.want("1< 1999999", "1< list k=1999999 false")
		r.room.Sleep()
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
	{name: "pages of a list join", run: func(r *trial) {
		r.connect(1, "fill 40")
		r.forget()
		r.storage(ShortAnswers)
		r.say(1, "clear row000010 row000030 ; put row000020 xx ; list row000005 row000033 12 ; tsil . row000012 3")
		r.want(
			"1< list row000005=0 row000006=0 row000007=0 row000008=0 row000009=0 row000020=2 row000030=0 row000031=0 row000032=0 false",
			"1< tsil row000009=0 row000008=0 row000007=0 true")
	}},
	{name: "pages of a list join where its size splits them", run: func(r *trial) {
		r.connect(1, "")
		for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
			r.say(1, "putn "+key+" 900000")
		}
		r.forget()
		r.say(1, "put cc xx ; list . . 9 ; tsil . . 3")
		r.want("1< list a=900000 b=900000 c=900000 cc=2 d=900000 e=900000 f=900000 false", "1< tsil f=900000 e=900000 d=900000 true")
	}},
	{name: "many connections", run: func(r *trial) {
		var events []abi.Event
		for id := uint64(1); id <= 900; id++ {
			events = append(events, connect(id, "mute"))
		}
		events = append(events, message(900, "unmute ; say hello ; kickall"))
		r.run(events...)
		closed := 0
		for _, line := range r.seen {
			if strings.HasSuffix(line, "closed 4208 everybody out") {
				closed++
			}
		}
		if closed != 900 || !slices.Contains(r.seen, "900< hello") {
			r.t.Errorf("%d closed, %d lines", closed, len(r.seen))
		}
		r.connect(901, "members")
		r.wantOf(901, "901< members 901")
	}},
}...)

// faultBehaviors makes one behavior of each fault: the turn has no effect, the event is rejected, its
// neighbors in the batch happen, connections stay, and the room goes on.
func faultBehaviors() []behavior {
	var list []behavior
	for _, f := range faults {
		list = append(list, behavior{name: "fault: " + f.command, needs: f.cause, run: func(r *trial) {
			r.run(connect(1, "attach kept ; put a 0"), connect(2, "count"))
			r.forget()
			r.run(message(1, "put a 1 ; others first"), message(2, "put a 2 ; say unheard ; kick 1 ; "+f.command), message(1, "get a ; me"))
			if x := r.last.Rejected; len(x) == 1 && f.or != "" && x[0] == f.or {
				x[0] = f.cause
			}
			r.wantRejected(f.cause)
			after := []string{
				"1< start 3 1 2", "2< start 3 1 2", "1< rejected rejected message 2", "2< rejected rejected message 2",
				"1< 1", "1< 1|user1|||4000000000000||kept|false|",
			}
			r.wantEither(append([]string{"1< start 3 1 2", "2< start 3 1 2", "2< first"}, after...), append([]string{"2< first"}, after...))
			r.say(2, "count")
			r.want("2< 1")
		}})
	}
	return list
}
