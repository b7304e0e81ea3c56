package rooms_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/reserved"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

func TestWhatARoomKnows(t *testing.T) {
	var got []string
	note := func(r *rooms.Room) {
		got = append(got, fmt.Sprint(r.Kind(), "/", r.Name(), " ", r.Term(), " ", r.StartReason(), " ", r.Now().Format(time.RFC3339), " ", r.NowMillis(), " ", r.Len(), " ", r.Options().Members, " ", r.StoreAway()))
	}
	h := open(t, &funcs{start: note, message: func(r *rooms.Room, c *rooms.Connection, _ rooms.Message) { note(r) }}, roomtest.Options{Room: "x", Volatile: true})
	ann := h.Connect("ann")
	h.StoreAway(true)
	ann.Send("go")
	h.Sleep()
	ann.Send("go")
	want := []string{
		"test/x term-1 1 2026-01-01T00:00:00Z 1767225600000 0 10000 false",
		"test/x term-1 1 2026-01-01T00:00:00Z 1767225600000 1 10000 true",
		"test/x term-1 2 2026-01-01T00:00:00Z 1767225600000 1 10000 true",
		"test/x term-1 2 2026-01-01T00:00:00Z 1767225600000 1 10000 true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestWhatAConnectionKnows(t *testing.T) {
	h := open(t, &funcs{
		connect: func(r *rooms.Room, c *rooms.Connection) error {
			if c.Query() != "a=b" || c.Address() != "192.0.2.1" || c.User() != "ann" || string(c.Claims()) != `{"a":1}` || c.Protocol() != "p" {
				t.Errorf("%q %q %q %q %q", c.Query(), c.Address(), c.User(), c.Claims(), c.Protocol())
			}
			c.SetTags("red", "blue")
			c.Attach([]byte("kept"))
			c.Mute(true)
			return nil
		},
		message: func(r *rooms.Room, c *rooms.Connection, m rooms.Message) {
			if c.Query() != "" || c.Address() != "" {
				t.Error("the query and the address are known after the connect turn")
			}
			if string(c.Attachment()) != "kept" || !slices.Equal(c.Tags(), []string{"red", "blue"}) || !c.Muted() || !c.Open() || c.ID() != 1 || c.Since() != r.Now() {
				t.Errorf("%q %v %v %v", c.Attachment(), c.Tags(), c.Muted(), c.Since())
			}
			if r.Connection(1) != c || r.Connection(2) != nil {
				t.Error("Connection does not find it")
			}
			r.Broadcast(rooms.Text("not for the muted"))
			c.Send(m)
		},
	}, roomtest.Options{SleepEachTurn: true})
	ann := h.Connect("ann", roomtest.WithQuery("a=b"), roomtest.WithClaims(`{"a":1}`), roomtest.WithProtocol("p"))
	ann.Send("x")
	if got := ann.Texts(); !slices.Equal(got, []string{"x"}) {
		t.Errorf("got %v", got)
	}
}

func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		err    error
		code   abi.Code
		reason string
	}{
		{abi.CodeRoomFull, abi.CodeRoomFull, "room_full"},
		{fmt.Errorf("wrapped: %w", abi.CodeForbidden), abi.CodeForbidden, "forbidden"},
		{&rooms.CloseError{Code: 4444, Reason: "come back"}, 4444, "come back"},
		{fmt.Errorf("wrapped: %w", &rooms.CloseError{Code: abi.CodeKicked}), abi.CodeKicked, ""},
		{errors.New("no \xff way"), abi.CodeForbidden, "no \uFFFD way"},
		{&rooms.CloseError{Code: 1006, Reason: "not sendable"}, abi.CodeKicked, "not sendable"},
		{errors.New(strings.Repeat("ü", 100)), abi.CodeForbidden, strings.Repeat("ü", 61)},
	} {
		closes := 0
		h := open(t, &funcs{
			connect: func(r *rooms.Room, c *rooms.Connection) error {
				if c.User() == "bob" {
					return nil
				}
				if r.Len() != 2 {
					t.Errorf("%d connections in Connect", r.Len())
				}
				return tt.err
			},
			close: func(*rooms.Room, *rooms.Connection, abi.Code, string) { closes++ },
			message: func(r *rooms.Room, c *rooms.Connection, _ rooms.Message) {
				if r.Len() != 1 {
					t.Errorf("%d connections after a refusal", r.Len())
				}
			},
		}, roomtest.Options{})
		bob := h.Connect("bob")
		ann := h.Connect("ann")
		bob.Send("x")
		ann.Send("ghost")
		if code, reason, closed := ann.Closed(); !closed || code != tt.code || reason != tt.reason {
			t.Errorf("%v: %d %q %v", tt.err, code, reason, closed)
		}
		if closes != 0 {
			t.Errorf("%v: Close was called for a refused client", tt.err)
		}
	}
}

