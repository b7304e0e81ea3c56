// Command probe is the module that the edge host's tests run: a kind that does, one at a time, what
// its messages say.
package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

func main() {}

func init() {
	rooms.Register("probe", func() rooms.Kind { return &probe{} }, rooms.Options{MessageBytes: 4096, Members: 64, Anonymous: true})
	rooms.Register("session", func() rooms.Kind { return &probe{} }, rooms.Options{Protocols: []string{"oriel.v1.json", "oriel.v1.bin"}})
	rooms.Register("friends", func() rooms.Kind { return friends{} }, rooms.Options{Anonymous: true})
	rooms.Register("nostart", func() rooms.Kind { return broken{} }, rooms.Options{})
}

// friends watches whom its messages name, and tells everybody what it hears.
type friends struct{}

func (friends) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
	verb, rest, _ := strings.Cut(string(m.Data), " ")
	user, text, _ := strings.Cut(rest, " ")
	switch verb {
	case "watch":
		if err := room.Watch(user); err != nil {
			from.Send(rooms.Text(err.Error()))
		}
	case "unwatch":
		room.Unwatch(user)
	case "notify":
		for _, word := range strings.Fields(text) {
			room.Notify(user, "poke", rooms.Text(word))
		}
	case "poison":
		room.Storage().Put("poison", nil)
	case "reason":
		from.Send(rooms.Text("reason " + strconv.Itoa(int(room.StartReason()))))
	}
}

func (friends) Presence(room *rooms.Room, users []abi.UserPresence) {
	if _, ok := room.Storage().Get("poison"); ok {
		panic("presence")
	}
	for _, u := range users {
		room.Broadcast(rooms.Text(u.User + " " + strconv.FormatBool(u.Online)))
	}
}

func (friends) Notified(_ *rooms.Room, to *rooms.Connection, n rooms.Notified) {
	to.Send(rooms.Message{Encoding: n.Encoding, Data: []byte(n.FromKind + "/" + n.FromRoom + " " + n.Event + " " + string(n.Data))})
}

type broken struct{}

func (broken) Start(*rooms.Room) { panic("no start") }

// probe counts its turns in memory, so that a test sees when the memory was lost.
type probe struct {
	turns  int
	ticks  int
	hoard  [][]byte
	reason abi.StartReason
}

func (p *probe) Start(room *rooms.Room) {
	p.reason = room.StartReason()
	if _, ok := room.Storage().Get("ticking"); ok {
		room.SetTick(20 * time.Millisecond)
	}
	if _, ok := room.Storage().Get("poisoned"); ok {
		panic("poisoned start")
	}
}

func (p *probe) Connect(room *rooms.Room, c *rooms.Connection) error {
	p.turns++
	switch {
	case strings.Contains(c.Query(), "refuse"):
		return &rooms.CloseError{Code: 4403, Reason: "not you"}
	case strings.Contains(c.Query(), "panic"):
		panic("connect")
	}
	c.SetTags("tag:" + c.User())
	c.Attach([]byte("hello " + c.User()))
	c.Send(rooms.Text("welcome " + c.User() + " " + string(c.Claims())))
	return nil
}

func (p *probe) Close(room *rooms.Room, c *rooms.Connection, code abi.Code, reason string) {
	p.turns++
	room.Broadcast(rooms.Text("left " + c.User() + " " + strconv.Itoa(int(code)) + " " + reason))
}

func (p *probe) Rejected(room *rooms.Room, code abi.Code, e abi.Event) {
	if m, ok := e.(*abi.MessageEvent); ok {
		if c := room.Connection(m.Connection); c != nil {
			c.Send(rooms.Text("rejected " + code.String() + " " + string(m.Data)))
		}
	}
}

func (p *probe) Alarm(room *rooms.Room, a rooms.Alarm) {
	if _, ok := room.Storage().Get("deadalarm"); ok {
		panic("alarm")
	}
	if _, ok := room.Storage().Get("badalarm"); ok && a.Attempt < 1 {
		panic("alarm")
	}
	room.Broadcast(rooms.Text("alarm " + strconv.Itoa(a.Attempt)))
}

func (p *probe) Tick(room *rooms.Room, t rooms.Tick) {
	if p.ticks++; p.ticks == 3 {
		room.Broadcast(rooms.Text("ticked"))
	}
}

func (p *probe) Told(room *rooms.Room, t rooms.Told) {
	room.Broadcast(rooms.Text("told " + t.FromKind + "/" + t.FromRoom + " " + string(t.Data)))
}

func (p *probe) Request(room *rooms.Room, r *rooms.Request) {
	switch r.Path {
	case "/panic":
		panic("request")
	case "/never":
		return
	}
	r.Respond(201, "text/plain", []byte(r.Method+" "+r.Path+" "+r.Query+" "+r.User+" "+r.Header("Content-Type")+" "+string(r.Body)))
}

func (p *probe) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
	p.turns++
	if m.Encoding == abi.Binary {
		from.Send(rooms.Message{Encoding: abi.Binary, Data: m.Data})
		return
	}
	verb, rest, _ := strings.Cut(string(m.Data), " ")
	key, value, _ := strings.Cut(rest, " ")
	reply := func(s string) { from.Send(rooms.Text(s)) }
	switch verb {
	case "say":
		room.Broadcast(rooms.Text(from.User() + ": " + rest))
	case "tag":
		room.BroadcastTo(rooms.Audience{Tag: key}, rooms.Text(value))
	case "put":
		room.Storage().Put(key, []byte(value))
		reply("ok")
	case "putpanic":
		room.Storage().Put(key, []byte(value))
		room.Broadcast(rooms.Text("never seen"))
		panic("after put")
	case "get":
		v, ok := room.Storage().Get(key)
		reply(strconv.FormatBool(ok) + " " + string(v))
	case "list":
		entries, _ := room.Storage().List(rooms.ListOptions{Prefix: key})
		for _, e := range entries {
			reply("row " + e.Key)
		}
		reply("end")
	case "attach":
		from.Attach([]byte(rest))
	case "who":
		var b strings.Builder
		for c := range room.Connections() {
			b.WriteString(c.User() + "=" + string(c.Attachment()) + "," + strings.Join(c.Tags(), "+") + ";")
		}
		reply(b.String())
	case "state":
		reply(strconv.Itoa(p.turns) + " " + strconv.Itoa(int(p.reason)) + " " + room.Term())
	case "alarm":
		ms, _ := strconv.Atoi(key)
		room.SetAlarm(room.Now().Add(time.Duration(ms) * time.Millisecond))
	case "tick":
		room.Storage().Put("ticking", nil)
		room.SetTick(20 * time.Millisecond)
	case "notick":
		room.Storage().Delete("ticking")
		room.SetTick(0)
	case "tell":
		kind, name, _ := strings.Cut(key, "/")
		room.Tell(kind, name, []byte(value))
	case "kick":
		from.Close(4400, "out "+key)
	case "panic":
		panic("message")
	case "loop":
		for { //nolint // the point is that it never ends
		}
	case "recurse":
		reply(strconv.Itoa(recurse(1)))
	case "hoard":
		for {
			p.hoard = append(p.hoard, make([]byte, 1<<20))
		}
	case "exit":
		os.Exit(3)
	case "sleep":
		time.Sleep(time.Hour)
	case "block":
		<-make(chan int)
	case "log":
		room.Log(abi.LogWarn, rest)
	}
}

func recurse(n int) int {
	if n == 0 {
		return 0
	}
	return recurse(n+1) + n
}
