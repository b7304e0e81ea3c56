package conformance

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A scenario is what is recorded: well-behaved traffic, and panics, which every host stops.
type scenario struct {
	name string
	kind string // default "probe"
	run  func(r *guestRoom)
}

var scenarios = []scenario{
	{name: "connections", run: func(r *guestRoom) {
		ann := connect(1, "tags red blue ; attach kept ; me")
		ann.Connection.Claims, ann.Connection.Protocol = []byte(`{"a":1}`), "probe.v1"
		r.run(ann)
		r.connect(2, "refuse 4444 not you")
		r.connect(3, "close 4201 no room")
		r.connect(1<<63+5, "say ünïcödé 👋")
		r.run(connect(4, "mute"), message(4, "me"), message(1, "say to all"), message(4, "unmute"), message(1, "say again"))
		r.sleep()
		r.say(1, "me ; members ; room")
		r.run(gone(4), message(1, "members"))
		r.run(message(1, "kick 9223372036854775813 ; members"), message(4, "ghost"))
		r.say(1, "close 4999 bye")
		r.say(1, "send nobody")
	}},
	{name: "batches", run: func(r *guestRoom) {
		r.run(connect(1, ""), message(1, "say a"), connect(2, "say b"), message(1, "others c"), connect(3, "close 4208 out"), message(2, "say d"))
		r.run(message(1, "count"), message(1, "count"), message(2, "count"))
		r.run(connect(4, ""), message(4, "close 4205 wrong"), message(4, "say unheard"), message(1, "members"))
		r.run(message(1, "kickall ; members"))
		r.run(connect(5, "members"))
	}},
	{name: "broadcasts", run: func(r *guestRoom) {
		bin := connect(2, "tags blue")
		bin.Connection.Protocol = "probe.v1"
		r.run(connect(1, "tags red blue"), bin, connect(3, "tags red"))
		r.say(1, "say all ; saybin all ; saykey k latest ; others rest ; tagged red reds ; tagged none nobody ; spoken probe.v1 binaries")
		r.say(2, "send me ; bin me ; conflate c me")
		r.run(&abi.MessageEvent{Connection: 3, Encoding: abi.Binary, Data: []byte("say binary in")})
	}},
	{name: "storage", run: func(r *guestRoom) {
		r.connect(1, "get a")
		r.say(1, "put a 1 ; get a ; put b 22 ; len b ; list . . 10 ; del a ; get a ; list . . 10")
		r.say(1, "get a ; get b ; put empty  ; len empty ; get empty")
		r.say(1, "fill 12 ; list row row5 3 ; tsil . . 2")
		r.say(1, "clear row000003 row000009 ; put row000005 back ; list row s 100 ; tsil row s 3")
		r.sleep()
		r.say(1, "list . . 100 ; clear . . ; list . . 5 ; put only this ; list . . 5")
		r.say(1, "list . . 5 ; putn large 10000 ; len large")
		r.say(1, "len large")
	}},
	{name: "pages", run: func(r *guestRoom) {
		r.connect(1, "")
		r.say(1, "fill 1010")
		r.say(1, "list . . 1 ; tsil . . 1 ; clear row000002 row000007 ; list . row001009 1000 ; list . . 1000")
	}},
	{name: "time", run: func(r *guestRoom) {
		r.connect(1, "alarm 60000 ; when")
		r.say(1, "when ; alarm 1000 ; when")
		r.pass(time.Second)
		r.say(1, "when ; alarm 5000")
		r.sleep()
		r.pass(time.Minute)
		r.run(message(1, "alarm 1 ; noalarm ; when"))
		r.say(1, "alarm 10")
		r.now = r.now.Add(time.Second)
		alarm := &abi.AlarmEvent{Scheduled: r.rows.alarm, Attempt: 3}
		r.run(message(1, "alarm 20"), alarm) // put off before it came
		r.run(&abi.AlarmEvent{Scheduled: r.rows.alarm, Attempt: 1}, message(1, "alarm 30 ; when"))
		r.say(1, "tick 50")
		r.run(&abi.TickEvent{}, &abi.TickEvent{Missed: 7})
		r.say(1, "tick 0 ; room")
	}},
	{name: "randomness", run: func(r *guestRoom) {
		r.connect(1, "rand ; rand")
		r.say(1, "rand")
		r.sleep()
		r.say(1, "rand ; rand ; rand")
	}},
	{name: "requests", run: func(r *guestRoom) {
		r.run(request(11, "respond 201 made"))
		r.run(request(12, "fail 4212 not like this"))
		r.run(request(13, "keep a"), connect(1, ""))
		r.say(1, "answer a late ; answer a twice")
		r.run(request(14, ""), request(15, "respond 200 ; respond 500"))
		q := request(16, "get body ; respond 200 ok")
		q.Query, q.Claims, q.Headers = "a=b", []byte(`{}`), []abi.Header{{Name: "Accept", Value: "*/*"}}
		r.run(q)
	}},
	{name: "requests-unheard", kind: "plain", run: func(r *guestRoom) {
		r.run(connect(1, ""), message(1, "x"), request(11, "x"), told(1, "x"), gone(1))
	}},
	{name: "telling", run: func(r *guestRoom) {
		r.connect(1, "")
		r.say(1, "tell probe other hello ; tell plain x ")
		r.run(told(7, "say thanks"), told(7, "say thanks"), told(8, "tell probe other back"))
	}},
	{name: "watching", kind: "watcher", run: func(r *guestRoom) {
		r.connect(1, "watch ann ; watch bob ; watch ann ; watched ann ; watched cid")
		r.run(presence("ann", true, "bob", false, "cid", true))
		r.say(1, "unwatch ann ; unwatch cid ; watched ann")
		r.run(presence("ann", false, "bob", true), presence("ann", true))
		r.sleep()
		r.say(1, "watched bob ; watch cid")
		r.run(presence("bob", false, "cid", false))
		r.say(1, "put presence panic")
		r.run(presence("bob", true), message(1, "del presence"))
		r.say(1, "watch  ; watches 998 ; watch one too many ; watched user997")
		r.sleep()
		r.say(1, "watch one too many")
	}},
	{name: "notifying", run: func(r *guestRoom) {
		r.run(connect(1, ""), connect(2, ""))
		r.say(1, "notify ann mention hello ; notify ünïcödé ! 👋 ; notifies 254")
		r.run(notified(2, "psst"), notified(3, "nobody"), message(1, "close 4300 out"), notified(1, "too late"))
		r.run(&abi.NotifiedEvent{Connection: 2, Event: "e", Encoding: abi.Binary, Data: []byte{0xff}})
	}},
	{name: "traps", run: func(r *guestRoom) {
		r.connect(1, "attach kept ; tags red")
		r.connect(2, "")
		r.run(message(1, "put a 1 ; say before"), message(2, "panic in the middle"), message(1, "get a ; say after"))
		r.say(1, "count ; nil")
		r.run(connect(3, "panic"), message(1, "members"))
		r.run(request(11, "panic"), told(5, "panic"))
		r.run(message(1, "index"), message(2, "divide"), message(1, "me ; count"))
		r.say(1, "panic again") // it panics as it is told, too
		r.say(2, "attach poison")
		r.run(gone(2))
		r.say(1, "members")
	}},
	{name: "rules", run: func(r *guestRoom) {
		r.connect(1, "")
		for _, command := range []string{
			"late", "effects 16385", "largekey", "largevalue", "emptykey", "reservedkey", "largemessage", "largeattachment",
			"unknown", "tell bad/name x y", "watch ann", "notifies 257", "largenotify", "notify  event x", "notify ann \"quoted\" x",
		} {
			r.say(1, "put a "+command+" ; "+command)
		}
		r.say(1, "get a ; effects 3")
	}},
	{name: "small", kind: "small", run: func(r *guestRoom) {
		r.run(connect(1, "room"), connect(2, ""), connect(3, ""))
		r.run(gone(1), message(2, "members"))
		r.run(connect(4, ""), message(2, "members"))
	}},
	{name: "fragile", kind: "fragile", run: func(r *guestRoom) {
		r.connect(1, "put start tick 100")
		r.sleep()
		r.say(1, "put start say hello")
		r.sleep()
		r.say(1, "del start")
	}},
}
