package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// RecordRandom records a probe that gets made-up events: traffic, sleeps, alarms, broken rules and
// panics. The same seed makes the same recording on every host, which the caller checks ([Recording.Check]).
func RecordRandom(t testing.TB, d Guests, seed uint64, turns int) Recording {
	t.Helper()
	return record(t, d, scenario{name: fmt.Sprintf("random %d", seed), run: func(r *guestRoom) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 0))}
		for range turns {
			switch n := g.IntN(100); {
			case n < 8:
				r.Sleep()
			case n < 14:
				r.pass(time.Duration(g.IntN(20_000)) * time.Millisecond)
			default:
				var events []abi.Event
				for range 1 + g.IntN(1+g.IntN(8)) {
					events = append(events, g.event())
				}
				r.run(events...)
			}
		}
	}})
}

// Compare gives two rooms of the probe the same made-up events, one by one, and compares what their clients
// get: members come, talk and go, are closed and kicked, the room panics, sets alarms and sleeps.
func Compare(t testing.TB, a, b Room, seed uint64, events int) {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), seen: true}
	for i := range events {
		g.full = i > events/3 // and then the rooms sleep
		if g.full && len(g.members) == 0 {
			return
		}
		var act func(r Room) Result
		var what string
		switch n := g.IntN(100); {
		case g.full && n < 8:
			what, act = "sleep", func(r Room) Result { r.Sleep(); return Result{} }
		case n < 14:
			d := time.Duration(g.IntN(20_000)) * time.Millisecond
			what, act = "pass "+d.String(), func(r Room) Result { return r.Pass(d) }
		default:
			e := g.event()
			if c, ok := e.(*abi.CloseEvent); ok {
				g.members = remove(g.members, c.Connection)
			}
			what, act = fmt.Sprintf("%+v", e), func(r Room) Result { return r.Run(e) }
		}
		got, want := act(a), act(b)
		x, y := arranged(got.Seen), arranged(want.Seen)
		if fmt.Sprint(x, got.Rejected, got.Undone) != fmt.Sprint(y, want.Rejected, want.Undone) {
			t.Fatalf("event %d: %s\n a %s, rejected %q, undone %d\n b %s, rejected %q, undone %d", i, what,
				strings.Join(x, "\n   "), got.Rejected, got.Undone, strings.Join(y, "\n   "), want.Rejected, want.Undone)
		}
		for _, line := range got.Seen {
			if strings.Contains(line, " closed ") {
				g.members = remove(g.members, clientOf(line))
			}
		}
	}
}

// A generator makes up events.
type generator struct {
	*rand.Rand
	next    uint64   // the last connection
	members []uint64 // some of which may have been closed
	asked   uint64   // the last request or told event
	seen    bool     // only what clients can bring about, and only what all hosts show them alike
	full    bool     // nobody connects any more: after a sleep hosts may number connections as they like
}

func remove(ids []uint64, id uint64) (left []uint64) {
	for _, other := range ids {
		if other != id {
			left = append(left, other)
		}
	}
	return left
}

// id is a member's, mostly.
func (g *generator) id() uint64 {
	if !g.seen && (len(g.members) == 0 || g.IntN(50) == 0) {
		return g.next + 1
	}
	return g.members[g.IntN(len(g.members))]
}

func pick[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

func (g *generator) event() abi.Event {
	n := g.IntN(100)
	switch {
	case !g.full && (len(g.members) == 0 || n < 8):
		g.next++
		g.members = append(g.members, g.next)
		query := g.commands(true)
		for range g.IntN(3) {
			query += pick(g, " ; tags red blue", " ; tags red", " ; attach mine", " ; mute", " ; close 4300 out", " ; refuse 4400 not you")
		}
		c := connect(g.next, query)
		if !g.seen {
			c.Connection.Claims, c.Connection.Protocol = []byte(pick(g, "", `{"a":"ü"}`)), pick(g, "", "probe.v1")
		}
		return c
	case n < 11 && len(g.members) > 1:
		id := g.id()
		if g.seen {
			return &abi.CloseEvent{Connection: id, Code: abi.CodeAbnormal}
		}
		return &abi.CloseEvent{Connection: id, Code: pick(g, abi.CodeNormal, abi.CodeAbnormal, 4321), Reason: g.text(), Clean: g.IntN(2) == 0}
	case g.seen || n < 80:
		m := message(g.id(), g.commands(true))
		m.Encoding = pick(g, abi.Text, abi.Text, abi.Binary)
		return m
	case n < 90:
		g.asked++
		return request(g.asked, g.commands(false)+pick(g, "", " ; respond 200 ok", " ; respond 404", " ; fail 4212 no", " ; keep a"))
	case n < 95:
		g.asked++
		return told(g.asked, g.commands(false))
	default:
		return &abi.TickEvent{Missed: uint64(g.IntN(3))}
	}
}

// commands are some that the probe knows. Without a connection it cannot do all, and panics.
func (g *generator) commands(connection bool) string {
	var list []string
	for range 1 + g.IntN(5) {
		list = append(list, g.command(connection))
	}
	return strings.Join(list, " ; ")
}

func (g *generator) command(connection bool) string {
	key, text, n := g.key(), g.text(), g.IntN(1+g.IntN(3000))
	all := []string{
		"send " + text, "say " + text, "saybin " + text, "tagged red " + text, "tagged blue " + text,
		"put " + key + " " + text, fmt.Sprintf("putn %s %d", key, n), "get " + key, "len " + key, "del " + key,
		"clear " + key + " " + g.key(), "clear . " + key, fmt.Sprintf("fill %d", n%30),
		fmt.Sprintf("list %s . %d", key, 1+n%40), fmt.Sprintf("tsil . %s %d", key, 1+n%40),
		fmt.Sprintf("list %s %s %d", key, g.key(), 1+n%40),
		fmt.Sprintf("alarm %d", n*10), "noalarm", "when", "members", "count", "put alarm say " + text, "del alarm",
		"kick " + fmt.Sprint(g.id()), "answer a " + text,
	}
	if !g.seen {
		all = append(all, "saykey k "+text, "spoken probe.v1 "+text, "rand", "room", "tell probe other "+text,
			fmt.Sprintf("tick %d", pick(g, 0, 50, 1000)), "log 4 "+text)
	}
	if connection {
		all = append(all, "others "+text, "bin "+text, "attach "+text, fmt.Sprintf("attachn %d", n), "mute", "unmute", "me", "me")
		if g.IntN(10) == 0 {
			all = append(all, "close 4300 "+text, "close 1000", "conflate c "+text)
		}
	}
	if g.IntN(12) == 0 {
		return pick(g, "panic "+text, "nil", "index", "divide", "late", "largekey", "emptykey", "reservedkey",
			"largeattachment", "unknown", "tell bad/name x y", "effects 17000", "put alarm panic")
	}
	return all[g.IntN(len(all))]
}

func (g *generator) key() string {
	return pick(g, "a", "b", "B", "ab", "é", "\u7fff", "\uffff", "😀", "row000007", "row000020", strings.Repeat("k", 1+g.IntN(40)))
}

func (g *generator) text() string {
	return pick(g, "", "x", "some words", "ünïcödé 👋", "\x00\x7f\u2028", `{"json":"\"}`, "\u0301\ufeff\ufffd", strings.Repeat("long ", g.IntN(100)))
}
