// Command kinds is a module for the end-to-end tests: a room that keeps what is published as
// fast as it comes, and one with limits small enough to be reached.
package main

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
)

// version is set by the linker in other versions.
var version = "1"

// journal keeps every publish.
type journal struct{}

func (journal) Publish(_ *session.Room, _ *session.Member, p session.Publish) (session.Event, error) {
	return p.Accept(), nil
}

// Request answers "version".
func (journal) Request(*session.Room, *session.Member, session.Request) (session.Payload, error) {
	return session.JSON(`"` + version + `"`), nil
}

// friends watches whom its members name, and says what it hears of them as events, so that nobody misses one
// between two nodes.
type friends struct{}

func (friends) Publish(room *session.Room, _ *session.Member, p session.Publish) (session.Event, error) {
	var said struct{ User, Data string }
	if err := json.Unmarshal(p.Payload.Data, &said); err != nil {
		return session.Event{}, err
	}
	switch p.Event {
	case "watch":
		return session.Event{}, room.Watch(said.User)
	case "unwatch":
		room.Unwatch(said.User)
	case "notify":
		room.Notify(said.User, "poke", session.JSON(strconv.Quote(said.Data)))
	}
	return session.Event{}, nil
}

func (friends) Presence(room *session.Room, users []abi.UserPresence) {
	for _, u := range users {
		state := "offline"
		if u.Online {
			state = "online"
		}
		if _, err := room.Emit(session.Event{Name: state, From: u.User}); err != nil {
			room.Log(abi.LogError, err.Error())
		}
	}
}

func init() {
	session.Register("friends", func() session.Kind { return friends{} }, session.Options{
		Room: rooms.Options{MessagesPerSecond: 5000, MessageBurst: 5000, SleepAfter: 100 * time.Millisecond}})
	fast := rooms.Options{MessagesPerSecond: 5000, MessageBurst: 5000, SleepAfter: time.Second}
	session.Register("journal", func() session.Kind { return journal{} }, session.Options{Room: fast, History: 1_000_000})
	small := rooms.Options{Members: 2, MessageBytes: 512, MessagesPerSecond: 5, MessageBurst: 10}
	session.Register("tiny", func() session.Kind { return journal{} }, session.Options{Room: small})
	session.Register("stream", func() session.Kind { return journal{} }, session.Options{
		Room: rooms.Options{MessagesPerSecond: 5000, MessageBurst: 5000, QueueBytes: 128 << 10}, History: 1_000_000})
}

func main() {}
