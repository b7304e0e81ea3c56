package session

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// Options say what a kind keeps and for how long. The zero value is useful: each field says
// its default.
type Options struct {
	// Room are the options that the host needs. Protocols is set by this package, and Members is 4,000
	// by default: larger rooms run out of a turn's fuel now and then; see RATIONALE.
	Room rooms.Options

	// History is how many events a room keeps, 1 to 1,000,000. Default 1,000.
	History int
	// HistoryAge is for how long it keeps them, from 1 s; events are removed at most a
	// sixteenth of it later. Default 0: as long as they are among the last History.
	HistoryAge time.Duration

	// KeepSessions is how long a session is kept after its connection has gone, 1 minute to
	// 90 days. It must be longer than clients keep their queues. Default 24 h.
	KeepSessions time.Duration
	// MaxSessions bounds the sessions that a room keeps, and as much again the remembered
	// idempotency keys. Beyond it disconnected ones go early. At least twice Room.Members,
	// which is also the least that is used. Default 20,000.
	MaxSessions int

	// PresenceDetail is the number of members up to which everybody is told of each; above
	// it only counts go out. At most 500. Default 200; below 0: counts only.
	PresenceDetail int
	// PresenceGrace is how long a user whose connections are gone still counts as present, at
	// most 5 minutes. Default 5 s; below 0: not at all.
	PresenceGrace time.Duration

	// HelloTimeout is how long a connection may stay silent before hello, 1 s to 1 minute. Default 10 s,
	// which hosts see to themselves; a shorter one costs the room an alarm, and so a write, for
	// a connect, a longer one has no effect at a host that waits for 10 s.
	HelloTimeout time.Duration
	// Heartbeat is what clients are asked to ping by, 1 s to 10 minutes; it should be the
	// host's own. Default 25 s; below 0: no pings are asked for.
	Heartbeat time.Duration
	// Open is how many publishes a client may have unanswered, 1 to 64. Default 64.
	Open int
}

// Defaults of the options.
const (
	DefaultMembers        = 4000
	DefaultHistory        = 1000
	DefaultKeepSessions   = 24 * time.Hour
	DefaultMaxSessions    = 20_000
	DefaultPresenceDetail = 200
	DefaultPresenceGrace  = 5 * time.Second
	DefaultHelloTimeout   = 10 * time.Second
	DefaultHeartbeat      = 25 * time.Second
)

// limits are the options in the units that the room counts in: milliseconds.
type limits struct {
	history            uint64
	age, ageStep       uint64
	keep, keepStep     uint64
	sessions           uint64
	detail             int
	grace              uint64
	helloTimeout       uint64
	heartbeat          uint64
	open               uint64
	message, partBytes int
	each               uint64 // microseconds between two messages of a connection
	burst              int    // of them at once
}

// maxAttached bounds what a room's attachments come to: all of them travel in one start
// event (rooms/host bounds it at 4 MiB, with names and claims).
const maxAttached = 2 << 20

// resolve checks o and puts the defaults in. It panics on a value out of its limits: that is a
// mistake in the program, found by its first test.
func (o Options) resolve(name string) (rooms.Options, *limits) {
	check := func(ok bool, field string) {
		if !ok {
			panic("session: Register " + name + ": " + field + " is out of its limits")
		}
	}
	def(&o.History, DefaultHistory)
	def(&o.KeepSessions, DefaultKeepSessions)
	def(&o.MaxSessions, DefaultMaxSessions)
	def(&o.PresenceDetail, DefaultPresenceDetail)
	def(&o.PresenceGrace, DefaultPresenceGrace)
	def(&o.HelloTimeout, DefaultHelloTimeout)
	def(&o.Heartbeat, DefaultHeartbeat)
	def(&o.Open, protocol.MaxOpen)
	check(o.History >= 1 && o.History <= 1_000_000, "History")
	check(o.HistoryAge == 0 || o.HistoryAge >= time.Second, "HistoryAge")
	check(o.KeepSessions >= time.Minute && o.KeepSessions <= 90*24*time.Hour, "KeepSessions")
	check(o.MaxSessions > 0 && o.MaxSessions <= 10_000_000, "MaxSessions")
	check(o.PresenceDetail <= 500, "PresenceDetail")
	check(o.PresenceGrace <= 5*time.Minute, "PresenceGrace")
	check(o.HelloTimeout >= time.Second && o.HelloTimeout <= time.Minute, "HelloTimeout")
	check(o.Heartbeat < 0 || o.Heartbeat >= time.Second && o.Heartbeat <= 10*time.Minute, "Heartbeat")
	check(o.Open >= 1 && o.Open <= protocol.MaxOpen, "Open")
	check(len(o.Room.Protocols) == 0, "Room.Protocols")

	o.Room.Protocols = []string{protocol.SubprotocolJSON, protocol.SubprotocolBinary}
	def(&o.Room.Members, DefaultMembers)
	members, message, queue := o.Room.Members, o.Room.MessageBytes, o.Room.QueueBytes
	rate, burst := o.Room.MessagesPerSecond, o.Room.MessageBurst
	def(&rate, abi.DefaultMessagesPerSecond)
	def(&burst, abi.DefaultMessageBurst)
	def(&message, abi.DefaultMessageBytes)
	def(&queue, abi.DefaultQueueBytes)
	l := &limits{
		history:      uint64(o.History),
		age:          ms(o.HistoryAge),
		ageStep:      step(o.HistoryAge),
		keep:         ms(o.KeepSessions),
		keepStep:     step(o.KeepSessions),
		sessions:     uint64(max(o.MaxSessions, 2*members)),
		detail:       max(o.PresenceDetail, 0),
		grace:        ms(o.PresenceGrace),
		helloTimeout: ms(o.HelloTimeout),
		heartbeat:    ms(o.Heartbeat),
		open:         uint64(o.Open),
		message:      message,
		partBytes:    min(maxPartBytes, queue/4),
		each:         1_000_000 / uint64(rate),
		burst:        burst,
	}
	return o.Room, l
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func ms(d time.Duration) uint64 { return uint64(max(d.Milliseconds(), 0)) }

// step is how coarsely a long time is kept, so that what ends at about the same time ends in one
// turn: a sixteenth, at most an hour.
func step(d time.Duration) uint64 { return max(min(ms(d)/16, 3_600_000), 1) }

// Register adds a kind to the program's module, as [rooms.Register] does. It panics on a bad
// name, on a name taken, and on options out of their limits.
func Register(name string, newKind func() Kind, o Options) {
	RegisterIn(rooms.Registered(), name, newKind, o)
}

// RegisterIn is [Register] for a module of the caller's own, such as a test's.
func RegisterIn(m *rooms.Module, name string, newKind func() Kind, o Options) {
	room, limits := o.resolve(name)
	if newKind == nil {
		panic("session: Register " + name + ": no constructor")
	}
	m.Register(name, func() rooms.Kind {
		kind := newKind()
		rehearser, _ := kind.(Rehearser)
		a := &adapter{room: Room{kind: resolve(kind), limits: limits}, rehearser: rehearser}
		if a.room.kind.presence != nil {
			return &watcher{a}
		}
		return a
	}, room)
}
