package roomtest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

// spy stands in for a test that should fail.
type spy struct {
	testing.TB
	failed []string
}

func (s *spy) Helper()                   {}
func (s *spy) Errorf(f string, a ...any) { s.failed = append(s.failed, fmt.Sprintf(f, a...)) }
func (s *spy) Fatalf(f string, a ...any) { s.Errorf(f, a...); panic(s) }
func (s *spy) Fatal(a ...any)            { s.Errorf("%s", fmt.Sprint(a...)); panic(s) }

// mentions reports whether the spied test failed with some words.
func (s *spy) mentions(words string) bool {
	return slices.ContainsFunc(s.failed, func(f string) bool { return strings.Contains(f, words) })
}

type forgetful struct{ n int }

func (k *forgetful) Message(room *rooms.Room, _ *rooms.Connection, _ rooms.Message) {
	k.n++
	room.Broadcast(rooms.Text(fmt.Sprint(k.n)))
}

type unordered struct{}

func (unordered) Message(room *rooms.Room, _ *rooms.Connection, _ rooms.Message) {
	set := map[string]bool{}
	for i := range 50 {
		set[fmt.Sprint(i)] = true
	}
	for k := range set {
		room.Broadcast(rooms.Text(k))
	}
}

type careful struct{ cache []byte }

func (k *careful) Start(room *rooms.Room) { k.cache, _ = room.Storage().Get("n") }

func (k *careful) Message(room *rooms.Room, c *rooms.Connection, m rooms.Message) {
	switch string(m.Data) {
	case "panic":
		panic("as told")
	case "mute":
		c.Mute(true)
		return
	case "close":
		c.Close(abi.CodeKicked, "")
		return
	case "random":
		room.Broadcast(rooms.Text(fmt.Sprint(room.Rand().Uint64())))
		return
	}
	k.cache = append(k.cache, '|')
	room.Storage().Put("n", k.cache)
	room.Broadcast(rooms.Text(string(k.cache)))
}

func (k *careful) Rejected(room *rooms.Room, code abi.Code, _ abi.Event) {
	room.Broadcast(rooms.Text("rejected " + code.String()))
}

type repeated struct{}

func (repeated) Connect(room *rooms.Room, _ *rooms.Connection) error {
	room.SetAlarm(room.Now().Add(time.Minute))
	return nil
}

func (repeated) Alarm(room *rooms.Room, a rooms.Alarm) {
	n, _ := room.Storage().Get("n")
	if len(n) == 9 {
		panic("ninth")
	}
	room.Storage().Put("n", append(n, '|'))
	room.Broadcast(rooms.Text(fmt.Sprint("alarm ", len(n)+1, " attempt ", a.Attempt)))
}

func module() *rooms.Module {
	var m rooms.Module
	m.Register("forgetful", func() rooms.Kind { return &forgetful{} }, rooms.Options{})
	m.Register("unordered", func() rooms.Kind { return unordered{} }, rooms.Options{})
	m.Register("careful", func() rooms.Kind { return &careful{} }, rooms.Options{})
	m.Register("repeated", func() rooms.Kind { return repeated{} }, rooms.Options{})
	return &m
}

func TestFindsStateLostInASleep(t *testing.T) {
	var s spy
	h := roomtest.New(&s, roomtest.Options{Module: module(), Kind: "forgetful"})
	ann := h.Connect("ann")
	ann.Send("x")
	if len(s.failed) != 0 {
		t.Errorf("the first message differs already: %v", s.failed)
	}
	ann.Send("x")
	if !s.mentions("on a fresh memory the same batch had other effects") {
		t.Errorf("state that is lost in a sleep was not found: %v", s.failed)
	}
}

func TestFindsMapOrder(t *testing.T) {
	var s spy
	h := roomtest.New(&s, roomtest.Options{Module: module(), Kind: "unordered"})
	h.Connect("ann").Send("x")
	if !s.mentions("on a fresh memory the same batch had other effects") {
		t.Errorf("behavior that hangs on a map's order was not found: %v", s.failed)
	}
}

