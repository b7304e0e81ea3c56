package kinds

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// fault runs the commands that break the rules. An unknown command is a fault too: it panics.
//
//	panic, nil, index, divide  what Go checks
//	effects N                  N sends
//	bytes N                    N sends of 1 MiB less 64 bytes
//	garbage                    text that is not UTF-8, which no host takes
//	watches N                  watches so many users more
//	notifies N                 notifies so often
//	largenotify                notifies of 16 KiB and a byte
//	largekey, largevalue, emptykey, reservedkey, largemessage, largeattachment
//	                           beyond the SDK's limits
//	late                       sets tags after the connect
//	loop, spin                 never ends, with a call in the loop and without
//	recurse                    calls itself for ever
//	hunger                     takes memory for ever
//	block, sleep               waits for nobody, waits for time
//	leave                      leaves a goroutine behind
//	exit                       ends the process
//
// The last eight end the process of a native host: a driver says whether its host stops them.
func (p *Probe) fault(room *rooms.Room, me *rooms.Connection, word, rest string) {
	switch word {
	case "panic":
		panic("as told: " + rest)
	case "nil":
		var none *Probe
		none.asked++
	case "index":
		_ = []int{1}[len(rest)+1]
	case "divide":
		_ = 1 / len(strings.TrimSpace(rest))
	case "effects":
		for range number(rest) {
			me.Send(rooms.Text(""))
		}
	case "bytes":
		for range number(rest) {
			me.Send(rooms.Binary(make([]byte, abi.MaxMessage-64)))
		}
	case "watches":
		for i := range number(rest) {
			if err := room.Watch("user" + strconv.Itoa(i)); err != nil {
				panic(err)
			}
		}
	case "notifies":
		for range number(rest) {
			room.Notify("ann", "n", rooms.Text(""))
		}
	case "largenotify":
		room.Notify("ann", "n", rooms.Binary(make([]byte, abi.MaxNotify+1)))
	case "garbage":
		room.Broadcast(rooms.Message{Encoding: abi.Text, Data: []byte{0xff}})
	case "largekey":
		room.Storage().Put(strings.Repeat("k", abi.MaxKey+1), nil)
	case "largevalue":
		room.Storage().Put("k", make([]byte, abi.MaxKeyValue))
	case "emptykey":
		room.Storage().Put("", nil)
	case "reservedkey":
		room.Storage().Put("\x00k", nil)
	case "largemessage":
		me.Send(rooms.Binary(make([]byte, abi.MaxMessage+1)))
	case "largeattachment":
		me.Attach(make([]byte, abi.MaxAttachment+1))
	case "late":
		me.SetTags("late")
	case "loop":
		for {
			p.asked += len(strings.ToUpper(word))
		}
	case "spin":
		//lint:ignore SA5002 an empty loop is the point
		for {
		}
	case "recurse":
		p.asked += recurse(p, 1)
	case "hunger":
		for {
			p.keep = append(p.keep, make([]byte, 1<<20))
		}
	case "block":
		<-make(chan int)
	case "sleep":
		time.Sleep(time.Minute)
	case "leave":
		go func() { <-make(chan int) }()
	case "exit":
		os.Exit(3)
	default:
		panic("unknown command: " + word)
	}
}

//go:noinline
func recurse(p *Probe, n int) int {
	if p == nil {
		return n
	}
	return recurse(p, n+1) + n
}