// A connection that was let in and closed in one batch has been in the room: Close hears of it.
func TestClosedInTheBatchOfItsConnect(t *testing.T) {
	var closes []abi.Code
	h := open(t, &funcs{
		message: func(_ *rooms.Room, c *rooms.Connection, _ rooms.Message) { c.Close(abi.CodeWrongOrder, "") },
		close:   func(_ *rooms.Room, _ *rooms.Connection, code abi.Code, _ string) { closes = append(closes, code) },
	}, roomtest.Options{})
	h.Run(&abi.ConnectEvent{Connection: abi.Connection{ID: 9}}, &abi.MessageEvent{Connection: 9, Encoding: abi.Text}, &abi.MessageEvent{Connection: 9, Encoding: abi.Text})
	if !slices.Equal(closes, []abi.Code{abi.CodeWrongOrder}) {
		t.Errorf("closes %v", closes)
	}
}

func TestClosingWhileRanging(t *testing.T) {
	var order []string
	h := open(t, &funcs{
		message: func(r *rooms.Room, from *rooms.Connection, _ rooms.Message) {
			for c := range r.Connections() {
				order = append(order, c.User())
				if c != from {
					c.Close(abi.CodeKicked, "out")
					c.Close(abi.CodeKicked, "twice")
					c.Send(rooms.Text("after"))
					c.Attach([]byte("after"))
					c.Mute(true)
				}
			}
			for c := range r.Connections() {
				order = append(order, "then "+c.User())
			}
			order = append(order, fmt.Sprint(r.Len(), r.Connection(1) == nil))
		},
		close: func(r *rooms.Room, c *rooms.Connection, code abi.Code, reason string) {
			order = append(order, "gone "+c.User()+" "+reason)
			if c.Open() || r.Connection(c.ID()) != nil {
				t.Error("a connection that has ended is open")
			}
		},
	}, roomtest.Options{Volatile: true})
	h.Connect("a")
	h.Connect("b").Send("go")
	h.Connect("c")
	want := []string{"a", "b", "then b", "1 true", "gone a out"}
	if !slices.Equal(order, want) {
		t.Errorf("got %q", order)
	}
	for range 3 {
		h.Connect("x")
	}
	order = nil
	h.Run(&abi.MessageEvent{Connection: 2, Encoding: abi.Text})
	if want := []string{"b", "c", "x", "x", "x", "then b", "1 true", "gone c out", "gone x out", "gone x out", "gone x out"}; !slices.Equal(order, want) {
		t.Errorf("got %q", order)
	}
}

