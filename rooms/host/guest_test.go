package host_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// A guest runs what messages and other events tell it to, and holds the host to the rules of a
// turn. Commands are the words of a message, a request's path, a told's data or a query:
//
//	panic        traps
//	once         traps unless the memory is fresh
//	garbage      answers with bytes that are no effects
//	storage      fails a read
//	error        fails without running
//	say x        broadcasts x
//	close id     closes a connection; close me the sender
//	attach n     attaches n bytes to the sender
//	alarm t      sets the alarm
//	put k        writes a row
//	tell         tells another room
//	tag          sets a tag on the sender
type guest struct {
	t *testing.T

	handle  uint64 // of the room in memory, 0 if none
	handles map[uint64]bool
	time    uint64
	conns   []uint64 // in the order of joining, without those that the room has closed
	turns   int      // since the start
	poison  string   // what also makes it trap: the name of an event's type, or "rejected"
	log     []string // each event as a word or two
	batches []int    // events of each batch
	sizes   []int    // bytes of each batch
	slept   int
}

var errGuest = errors.New("the guest's worker is gone")

// Turn implements host.Guest.
func (g *guest) Turn(ctx context.Context, batch []byte, storage host.Storage) (out []byte, err error) {
	g.sizes = append(g.sizes, len(batch))
	b, err := abi.DecodeBatch(batch)
	if err != nil {
		g.t.Errorf("the host sent a bad batch: %v", err)
		return nil, &host.Trap{Cause: host.CausePanic}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	g.batches = append(g.batches, len(b.Events))
	if b.Time < g.time {
		g.t.Errorf("time went back from %d to %d", g.time, b.Time)
	}
	g.time = b.Time
	before := len(g.log)
	defer func() {
		if err != nil && asTrap(err) == nil {
			g.log = g.log[:before]
			return
		}
		if err != nil {
			g.handle, g.conns = 0, nil
			g.log = append(g.log[:before], "trap("+strings.Join(g.log[before:], ",")+")")
		}
	}()
	x := &turn{guest: g, storage: storage}
	for i, e := range b.Events {
		if err := x.event(b, i, e); err != nil {
			return nil, err
		}
	}
	g.turns++
	if x.garbage {
		g.log = append(g.log[:before], "garbage("+strings.Join(g.log[before:], ",")+")")
		g.handle, g.conns = 0, nil // the host throws the memory away
		return []byte{0xff}, nil
	}
	return abi.AppendEffects(nil, x.effects), nil
}

// Sleep implements host.Guest.
func (g *guest) Sleep() {
	g.handle, g.conns = 0, nil
	g.slept++
}

// words returns the log and empties it.
func (g *guest) words() string {
	s := strings.Join(g.log, " ")
	g.log = nil
	return s
}

type turn struct {
	*guest
	storage host.Storage
	effects []abi.Effect
	garbage bool
}

func (x *turn) event(b *abi.Batch, i int, e abi.Event) error {
	if start, ok := e.(*abi.StartEvent); ok {
		switch {
		case i != 0 || x.handle != 0:
			x.t.Errorf("a start at place %d of a room that runs", i)
		case x.handles[b.Handle]:
			x.t.Errorf("handle %d came twice", b.Handle)
		}
		if x.handles == nil {
			x.handles = map[uint64]bool{}
		}
		x.handle, x.handles[b.Handle], x.turns, x.conns = b.Handle, true, 0, nil
		var ids []string
		for _, c := range start.Connections {
			x.conns = append(x.conns, c.ID)
			ids = append(ids, fmt.Sprint(c.ID))
		}
		x.log = append(x.log, "start:"+[...]string{"", "cold", "wake", "trap", "moved", "replaced"}[start.Reason]+"["+strings.Join(ids, " ")+"]")
		return x.trap(e)
	}
	if x.handle != b.Handle {
		x.t.Errorf("an event for handle %d, the room is %d", b.Handle, x.handle)
	}
	has := func(id uint64) bool { return slices.Contains(x.conns, id) }
	switch e := e.(type) {
	case *abi.ConnectEvent:
		id := e.Connection.ID
		if has(id) {
			x.t.Errorf("connection %d connected twice", id)
		}
		x.log = append(x.log, fmt.Sprint("+", id))
		x.conns = append(x.conns, id)
		x.effects = append(x.effects, &abi.JoinEffect{Connection: id})
		return x.do(e, id, e.Query)
	case *abi.MessageEvent:
		if !has(e.Connection) {
			return nil // the room closed it earlier in this batch
		}
		x.log = append(x.log, fmt.Sprint("m", e.Connection, ":", cutText(e.Data)))
		return x.do(e, e.Connection, string(e.Data))
	case *abi.CloseEvent:
		x.log = append(x.log, fmt.Sprint("-", e.Connection))
		x.conns = slices.DeleteFunc(x.conns, func(id uint64) bool { return id == e.Connection })
	case *abi.AlarmEvent:
		x.log = append(x.log, fmt.Sprint("alarm@", e.Scheduled))
	case *abi.TickEvent:
		x.log = append(x.log, "tick")
	case *abi.RequestEvent:
		x.log = append(x.log, fmt.Sprint("r", e.ID))
		return x.do(e, 0, strings.TrimPrefix(e.Path, "/"))
	case *abi.ToldEvent:
		x.log = append(x.log, fmt.Sprint("told", e.ID))
		return x.do(e, 0, string(e.Data))
	case *abi.RejectedEvent:
		original, err := abi.DecodeEvent(e.Event)
		if err != nil {
			x.t.Errorf("a rejected event does not decode: %v", err)
			return nil
		}
		what := original.Type().String()
		if m, ok := original.(*abi.MessageEvent); ok {
			what = fmt.Sprint("m", m.Connection, ":", cutText(m.Data))
		}
		x.log = append(x.log, fmt.Sprint("rejected(", what, " ", e.Code.String(), ")"))
	}
	return x.trap(e)
}

func cutText(b []byte) string {
	if len(b) > 20 {
		b = b[:20]
	}
	return strings.ReplaceAll(string(b), " ", "_")
}

func (x *turn) trap(e abi.Event) error {
	if x.poison != "" && x.poison == e.Type().String() {
		return &host.Trap{Cause: host.CausePanic, Message: "poison"}
	}
	return nil
}

func (x *turn) do(e abi.Event, me uint64, command string) error {
	if err := x.trap(e); err != nil {
		return err
	}
	word, arg, _ := strings.Cut(command, " ")
	number := func() uint64 {
		if arg == "me" {
			return me
		}
		n, _ := strconv.ParseUint(arg, 10, 64)
		return n
	}
	switch word {
	case "panic":
		return &host.Trap{Cause: host.CausePanic, Message: "as told"}
	case "once":
		if x.turns > 1 {
			return &host.Trap{Cause: host.CauseMemory, Message: "the memory is full"}
		}
	case "garbage":
		x.garbage = true
	case "storage":
		if _, _, err := x.storage.Get(context.Background(), []byte("k")); err != nil {
			return &host.Trap{Cause: host.CauseStorage, Err: err}
		}
	case "error":
		return errGuest
	case "say":
		x.effects = append(x.effects, &abi.BroadcastEffect{Encoding: abi.Text, Data: []byte(arg)})
	case "close":
		id := number()
		x.conns = slices.DeleteFunc(x.conns, func(c uint64) bool { return c == id })
		x.effects = append(x.effects, &abi.CloseEffect{Connection: id, Code: abi.CodeKicked, Reason: "as told"})
	case "attach":
		x.effects = append(x.effects, &abi.AttachEffect{Connection: me, Data: make([]byte, number())})
	case "attach2":
		for range 2 {
			x.effects = append(x.effects, &abi.AttachEffect{Connection: me, Data: make([]byte, number())})
		}
	case "alarm":
		x.effects = append(x.effects, &abi.AlarmEffect{Time: number()})
	case "put":
		x.effects = append(x.effects, &abi.PutEffect{Key: []byte(arg), Value: []byte("v")})
	case "tell":
		x.effects = append(x.effects, &abi.TellEffect{Kind: "k", Room: "r", Data: []byte("hi")})
	case "tag":
		x.effects = append(x.effects, &abi.TagsEffect{Connection: me, Tags: []string{"t"}})
	case "mute":
		x.effects = append(x.effects, &abi.MuteEffect{Connection: me, Muted: true})
	case "join":
		x.effects = append(x.effects, &abi.JoinEffect{Connection: me})
	}
	return nil
}

func asTrap(err error) *host.Trap {
	var t *host.Trap
	errors.As(err, &t)
	return t
}

// storage fails when it is told to.
type storage struct{ err error }

func (s *storage) Get(context.Context, []byte) ([]byte, bool, error) { return nil, false, s.err }

func (s *storage) List(context.Context, abi.ListRequest) (abi.ListResponse, error) {
	return abi.ListResponse{}, s.err
}

// A bench is a room with its guest, its storage, and a deliverer that takes every turn at once.
type bench struct {
	t       *testing.T
	guest   *guest
	storage *storage
	room    *host.Room
	durable host.Table
	clock   int64
	result  host.Result
	heard   []string // what each broadcast reached
}

func newBench(t *testing.T, change ...func(*host.Config)) *bench {
	b := &bench{t: t, guest: &guest{t: t}, storage: &storage{}, clock: 1000}
	c := host.Config{
		Kind: abi.KindOptions{Name: "k"}.WithDefaults(), Name: "r", Term: "t1", Guest: b.guest, Storage: b.storage,
		Now:    func() time.Time { return time.UnixMilli(b.clock) },
		Seed:   func(s *[abi.SeedSize]byte) { s[0]++ },
		Handle: func() func() uint64 { n := uint64(0); return func() uint64 { n++; return n } }(),
	}
	for _, f := range change {
		f(&c)
	}
	b.room = host.New(c)
	return b
}

// run runs events and delivers every turn.
func (b *bench) run(events ...abi.Event) host.Result {
	b.result = b.room.Run(context.Background(), false, events)
	for _, t := range b.result.Turns {
		b.deliver(t)
	}
	return b.result
}

func (b *bench) deliver(t *host.Turn) {
	b.durable.Deliver(t, func(e abi.Effect) {
		if e, ok := e.(*abi.BroadcastEffect); ok {
			var ids []string
			b.durable.Recipients(e, func(id uint64) {
				ids = append(ids, fmt.Sprint(id))
				if !b.durable.Receives(id, e) {
					b.t.Errorf("Recipients has %d, Receives does not", id)
				}
			})
			b.heard = append(b.heard, string(e.Data)+">"+strings.Join(ids, ","))
		}
	})
}

// expect compares the guest's log.
func (b *bench) expect(want string) {
	b.t.Helper()
	if got := b.guest.words(); got != want {
		b.t.Errorf("the room saw\n got %s\nwant %s", got, want)
	}
}

func connect(id uint64) *abi.ConnectEvent {
	return &abi.ConnectEvent{Connection: abi.Connection{ID: id}}
}

func connectWith(id uint64, command string) *abi.ConnectEvent {
	e := connect(id)
	e.Query = command
	return e
}

func message(id uint64, command string) *abi.MessageEvent {
	return &abi.MessageEvent{Connection: id, Encoding: abi.Text, Data: []byte(command)}
}

func told(id uint64, command string) *abi.ToldEvent {
	return &abi.ToldEvent{FromKind: "k", FromRoom: "other", ID: id, Data: []byte(command)}
}

func request(id uint64, command string) *abi.RequestEvent {
	return &abi.RequestEvent{ID: id, Method: "POST", Path: "/" + command}
}

func gone(id uint64) *abi.CloseEvent {
	return &abi.CloseEvent{Connection: id, Code: abi.CodeAbnormal}
}

func ids(list []abi.Connection) (out []uint64) {
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}
