package roomtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// Options say which room a [Host] runs, and how. Only Kind is needed.
type Options struct {
	// Module holds the kind. Default: what [rooms.Register] has filled.
	Module *rooms.Module
	Kind   string
	// Room is the room's name. Default "room".
	Room string
	// Guest, when set, runs the turns in place of the native module: the compiled .wasm.
	Guest func(testing.TB) host.Guest
	// Start is the first time. Default 2026-01-01T00:00:00Z.
	Start time.Time
	// Seed seeds the turns' seeds. Default 1.
	Seed uint64
	// SleepEachTurn puts the room to sleep after every turn.
	SleepEachTurn bool
	// Volatile says that the room keeps in memory what it may lose, so a second run of a
	// batch on a fresh memory may differ; it is not made then.
	Volatile bool
	// AllowTraps keeps a trap from failing the test; [Host.Rejections] lists them.
	AllowTraps bool
}

// A Host runs one room. Its methods are to be called from the test's goroutine.
type Host struct {
	tb      testing.TB
	o       Options
	kind    abi.KindOptions
	room    *host.Room
	guest   host.Guest
	storage Storage
	durable host.Table // as delivered
	clients map[uint64]*Client
	term    string
	now     time.Time
	seeds   *rand.ChaCha8
	seed    [abi.SeedSize]byte
	lastID  uint64
	handle  uint64
	alarm   uint64
	attempt uint64
	retryAt time.Time // when a failed alarm comes again

	tick     time.Duration
	nextTick time.Time

	alarms      int // times that a delivered turn has set or cleared the alarm
	failCommits int
	storeAway   bool
	cut         map[uint64]bool // see Cut
	answers     map[uint64]*abi.RespondEffect
	effects     []abi.Effect
	rejections  []host.Rejection
	unrun       []abi.Event
	err         error
	told        []*abi.TellEffect
	users       // see users.go
	logs        []string
}

// New returns a host whose room has not started: its first event starts it.
func New(tb testing.TB, o Options) *Host {
	tb.Helper()
	if o.Module == nil {
		o.Module = rooms.Registered()
	}
	if o.Room == "" {
		o.Room = "room"
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	h := &Host{tb: tb, o: o, now: o.Start, term: "term-1", clients: make(map[uint64]*Client), answers: make(map[uint64]*abi.RespondEffect)}
	var ok bool
	if h.kind, ok = o.Module.Manifest().Kind(o.Kind); !ok {
		tb.Fatalf("roomtest: the module has no kind %q", o.Kind)
	}
	var seed [32]byte
	for i := range 8 {
		seed[i] = byte(o.Seed >> (8 * i))
	}
	h.seeds = rand.NewChaCha8(seed)
	if o.Guest != nil {
		h.guest = o.Guest(tb)
	} else {
		h.guest = NewNative(o.Module, h.log)
	}
	h.room = host.New(h.config(h.guest, &h.storage))
	return h
}

func (h *Host) config(g host.Guest, s host.Storage) host.Config {
	return host.Config{
		Kind: h.kind, Name: h.o.Room, Term: h.term, Guest: g, Storage: s,
		Now: func() time.Time { return h.now }, Alarm: h.alarm,
		Seed:   func(s *[abi.SeedSize]byte) { h.seeds.Read(s[:]); h.seed = *s },
		Handle: func() uint64 { h.handle++; return h.handle },
	}
}

func (h *Host) log(level abi.LogLevel, line string) {
	h.logs = append(h.logs, fmt.Sprintf("%d %s", level, line))
}

// Now is the room's time.
func (h *Host) Now() time.Time { return h.now }

// Storage is what the room has stored.
func (h *Host) Storage() *Storage { return &h.storage }

// Effects returns every effect since the last call but join, which is the SDK's own. Of each
// turn the writes come first, then all else in the room's order.
func (h *Host) Effects() []abi.Effect {
	e := h.effects
	h.effects = nil
	return e
}

// Rejections lists the events that made the room trap.
func (h *Host) Rejections() []host.Rejection { return h.rejections }

// Unrun returns the events since the last call that did not happen, because the room did not start
// or its storage failed, and the newest reason. A host would run them again; so can the test.
func (h *Host) Unrun() ([]abi.Event, error) {
	events, err := h.unrun, h.err
	h.unrun, h.err = nil, nil
	return events, err
}

// Told returns what the room told other rooms since the last call.
func (h *Host) Told() []*abi.TellEffect {
	t := h.told
	h.told = nil
	return t
}

// Logs are the room's log lines, "level text".
func (h *Host) Logs() []string { return h.logs }

// Awake reports whether the room is in memory.
func (h *Host) Awake() bool { return h.room.Started() }

// Sleep puts the room to sleep; its connections stay.
func (h *Host) Sleep() { h.room.Sleep() }

// StoreAway tells the room from now on that its store cannot be written, or that it can.
func (h *Host) StoreAway(away bool) { h.storeAway = away }

// FailCommits makes the next n commits fail for certain.
func (h *Host) FailCommits(n int) { h.failCommits = n }

// Alarm is the time of the room's alarm.
func (h *Host) Alarm() (time.Time, bool) {
	if h.alarm == 0 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(h.alarm)).UTC(), true
}