func TestAlarmsOfOneBatch(t *testing.T) {
	var heard []int64
	h := open(t, &funcs{
		message: func(r *rooms.Room, _ *rooms.Connection, m rooms.Message) {
			switch string(m.Data) {
			case "set":
				r.SetAlarm(r.Now().Add(minute))
			case "later":
				r.SetAlarm(r.Now().Add(2 * minute))
			case "clear":
				r.ClearAlarm()
			}
		},
		alarm: func(r *rooms.Room, a rooms.Alarm) {
			if _, set := r.Alarm(); set {
				t.Error("the alarm is still set in its handler")
			}
			heard = append(heard, a.Scheduled().Sub(r.Now()).Milliseconds())
		},
	}, roomtest.Options{Volatile: true})
	ann := h.Connect("ann")
	ann.Send("set")
	at, _ := h.Alarm()
	alarm := &abi.AlarmEvent{Scheduled: uint64(at.UnixMilli())}
	h.Run(ann.Message("clear"), alarm) // cleared before it came
	if _, set := h.Alarm(); set || len(heard) != 0 {
		t.Errorf("set %v, heard %v", set, heard)
	}
	ann.Send("set")
	h.Run(ann.Message("later"), alarm) // replaced before it came
	if got, _ := h.Alarm(); got.Sub(h.Now()) != 2*minute || len(heard) != 0 {
		t.Errorf("alarm in %v, heard %v", got.Sub(h.Now()), heard)
	}
	ann.Send("set")
	h.Run(alarm, ann.Message("later"))
	if got, _ := h.Alarm(); got.Sub(h.Now()) != 2*minute || len(heard) != 1 {
		t.Errorf("alarm in %v, heard %v", got.Sub(h.Now()), heard)
	}
	h.Advance(3 * minute)
	if len(heard) != 2 {
		t.Errorf("heard %v", heard)
	}
	ann.Send("clear")
	for _, e := range h.Effects() {
		if a, ok := e.(*abi.AlarmEffect); ok && a.Time == 0 {
			t.Error("clearing no alarm is an effect")
		}
	}
}

func TestTicks(t *testing.T) {
	n := 0
	h := open(t, &funcs{
		start: func(r *rooms.Room) { r.SetTick(time.Second) },
		tick: func(r *rooms.Room, _ rooms.Tick) {
			if n++; n == 5 {
				r.SetTick(0)
			}
		},
	}, roomtest.Options{Volatile: true})
	h.Connect("ann")
	h.Advance(3 * time.Second)
	if n != 3 {
		t.Errorf("%d ticks", n)
	}
	h.Advance(minute)
	if n != 5 {
		t.Errorf("%d ticks", n)
	}
	for d, want := range map[time.Duration]uint64{time.Microsecond: abi.MinTick, time.Hour: abi.MaxTick, 50 * time.Millisecond: 50, -1: 0} {
		h := open(t, &funcs{start: func(r *rooms.Room) { r.SetTick(d) }}, roomtest.Options{})
		h.Connect("ann")
		if got := h.Effects()[0].(*abi.TickEffect).Interval; got != want {
			t.Errorf("%v: %d", d, got)
		}
	}
}

func TestRandIsOfTheTurn(t *testing.T) {
	run := func(seed uint64) (out []uint64) {
		h := open(t, &funcs{message: func(r *rooms.Room, _ *rooms.Connection, _ rooms.Message) {
			out = append(out, r.Rand().Uint64(), r.Rand().Uint64())
		}}, roomtest.Options{Seed: seed, Volatile: true})
		ann := h.Connect("ann")
		ann.Send("x")
		ann.Send("x")
		return out
	}
	a, again, b := run(1), run(1), run(2)
	if !slices.Equal(a, again) || slices.Equal(a, b) || a[0] == a[2] || a[0] == a[1] {
		t.Errorf("%v %v %v", a, again, b)
	}
}