func TestVolatileRoomsAreNotRunTwice(t *testing.T) {
	var s spy
	h := roomtest.New(&s, roomtest.Options{Module: module(), Kind: "forgetful", Volatile: true})
	ann := h.Connect("ann")
	ann.Send("x")
	ann.Send("x")
	if len(s.failed) != 0 {
		t.Errorf("%v", s.failed)
	}
}

func TestCarefulRoomPasses(t *testing.T) {
	for _, each := range []bool{false, true} {
		h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "careful", SleepEachTurn: each})
		ann := h.Connect("ann")
		for range 3 {
			ann.Send("x")
			ann.Send("random")
		}
		got := ann.Texts()
		if len(got) != 6 || got[0] != "|" || got[4] != "|||" || got[1] == got[3] {
			t.Errorf("got %q", got)
		}
		if h.Awake() == each {
			t.Errorf("awake %v", h.Awake())
		}
	}
}

func TestTrapsFailTheTest(t *testing.T) {
	var s spy
	h := roomtest.New(&s, roomtest.Options{Module: module(), Kind: "careful"})
	ann := h.Connect("ann")
	ann.Send("panic")
	if !s.mentions("the room trapped on message") || !s.mentions("as told") {
		t.Errorf("%v", s.failed)
	}
	if got := ann.Texts(); !slices.Equal(got, []string{"rejected rejected"}) {
		t.Errorf("got %q", got)
	}
	var allowed spy
	h = roomtest.New(&allowed, roomtest.Options{Module: module(), Kind: "careful", AllowTraps: true})
	h.Connect("ann").Send("panic")
	if len(allowed.failed) != 0 || len(h.Rejections()) != 1 {
		t.Errorf("%v, %d rejections", allowed.failed, len(h.Rejections()))
	}
}

func TestFailCommits(t *testing.T) {
	h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "careful"})
	ann, bob := h.Connect("ann"), h.Connect("bob")
	ann.Send("x")
	h.FailCommits(1)
	ann.Send("x")
	ann.Send("x")
	if got := bob.Texts(); !slices.Equal(got, []string{"|", "rejected storage_unavailable", "||"}) {
		t.Errorf("got %q", got)
	}
	h.StoreAway(true)
	ann.Send("x")
	if got := bob.Texts(); len(got) != 0 || string(h.Storage().Rows()["n"]) != "||" {
		t.Errorf("got %q", got)
	}
	h.StoreAway(false)
	bob.Send("x")
	if got := bob.Texts(); !slices.Equal(got, []string{"rejected storage_unavailable", "|||"}) {
		t.Errorf("got %q", got)
	}
}

// lost does not connect while commits fail.
type lost struct{}

func (lost) Connect(room *rooms.Room, c *rooms.Connection) error {
	room.Storage().Put(c.User(), nil)
	return nil
}

func (lost) Request(room *rooms.Room, r *rooms.Request) {
	room.Storage().Put("r", nil)
	r.Respond(200, "", nil)
}

func TestFailedCommitsOfConnectsAndRequests(t *testing.T) {
	var m rooms.Module
	m.Register("lost", func() rooms.Kind { return lost{} }, rooms.Options{})
	h := roomtest.New(t, roomtest.Options{Module: &m, Kind: "lost"})
	h.FailCommits(2)
	ann := h.Connect("ann")
	if code, _, closed := ann.Closed(); !closed || code != abi.CodeStorageUnavailable {
		t.Errorf("%v %v", code, closed)
	}
	if a := h.Request("ann", "GET", "", ""); a.Status != 503 {
		t.Errorf("%+v", a)
	}
	if a := h.Request("ann", "GET", "", ""); a.Status != 200 {
		t.Errorf("%+v", a)
	}
}

// TestCut: what a room does behind a cut is durable, and unheard by those who are cut off; the next node
// has their connections as they were before.
func TestCut(t *testing.T) {
	h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "careful"})
	ann, bob, cid := h.Connect("ann"), h.Connect("bob"), h.Connect("cid")
	h.Cut(ann, cid)
	ann.Send("x")
	ann.Send("mute")
	cid.Send("close")
	if got := bob.Texts(); !slices.Equal(got, []string{"|"}) {
		t.Errorf("bob got %q", got)
	}
	h.Move("term-2")
	bob.Send("x")
	cid.Send("x")
	for _, c := range []*roomtest.Client{ann, bob, cid} {
		if got := c.Texts(); !slices.Equal(got, []string{"||", "|||"}) {
			t.Errorf("%s got %q", c.User, got)
		}
	}
}

