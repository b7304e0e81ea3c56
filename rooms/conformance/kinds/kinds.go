// Package kinds holds the rooms of the conformance module. Each does what the suite tells it to,
// well behaved or not, through every event and effect of the ABI:
//
//   - probe runs the commands of its messages; see [Probe];
//   - plain has no handlers;
//   - small takes two members and short messages;
//   - watcher is a probe that watches users;
//   - fragile fails in its start when its storage says so.
package kinds

import (
	"strconv"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Register adds the kinds to a module.
func Register(m *rooms.Module) {
	m.Register("probe", func() rooms.Kind { return &Probe{later: make(map[string]*rooms.Request)} }, rooms.Options{
		Protocols: []string{"probe.v1"}, Anonymous: true, MessageBytes: abi.MaxMessage,
		MessagesPerSecond: 100_000, MessageBurst: 100_000,
	})
	m.Register("plain", func() rooms.Kind { return plain{} }, rooms.Options{Anonymous: true})
	m.Register("small", func() rooms.Kind { return &Probe{} }, rooms.Options{
		Anonymous: true, Members: 2, MessageBytes: 64, Overflow: abi.OverflowDrop, Durability: abi.Relaxed,
	})
	m.Register("watcher", func() rooms.Kind { return &watcher{} }, rooms.Options{Anonymous: true})
	m.Register("fragile", func() rooms.Kind { return &fragile{} }, rooms.Options{Anonymous: true})
}

// Module returns the module natively.
func Module() *rooms.Module {
	m := &rooms.Module{}
	Register(m)
	return m
}

type plain struct{}

// watcher says what it hears of users.
type watcher struct{ Probe }

func (w *watcher) Presence(room *rooms.Room, users []abi.UserPresence) {
	text := "presence"
	for _, u := range users {
		text += " " + u.User + "=" + strconv.FormatBool(u.Online)
	}
	room.Broadcast(rooms.Text(text))
	if command, ok := room.Storage().Get("presence"); ok {
		w.do(room, nil, string(command))
	}
}

// fragile does what its row "start" says before anything else.
type fragile struct{ Probe }

func (f *fragile) Start(room *rooms.Room) {
	f.Probe.Start(room)
	if command, ok := room.Storage().Get("start"); ok {
		f.do(room, nil, string(command))
	}
}