func TestRequests(t *testing.T) {
	var later *rooms.Request
	h := open(t, &funcs{
		request: func(r *rooms.Room, q *rooms.Request) {
			switch q.Path {
			case "/now":
				q.Respond(200, "text/plain", []byte(q.Method+q.User+q.Header("content-type")+string(q.Body)))
				q.Respond(500, "", nil)
			case "/later":
				later = q
			case "/error":
				q.RespondError(abi.CodeInvalid, "a \"quote\"\n\x01\xff")
			}
		},
		message: func(*rooms.Room, *rooms.Connection, rooms.Message) { later.Respond(204, "", nil) },
	}, roomtest.Options{Volatile: true})
	if a := h.Request("ann", "POST", "/now", "body", abi.Header{Name: "Content-Type", Value: "x/y"}); a.Status != 200 || string(a.Body) != "POSTannx/ybody" {
		t.Errorf("%+v", a)
	}
	if a := h.Request("ann", "GET", "/error", ""); a.Status != 422 || string(a.Body) != `{"code":"invalid","message":"a \"quote\"\u000a\u0001`+"\uFFFD"+`"}` {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Request("ann", "GET", "/later", ""); a != nil {
		t.Errorf("%+v", a)
	}
	h.Connect("bob").Send("x")
	var answered bool
	for _, e := range h.Effects() {
		if a, ok := e.(*abi.RespondEffect); ok && a.Status == 204 {
			answered = true
		}
	}
	if !answered {
		t.Error("no answer in the later turn")
	}
	var m rooms.Module
	m.Register("deaf", func() rooms.Kind { return struct{}{} }, rooms.Options{})
	deaf := roomtest.New(t, roomtest.Options{Module: &m, Kind: "deaf"})
	if a := deaf.Request("", "GET", "", ""); a.Status != 404 || !strings.Contains(string(a.Body), "not_found") {
		t.Errorf("%+v", a)
	}
}

func TestRejectedAndTold(t *testing.T) {
	var got []string
	h := open(t, &funcs{
		message: func(*rooms.Room, *rooms.Connection, rooms.Message) { panic("boom") },
		rejected: func(_ *rooms.Room, code abi.Code, e abi.Event) {
			got = append(got, fmt.Sprint(code.String(), " ", e.Type()))
		},
		told: func(r *rooms.Room, m rooms.Told) {
			got = append(got, fmt.Sprint(m.FromKind, "/", m.FromRoom, " ", m.ID, " ", string(m.Data)))
			r.Tell("other", "room", []byte("back"))
		},
	}, roomtest.Options{AllowTraps: true, Volatile: true})
	h.Connect("ann").Send("x")
	h.Run(&abi.ToldEvent{FromKind: "k", FromRoom: "r", ID: 7, Data: []byte("hi")})
	if want := []string{"rejected message", "k/r 7 hi"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if told := h.Told(); len(told) != 1 || told[0].Kind != "other" || string(told[0].Data) != "back" {
		t.Errorf("%+v", told)
	}
}

func TestLog(t *testing.T) {
	h := open(t, &funcs{start: func(r *rooms.Room) {
		r.Log(abi.LogWarn, "careful")
		r.Log(abi.LogInfo, strings.Repeat("ü", abi.MaxLogLine))
		r.Log(abi.LogInfo, "x"+strings.Repeat("ü", abi.MaxLogLine))
	}}, roomtest.Options{})
	h.Connect("ann")
	logs := h.Logs()
	if logs[0] != "4 careful" || len(logs[1]) != len("0 ")+abi.MaxLogLine || len(logs[2]) != len("0 ")+abi.MaxLogLine-1 {
		t.Errorf("%q, %d and %d bytes", logs[0], len(logs[1]), len(logs[2]))
	}
}

// TestPanics lists every rule of the SDK whose breaking undoes the turn, at its limit and one past.
func TestPanics(t *testing.T) {
	big := func(n int) []byte { return make([]byte, n) }
	text := func(n int) string { return strings.Repeat("k", n) }
	for name, tt := range map[string]struct {
		limit int
		do    func(r *rooms.Room, c *rooms.Connection, n int)
	}{
		"a message is larger than 1 MiB": {abi.MaxMessage, func(r *rooms.Room, c *rooms.Connection, n int) { c.Send(rooms.Binary(big(n))) }},
		"a message is larger":            {abi.MaxMessage, func(r *rooms.Room, c *rooms.Connection, n int) { r.Broadcast(rooms.Binary(big(n))) }},
		"a conflation key is longer":     {abi.MaxConflationKey, func(r *rooms.Room, c *rooms.Connection, n int) { c.Send(rooms.Message{Key: text(n)}) }},
		"an attachment is larger":        {abi.MaxAttachment, func(r *rooms.Room, c *rooms.Connection, n int) { c.Attach(big(n)) }},
		"Tell: more than 64 KiB":         {abi.MaxTell, func(r *rooms.Room, c *rooms.Connection, n int) { r.Tell("k", "r", big(n)) }},
		"Tell: not a room's name":        {abi.MaxName, func(r *rooms.Room, c *rooms.Connection, n int) { r.Tell("k", text(n), nil) }},
		"Put: key and value are larger":  {abi.MaxKeyValue, func(r *rooms.Room, c *rooms.Connection, n int) { r.Storage().Put("k", big(n-1)) }},
		"a storage key is longer":        {abi.MaxKey, func(r *rooms.Room, c *rooms.Connection, n int) { r.Storage().Put(text(n), nil) }},
		"a storage key is":               {abi.MaxKey, func(r *rooms.Room, c *rooms.Connection, n int) { r.Storage().Get(text(n)) }},
		"a storage":                      {abi.MaxKey, func(r *rooms.Room, c *rooms.Connection, n int) { r.Storage().Delete(text(n)) }},
		"a bound of a range":             {abi.MaxBound, func(r *rooms.Room, c *rooms.Connection, n int) { r.Storage().DeleteRange(text(n), "") }},
		"a bound of":                     {abi.MaxBound, func(r *rooms.Room, c *rooms.Connection, n int) { r.Storage().List(rooms.ListOptions{End: text(n)}) }},
		"a bound": {abi.MaxBound - 1, func(r *rooms.Room, c *rooms.Connection, n int) {
			rooms.SystemStorage(r, reserved.Key{}).DeleteRange(text(n), "")
		}},
		"a storage key": {abi.MaxKey - 1, func(r *rooms.Room, c *rooms.Connection, n int) {
			rooms.SystemStorage(r, reserved.Key{}).Put(text(n), nil)
		}},
		"Respond: a body over 1 MiB":     {abi.MaxBody, nil},
		"Respond: a status below 200 or": {599, nil},
		"more than 16,384 effects":       {abi.MaxEffectCount, func(r *rooms.Room, c *rooms.Connection, n int) { repeat(n, func() { c.Send(rooms.Text("")) }) }},
		"more than 8 MiB of effects": {8, func(r *rooms.Room, c *rooms.Connection, n int) {
			repeat(n, func() { c.Send(rooms.Binary(big(abi.MaxMessage - 16))) })
		}},
		"a tag is longer than 256 bytes":  {abi.MaxTag, nil},
		"more than 10 tags":               {abi.MaxTags, nil},
		"tags can be set only in Connect": {0, func(r *rooms.Room, c *rooms.Connection, n int) { repeat(n, func() { c.SetTags("x") }) }},
		"an empty storage key":            {0, func(r *rooms.Room, c *rooms.Connection, n int) { repeat(n, func() { r.Storage().Put("", nil) }) }},
		"starts with a zero byte":         {0, func(r *rooms.Room, c *rooms.Connection, n int) { repeat(n, func() { r.Storage().Get("\x00x") }) }},
	} {
		check := func(n int) any {
			switch {
			case strings.HasPrefix(name, "Respond: a body"):
				return inRequest(t, func(q *rooms.Request) { q.Respond(200, "", big(n)) })
			case strings.HasPrefix(name, "Respond: a status"):
				return inRequest(t, func(q *rooms.Request) { q.Respond(n, "", nil) })
			case strings.HasPrefix(name, "a tag is"):
				return inConnect(t, func(c *rooms.Connection) { c.SetTags(text(n)) })
			case strings.HasPrefix(name, "more than 10 tags"):
				return inConnect(t, func(c *rooms.Connection) { c.SetTags(make([]string, n)...) })
			}
			return inTurn(t, func(r *rooms.Room, c *rooms.Connection) { tt.do(r, c, n) })
		}
		if p := check(tt.limit); p != nil && tt.limit > 0 && name != "more than 8 MiB of effects" {
			t.Errorf("%s: at the limit: %v", name, p)
		}
		if p := check(tt.limit + 1); p == nil || !strings.Contains(fmt.Sprint(p), name) {
			t.Errorf("%s: past the limit: %v", name, p)
		}
	}
	if p := inRequest(t, func(q *rooms.Request) { q.Respond(199, "", nil) }); p == nil {
		t.Error("a status of 199")
	}
}

// The most bytes that a turn may ask for are the most that a host takes.
func TestEffectsAtTheLimit(t *testing.T) {
	h := open(t, &funcs{message: func(_ *rooms.Room, c *rooms.Connection, m rooms.Message) {
		for range 7 {
			c.Send(rooms.Binary(make([]byte, abi.MaxMessage)))
		}
		// Each of the seven takes 10 bytes more than its data (size 3, type, connection, encoding,
		// key, length 3), the last likewise, and their number takes one.
		c.Send(rooms.Binary(make([]byte, abi.MaxMessage-8*10-1)))
		if string(m.Data) == "more" {
			c.Send(rooms.Text(""))
		}
	}}, roomtest.Options{Volatile: true, AllowTraps: true})
	ann := h.Connect("ann")
	ann.Send("fits")
	if n := len(ann.Messages()); n != 8 || len(h.Rejections()) != 0 {
		t.Errorf("%d messages, %v", n, h.Rejections())
	}
	ann.Send("more")
	if n := len(ann.Messages()); n != 0 || len(h.Rejections()) != 1 {
		t.Errorf("%d messages, %d rejections", n, len(h.Rejections()))
	}
}

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

func inConnect(t testing.TB, f func(c *rooms.Connection)) (panicked any) {
	h := open(t, &funcs{connect: func(_ *rooms.Room, c *rooms.Connection) error {
		defer func() { panicked = recover() }()
		f(c)
		return nil
	}}, roomtest.Options{})
	h.Connect("ann")
	return panicked
}

func inRequest(t testing.TB, f func(q *rooms.Request)) (panicked any) {
	h := open(t, &funcs{request: func(_ *rooms.Room, q *rooms.Request) {
		defer func() { panicked = recover() }()
		f(q)
	}}, roomtest.Options{})
	h.Request("ann", "GET", "", "")
	return panicked
}

func TestRegister(t *testing.T) {
	var m rooms.Module
	newKind := func() rooms.Kind { return nil }
	m.Register("a", newKind, rooms.Options{SleepAfter: time.Minute, Protocols: []string{"p"}})
	for name, f := range map[string]func(){
		"taken":          func() { m.Register("a", newKind, rooms.Options{}) },
		"bad name":       func() { m.Register("a b", newKind, rooms.Options{}) },
		"no constructor": func() { m.Register("b", nil, rooms.Options{}) },
		"bad options":    func() { m.Register("b", newKind, rooms.Options{Members: 1 << 20}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	k, ok := m.Manifest().Kind("a")
	if !ok || k.SleepAfterMillis != 60_000 || !slices.Equal(k.Protocols, []string{"p"}) || m.Manifest().SDK != rooms.Version || !m.Manifest().Shareable {
		t.Errorf("%+v", k)
	}
	if _, ok := rooms.Registered().Manifest().Kind("counter"); !ok {
		t.Error("Register does not fill Registered")
	}
}
