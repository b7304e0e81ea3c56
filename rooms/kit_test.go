package rooms_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

const minute = time.Minute

// example lets an Example use roomtest: what would fail a test panics.
type example struct{ testing.TB }

func (example) Helper()                   {}
func (example) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (example) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (example) Fatal(a ...any)            { panic(fmt.Sprint(a...)) }

// funcs is a kind of functions, each of them optional.
type funcs struct {
	start    func(*rooms.Room)
	connect  func(*rooms.Room, *rooms.Connection) error
	message  func(*rooms.Room, *rooms.Connection, rooms.Message)
	close    func(*rooms.Room, *rooms.Connection, abi.Code, string)
	alarm    func(*rooms.Room, rooms.Alarm)
	tick     func(*rooms.Room, rooms.Tick)
	request  func(*rooms.Room, *rooms.Request)
	rejected func(*rooms.Room, abi.Code, abi.Event)
	told     func(*rooms.Room, rooms.Told)
}

func (f *funcs) Start(r *rooms.Room) {
	if f.start != nil {
		f.start(r)
	}
}

func (f *funcs) Connect(r *rooms.Room, c *rooms.Connection) error {
	if f.connect != nil {
		return f.connect(r, c)
	}
	return nil
}

func (f *funcs) Message(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
	if f.message != nil {
		f.message(r, c, m)
	}
}

func (f *funcs) Close(r *rooms.Room, c *rooms.Connection, code abi.Code, reason string) {
	if f.close != nil {
		f.close(r, c, code, reason)
	}
}

func (f *funcs) Alarm(r *rooms.Room, a rooms.Alarm) {
	if f.alarm != nil {
		f.alarm(r, a)
	}
}

func (f *funcs) Tick(r *rooms.Room, t rooms.Tick) {
	if f.tick != nil {
		f.tick(r, t)
	}
}

func (f *funcs) Request(r *rooms.Room, q *rooms.Request) {
	if f.request != nil {
		f.request(r, q)
	}
}

func (f *funcs) Rejected(r *rooms.Room, code abi.Code, e abi.Event) {
	if f.rejected != nil {
		f.rejected(r, code, e)
	}
}

func (f *funcs) Told(r *rooms.Room, t rooms.Told) {
	if f.told != nil {
		f.told(r, t)
	}
}

// open returns a host of a room of the functions f.
func open(t testing.TB, f *funcs, o roomtest.Options) *roomtest.Host {
	t.Helper()
	o.Module = &rooms.Module{}
	o.Kind = "test"
	o.Module.Register("test", func() rooms.Kind { return f }, rooms.Options{})
	return roomtest.New(t, o)
}

// inTurn runs f inside the handler of a message and returns what it panicked with.
func inTurn(t testing.TB, f func(r *rooms.Room, c *rooms.Connection)) (panicked any) {
	t.Helper()
	h := open(t, &funcs{message: func(r *rooms.Room, c *rooms.Connection, _ rooms.Message) {
		defer func() { panicked = recover() }()
		f(r, c)
	}}, roomtest.Options{Volatile: true})
	h.Connect("ann").Send("go")
	return panicked
}