// RepeatAlarm delivers the alarm now, whenever it is due, and leaves it set, as a host does
// that crashed before the commit: the room gets the same alarm again later.
func (h *Host) RepeatAlarm() {
	if h.alarm == 0 {
		h.tb.Helper()
		h.tb.Fatal("roomtest: no alarm is set")
	}
	at := h.alarm
	h.Run(&abi.AlarmEvent{Scheduled: at})
	if h.alarm == 0 {
		h.alarm, h.attempt, h.retryAt = at, 1, time.Time{}
		h.room.Void(&h.durable, at, nil, 0)
	}
}

// maxAdvance bounds the alarms and ticks of one Advance.
const maxAdvance = 100_000

// Advance moves the clock, and delivers every alarm and tick that becomes due, each at its
// own time. An alarm that the room fails on comes again after 2 s, 4 s, and so on.
func (h *Host) Advance(d time.Duration) {
	h.tb.Helper()
	end := h.now.Add(d)
	for n := 0; ; n++ {
		if n == maxAdvance {
			h.tb.Fatalf("roomtest: more than %d alarms and ticks within %v", maxAdvance, d)
		}
		due := end.Add(time.Nanosecond)
		alarm, hasAlarm := h.Alarm()
		if hasAlarm {
			due = later(later(alarm, h.retryAt), h.now)
		}
		if h.tick > 0 && !h.nextTick.After(due) {
			due, hasAlarm = h.nextTick, false
		}
		if due.After(end) {
			h.now = end
			return
		}
		h.now = due
		if hasAlarm {
			before := h.alarms
			h.Run(&abi.AlarmEvent{Scheduled: h.alarm, Attempt: h.attempt})
			if h.alarms == before { // the turn did not happen
				h.attempt++
				h.retryAt = h.now.Add(time.Second << min(h.attempt, 6))
			}
			continue
		}
		h.nextTick = h.nextTick.Add(h.tick)
		h.Run(&abi.TickEvent{})
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Request makes an HTTP request and returns its answer, nil if the room has not answered yet.
func (h *Host) Request(user, method, path, body string, headers ...abi.Header) *abi.RespondEffect {
	h.lastID++
	h.Run(&abi.RequestEvent{ID: h.lastID, User: user, Method: method, Path: path, Body: []byte(body), Headers: headers})
	return h.answers[h.lastID]
}

// Run hands events to the room as one batch and delivers what comes of them.
func (h *Host) Run(events ...abi.Event) {
	h.tb.Helper()
	check := h.rehearse(events)
	r := h.room.Run(context.Background(), h.storeAway, events)
	if check != nil {
		check(r)
	}
	if !h.o.AllowTraps {
		for _, x := range r.Rejections {
			h.tb.Errorf("roomtest: the room trapped on %s: %v", x.Event.Type(), x.Trap)
		}
		if r.Err != nil {
			h.tb.Errorf("roomtest: %v", r.Err)
		}
	}
	h.unrun, h.err = append(h.unrun, r.Unrun...), r.Err
	h.rejections = append(h.rejections, r.Rejections...)
	for i, t := range r.Turns {
		if t.Durable() && (h.failCommits > 0 || h.storeAway) {
			h.failCommits = max(0, h.failCommits-1)
			h.void(r.Turns[i:])
			break
		}
		h.deliver(t)
	}
	if h.o.SleepEachTurn {
		h.room.Sleep()
	}
	h.tellPresence()
}

// rehearse prepares a second run of the batch on a fresh memory, and returns the comparison.
func (h *Host) rehearse(events []abi.Event) func(host.Result) {
	if h.o.Volatile || !h.room.Started() || h.room.Pending() || h.o.Guest != nil {
		return nil
	}
	storage, table, alarm := h.storage.clone(), h.room.Connections().Clone(), h.alarm
	return func(r host.Result) {
		h.tb.Helper()
		if len(r.Turns) != 1 || r.Turns[0].Decision || len(r.Rejections) > 0 || r.Err != nil {
			return // more than one turn cannot be compared one by one
		}
		c := h.config(NewNative(h.o.Module, nil), storage)
		seed := h.seed
		c.Seed = func(s *[abi.SeedSize]byte) { *s = seed }
		c.Connections, c.Alarm, c.Reason = table, alarm, abi.StartWake
		again := host.New(c)
		for _, t := range again.Start(context.Background(), h.storeAway).Turns {
			storage.Apply(t.Writes)
		}
		second := again.Run(context.Background(), h.storeAway, events)
		if len(second.Turns) != 1 {
			h.tb.Errorf("roomtest: on a fresh memory the same batch took %d turns and not 1: %v", len(second.Turns), trapsOf(second))
			return
		}
		if a, b := describe(r.Turns[0]), describe(second.Turns[0]); !slices.Equal(a, b) {
			h.tb.Errorf("roomtest: on a fresh memory the same batch had other effects\n first: %q\nsecond: %q", a, b)
		}
	}
}

func trapsOf(r host.Result) []error {
	errs := []error{r.Err}
	for _, x := range r.Rejections {
		errs = append(errs, x.Trap)
	}
	return errs
}

func describe(t *host.Turn) []string {
	var out []string
	for _, list := range [][]abi.Effect{t.Writes, t.Effects} {
		for _, e := range list {
			out = append(out, e.Type().String()+" "+string(abi.AppendEffect(nil, e)))
		}
	}
	for _, e := range t.Tells {
		out = append(out, "tell "+string(abi.AppendEffect(nil, e)))
	}
	return append(out, fmt.Sprint("alarm ", t.AlarmSet, t.Alarm))
}

// void is what a host does after a commit that failed for certain.
func (h *Host) void(turns []*host.Turn) {
	var lost []abi.Event
	for _, t := range turns {
		if t.Decision {
			h.deliver(t)
			continue
		}
		lost = append(lost, t.Lost()...)
		for _, e := range t.Events {
			switch e := e.(type) {
			case *abi.ConnectEvent:
				h.close(e.Connection.ID, abi.CodeStorageUnavailable, "")
			case *abi.RequestEvent:
				h.answers[e.ID] = &abi.RespondEffect{Request: e.ID, Status: 503}
			}
		}
	}
	h.room.Void(&h.durable, h.alarm, lost, abi.CodeStorageUnavailable)
	// While every commit fails, what the room has to hear waits for its next event.
	if h.room.Pending() && !h.storeAway {
		h.Run()
	}
}

func (h *Host) deliver(t *host.Turn) {
	h.effects = append(h.effects, t.Writes...)
	h.storage.Apply(t.Writes)
	h.told = append(h.told, t.Tells...)
	if t.AlarmSet {
		h.alarm, h.attempt, h.retryAt = t.Alarm, 0, time.Time{}
		h.alarms++
	}
	for _, e := range t.Events {
		if _, ok := e.(*abi.StartEvent); ok {
			h.tick, h.watching = 0, nil
		}
	}
	h.durable.Deliver(h.uncut(t), h.effect)
}

func (h *Host) effect(e abi.Effect) {
	if e.Type() != abi.EffectJoin {
		h.effects = append(h.effects, e)
	}
	switch e := e.(type) {
	case *abi.SendEffect:
		if h.durable.Has(e.Connection) {
			h.receive(e.Connection, rooms.Message{Encoding: e.Encoding, Data: e.Data, Key: e.Key})
		}
	case *abi.BroadcastEffect:
		h.durable.Recipients(e, func(id uint64) {
			h.receive(id, rooms.Message{Encoding: e.Encoding, Data: e.Data, Key: e.Key})
		})
	case *abi.CloseEffect:
		h.close(e.Connection, e.Code, e.Reason)
	case *abi.RespondEffect:
		if h.answers[e.Request] == nil {
			h.answers[e.Request] = e
		}
	case *abi.WatchEffect:
		h.watch(e)
	case *abi.NotifyEffect:
		h.notifies = append(h.notifies, e)
	case *abi.TickEffect:
		h.tick = time.Duration(e.Interval) * time.Millisecond
		h.nextTick = h.now.Add(h.tick)
	}
}

func (h *Host) receive(id uint64, m rooms.Message) {
	if c := h.clients[id]; c != nil && !c.closed && !h.cut[id] {
		m.Data = slices.Clone(m.Data)
		c.inbox = append(c.inbox, m)
	}
}

func (h *Host) close(id uint64, code abi.Code, reason string) {
	if c := h.clients[id]; c != nil && !c.closed {
		c.closed, c.code, c.reason = true, code, reason
	}
}
