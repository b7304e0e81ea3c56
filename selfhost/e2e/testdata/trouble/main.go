// Command trouble is a module for the end-to-end tests whose room misbehaves when it is told to,
// and does its work otherwise.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// desk counts in storage: "count" answers with the number.
type desk struct{ held [][]byte }

var sink int

//go:noinline
func recurse(n int) int {
	var pad [64]int
	pad[n&63] = n
	return recurse(n+1) + pad[(n+1)&63]
}

func (d *desk) Message(r *rooms.Room, from *rooms.Connection, m rooms.Message) {
	command, rest, _ := strings.Cut(string(m.Data), " ")
	if command == "count" {
		from.Send(rooms.Text("count " + strconv.Itoa(d.bump(r)) + rest))
		return
	}
	// None of this may be left when the turn is over.
	d.bump(r)
	r.Broadcast(rooms.Text("from a turn that failed"))
	d.misbehave(r, from, command)
	from.Send(rooms.Text("survived " + command))
}

func (d *desk) bump(r *rooms.Room) int {
	b, _ := r.Storage().Get("n")
	n, _ := strconv.Atoi(string(b))
	r.Storage().Put("n", []byte(strconv.Itoa(n+1)))
	return n + 1
}

func (d *desk) misbehave(r *rooms.Room, from *rooms.Connection, command string) {
	switch command {
	case "panic":
		panic("as told")
	case "nil":
		var p *desk
		p.held = nil
	case "loop":
		for {
			sink++
		}
	case "recurse":
		sink = recurse(0)
	case "hoard":
		for {
			d.held = append(d.held, make([]byte, 1<<20))
		}
	case "absurd":
		d.held = append(d.held, make([]byte, 1<<31-1))
	case "exit":
		os.Exit(0)
	case "sleep":
		time.Sleep(time.Hour)
	case "block":
		<-make(chan int)
	case "deadlock":
		var mu sync.Mutex
		mu.Lock()
		mu.Lock()
	case "goroutine":
		go func() { <-make(chan int) }()
	case "busy-goroutine":
		go func() {
			for {
				sink++
			}
		}()
	case "value": // larger than a store takes
		r.Storage().Put("huge", make([]byte, abi.MaxKeyValue))
	case "key":
		r.Storage().Put(strings.Repeat("k", abi.MaxKey+1), nil)
	case "message":
		from.Send(rooms.Text(strings.Repeat("x", abi.MaxMessage+1)))
	case "flood": // more effects than a turn may have
		for i := 0; ; i++ {
			r.Storage().Put(fmt.Sprint("k", i%100), make([]byte, 1<<20))
			from.Send(rooms.Text("flood"))
		}
	case "log":
		for {
			r.Log(abi.LogInfo, strings.Repeat("log ", 1000))
		}
	case "print":
		for {
			fmt.Println(strings.Repeat("print ", 1000))
		}
	case "attach":
		from.Attach(make([]byte, abi.MaxAttachment+1))
	}
}

func init() {
	fast := rooms.Options{MessagesPerSecond: 5000, MessageBurst: 5000}
	rooms.Register("desk", func() rooms.Kind { return &desk{} }, fast)
	rooms.Register("start", func() rooms.Kind { return &stillborn{} }, rooms.Options{})
}

// stillborn is a room that cannot start.
type stillborn struct{}

func (*stillborn) Start(*rooms.Room) { panic("no start") }

func main() {}