func TestRepeatAlarm(t *testing.T) {
	h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "repeated"})
	ann := h.Connect("ann")
	h.RepeatAlarm()
	h.Advance(2 * time.Minute)
	if got := ann.Texts(); !slices.Equal(got, []string{"alarm 1 attempt 0", "alarm 2 attempt 1"}) {
		t.Errorf("got %q", got)
	}
	var s spy
	func() {
		defer func() { _ = recover() }()
		roomtest.New(&s, roomtest.Options{Module: module(), Kind: "careful"}).RepeatAlarm()
	}()
	if !s.mentions("no alarm is set") {
		t.Errorf("%v", s.failed)
	}
}

func TestFailingAlarmComesAgain(t *testing.T) {
	h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "repeated", AllowTraps: true})
	ann := h.Connect("ann")
	h.FailCommits(2)
	h.Advance(time.Minute)
	if got := ann.Texts(); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	h.Advance(6 * time.Second)
	if got := ann.Texts(); !slices.Equal(got, []string{"alarm 1 attempt 2"}) {
		t.Errorf("got %q", got)
	}
}

// broken sets its alarm to the present for ever.
type broken struct{}

func (broken) Connect(room *rooms.Room, _ *rooms.Connection) error {
	room.SetAlarm(room.Now())
	return nil
}

func (broken) Alarm(room *rooms.Room, _ rooms.Alarm) { room.SetAlarm(room.Now()) }

func TestAnEndlessAlarmFails(t *testing.T) {
	var m rooms.Module
	m.Register("broken", func() rooms.Kind { return broken{} }, rooms.Options{})
	var s spy
	func() {
		defer func() { _ = recover() }()
		h := roomtest.New(&s, roomtest.Options{Module: &m, Kind: "broken", Volatile: true})
		h.Connect("ann")
		h.Advance(time.Second)
	}()
	if !s.mentions("alarms and ticks within") {
		t.Errorf("%v", s.failed)
	}
}

func TestUnknownKind(t *testing.T) {
	var s spy
	func() {
		defer func() { _ = recover() }()
		roomtest.New(&s, roomtest.Options{Module: module(), Kind: "chess"})
	}()
	if !s.mentions(`no kind "chess"`) {
		t.Errorf("%v", s.failed)
	}
}

// TestOtherGuest hands in a guest, as a test of a compiled module does.
func TestOtherGuest(t *testing.T) {
	made := 0
	h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "careful", Guest: func(tb testing.TB) host.Guest {
		made++
		return roomtest.NewNative(module(), nil)
	}})
	ann := h.Connect("ann")
	ann.Send("x")
	ann.Drop(abi.CodeAbnormal)
	ann.Close()
	if got := ann.Texts(); made != 1 || !slices.Equal(got, []string{"|"}) {
		t.Errorf("made %d, got %q", made, got)
	}
	if code, _, closed := ann.Closed(); !closed || code != abi.CodeAbnormal {
		t.Errorf("%v %v", code, closed)
	}
}

func TestNativeStorageFailure(t *testing.T) {
	h := roomtest.New(t, roomtest.Options{Module: module(), Kind: "careful", AllowTraps: true})
	h.Storage().FailReads = true
	h.Connect("ann") // its start reads
	if h.Awake() {
		t.Error("a room started although its storage failed")
	}
	unrun, err := h.Unrun()
	if len(unrun) != 1 || !errors.Is(err, roomtest.ErrStorage) {
		t.Fatalf("%d events unrun, %v", len(unrun), err)
	}
	h.Storage().FailReads = false
	h.Run(unrun...)
	if again, err := h.Unrun(); !h.Awake() || len(again) != 0 || err != nil {
		t.Errorf("awake %v, %d events unrun, %v", h.Awake(), len(again), err)
	}
}
