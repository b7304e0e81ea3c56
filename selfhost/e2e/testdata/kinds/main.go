// Command kinds is a module for the end-to-end tests: a room that keeps what is published as
// fast as it comes, and one with limits small enough to be reached.
package main

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms"
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

func init() {
	fast := rooms.Options{MessagesPerSecond: 5000, MessageBurst: 5000, SleepAfter: time.Second}
	session.Register("journal", func() session.Kind { return journal{} }, session.Options{Room: fast, History: 1_000_000})
	small := rooms.Options{Members: 2, MessageBytes: 512, MessagesPerSecond: 5, MessageBurst: 10}
	session.Register("tiny", func() session.Kind { return journal{} }, session.Options{Room: small})
	session.Register("stream", func() session.Kind { return journal{} }, session.Options{
		Room: rooms.Options{MessagesPerSecond: 5000, MessageBurst: 5000, QueueBytes: 128 << 10}, History: 1_000_000})
}

func main() {}
