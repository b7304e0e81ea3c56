package session_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

func TestRequest(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.say(req(0, "echo", `{"a":1}`))
		ann.say(req(7, "echo", ""))
		ann.say(req(protocol.MaxInteger, "nobody", ""))
		ann.say(req(8, "oriel.later", ""))
		ann.want(`response 0 {"a":1}`, "response 7 ", "error unknown_event id=9007199254740991", "error unknown_event id=8")
	})
}

// TestHistoryRequest pages back and forth.
func TestHistoryRequest(t *testing.T) {
	each(t, session.Options{History: 100}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		for i := range 110 {
			ann.publish("message", fmt.Sprint(i+1))
		}
		drain(ann)
		for _, c := range []struct {
			q    protocol.HistoryQuery
			want string
		}{
			{protocol.HistoryQuery{}, "61..110 more"},
			{protocol.HistoryQuery{Limit: 3}, "108..110 more"},
			{protocol.HistoryQuery{Limit: 1000}, "11..110"},
			{protocol.HistoryQuery{HasBefore: true, Before: 20, Limit: 4}, "16..19 more"},
			{protocol.HistoryQuery{HasBefore: true, Before: 14, Limit: 4}, "11..13"},
			{protocol.HistoryQuery{HasBefore: true, Before: 15, Limit: 4}, "11..14"},
			{protocol.HistoryQuery{HasBefore: true, Before: 11}, ""},
			{protocol.HistoryQuery{HasBefore: true, Before: 0}, ""},
			{protocol.HistoryQuery{HasBefore: true, Before: protocol.MaxInteger, Limit: 1}, "110..110 more"},
			{protocol.HistoryQuery{HasAfter: true, After: 0, Limit: 2}, "11..12 more"},
			{protocol.HistoryQuery{HasAfter: true, After: 100, Limit: 5}, "101..105 more"},
			{protocol.HistoryQuery{HasAfter: true, After: 105, Limit: 5}, "106..110"},
			{protocol.HistoryQuery{HasAfter: true, After: 110}, ""},
			{protocol.HistoryQuery{HasAfter: true, After: protocol.MaxInteger}, ""},
		} {
			ann.say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: 1, Event: "history", Payload: c.q.Payload(h.mode.form)})
			page, err := protocol.DecodeHistoryPage(ann.read()[0].(*protocol.Response).Payload, h.mode.form)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for i, e := range page.Events {
				if string(e.Payload.Data) != fmt.Sprint(e.Offset) || e.From != "ann" || e.Time == 0 || e.Offset != page.Events[0].Offset+uint64(i) {
					t.Errorf("%+v", e)
				}
				got = fmt.Sprintf("%d..%d", page.Events[0].Offset, e.Offset)
			}
			if page.More {
				got += " more"
			}
			if got != c.want {
				t.Errorf("%+v: %s, want %s", c.q, got, c.want)
			}
		}
		for _, bad := range []session.Payload{session.Bytes([]byte{3, 0, 0, 0}), session.JSON(`{"before":1,"after":2}`), session.JSON(`7`)} {
			ann.say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: 1, Event: "history", Payload: bad})
			ann.want("error invalid id=1")
			ann.say(protocol.ClientMessage{Type: protocol.TypeRequest, ID: 1, Event: "members", Payload: bad})
			ann.want("error invalid id=1")
		}
	})
}

// TestHistoryBytes: a page of large events holds fewer.
func TestHistoryBytes(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		for range 6 {
			ann.publish("message", `"`+strings.Repeat("x", 60_000)+`"`)
		}
		drain(ann)
		ann.say(req(1, "history", ""))
		page, err := protocol.DecodeHistoryPage(ann.read()[0].(*protocol.Response).Payload, h.mode.form)
		if err != nil || len(page.Events) != 4 || !page.More || page.Events[3].Offset != 6 {
			t.Errorf("%d events, more %v, %v", len(page.Events), page.More, err)
		}
	})
}

func TestSignal(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann, bob, cid := h.join("ann"), h.join("bob"), h.connect("cid")
		drain(ann, bob)
		h.Effects()
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "typing", Payload: session.JSON("true")})
		for _, e := range h.Effects() {
			if p, ok := e.(*abi.PutEffect); ok && string(p.Key) != "starts" { // which the kind writes when it wakes
				t.Errorf("a signal is written: %+v", e)
			}
		}
		ann.want()
		bob.want("signal typing ann")
		cid.want()
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "silent"})
		bob.want()
		ann.say(protocol.ClientMessage{Type: protocol.TypeSignal, Event: "other"})
		ann.want("error unknown_event")
	})
}

// TestAlarm: the kind's alarm shares the room's with the protocol's timers, comes once for each that
// was set, and survives a sleep.
func TestAlarm(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("alarm", "20000")
		h.connect("bob") // its hello timeout comes first
		drain(ann)
		h.Sleep()
		h.Advance(19 * time.Second)
		ann.want()
		h.Advance(time.Second)
		ann.want("event alarm@2")
		h.Advance(time.Hour)
		ann.want()
		if got := h.count("alarms"); got != 1 {
			t.Errorf("%d alarms", got)
		}
		// One that has passed is due at once.
		ann.publish("alarm", "0")
		drain(ann)
		h.Advance(0)
		ann.want("event alarm@4")
	})
}

// TestRepeatedAlarm: an alarm that comes twice does everything once.
func TestRepeatedAlarm(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("alarm", "1000")
		drain(ann)
		h.RepeatAlarm() // early: nothing is due
		ann.want()
		h.Advance(999 * time.Millisecond)
		h.Advance(time.Millisecond)
		ann.want("event alarm@2")
		bob := h.join("bob")
		drain(ann)
		bob.Drop(abi.CodeAbnormal)
		h.Advance(5 * time.Second)
		if _, ok := h.Alarm(); ok {
			h.RepeatAlarm()
		}
		ann.want("leave bob")
	})
}

// TestAlarmCommitFails: what the alarm did did not happen, and happens when it comes again.
func TestAlarmCommitFails(t *testing.T) {
	each(t, session.Options{}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		ann.publish("alarm", "1000")
		drain(ann)
		h.FailCommits(1)
		h.Advance(time.Minute)
		if got := strings.Join(ann.got(), "; "); strings.Count(got, "event alarm@2") != 1 {
			t.Error(got)
		}
	})
}

// TestQuiet: a room where nothing happens has no alarm but that of its sessions, and stays asleep.
func TestQuiet(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	ann := h.join("ann")
	ann.publish("message", "")
	h.Advance(time.Minute)
	h.Sleep()
	h.Advance(23 * time.Hour)
	if h.Awake() {
		t.Error("something woke the room")
	}
}

func TestHTTP(t *testing.T) {
	h := newParlor(t, session.Options{}, mode{form: protocol.JSON}, roomtest.Options{})
	ann := h.join("ann")
	check := func(user, method, path, query, body string, status int, want string, headers ...abi.Header) {
		t.Helper()
		h.Run(&abi.RequestEvent{ID: 1 << 40, User: "", Method: "GET", Path: "/x"}) // keep ids apart
		a := h.request(user, method, path, query, body, headers...)
		if a == nil || int(a.Status) != status || string(a.Body) != want && !(strings.HasSuffix(want, "*") && strings.HasPrefix(string(a.Body), want[:len(want)-1])) {
			t.Errorf("%s %s?%s: %d %s, want %d %s", method, path, query, a.Status, a.Body, status, want)
		}
		if status >= 400 && !json.Valid(a.Body) {
			t.Errorf("%s is not JSON", a.Body)
		}
	}
	check("bot", "POST", "/publish", "", `{"event":"message","data":{"a":1}}`, 200, `{"offset":1,"incarnation":"term-1"}`)
	ann.want("event message@1 bot (term-1)")
	check("bot", "POST", "/publish", "", `{"event":"message","bytes":"AAE="}`, 200, `{"offset":2,"incarnation":"term-1"}`)
	check("bot", "POST", "/publish", "", `{"event":"nothing"}`, 200, `{}`)
	check("bot", "POST", "/publish", "", `{"event":"slow"}`, 429, `{"code":"rate_limited","message":"slow down","retry":500}`)
	check("bot", "POST", "/publish", "", `{"event":"invalid"}`, 422, `{"code":"invalid","message":"not this"}`)
	check("bot", "POST", "/publish", "", `{"event":"code"}`, 403, `{"code":"forbidden",*`)
	check("bot", "POST", "/publish", "", `{"data":1}`, 400, `{"code":"malformed",*`)
	check("bot", "POST", "/publish", "", `nothing`, 400, `{"code":"malformed",*`)
	check("bot", "POST", "/publish", "", `{"event":"e","data":"`+strings.Repeat("x", 70_000)+`"}`, 413, `{"code":"too_large",*`)
	check("bot", "GET", "/publish", "", ``, 405, `{"code":"method_not_allowed",*`)
	check("bot", "POST", "/history", "", ``, 405, `{"code":"method_not_allowed",*`)
	check("bot", "POST", "/presence", "", ``, 405, `{"code":"method_not_allowed",*`)
	check("bot", "GET", "/presence", "", ``, 200, `{"members":[{"user":"ann","connections":1}],"more":false,"counts":{"users":1,"connections":1}}`)
	check("bot", "GET", "/presence", "after=a%6e%6E&limit=1", ``, 200, `{"members":[],"more":false,"counts":{"users":1,"connections":1}}`)
	check("bot", "GET", "/presence", "after=42", ``, 200, `{"members":[{"user":"ann",*`)
	check("bot", "GET", "/presence", "limit=x", ``, 422, `{"code":"invalid",*`)
	check("bot", "GET", "/history", "limit=1", ``, 200, `{"events":[{"event":"message","offset":2,"from":"bot",*`)
	check("bot", "GET", "/history", "before=2", ``, 200, `{"events":[{"event":"message","offset":1,"from":"bot",*`)
	check("bot", "GET", "/history", "before=-2", ``, 422, `{"code":"invalid",*`)
	check("bot", "GET", "/history", "before=2&after=2", ``, 422, `{"code":"invalid",*`)
	check("bot", "GET", "/other", "", ``, 200, "/other bot")
	h.StoreAway(true)
	check("bot", "POST", "/publish", "", `{"event":"message"}`, 503, `{"code":"storage_unavailable",*`)
	check("bot", "GET", "/history", "before=2", ``, 200, `{"events":[*`)
}

// request is Request with a query.
func (h *parlorHost) request(user, method, path, query, body string, headers ...abi.Header) *abi.RespondEffect {
	h.t.Helper()
	h.ids++
	h.Effects()
	h.Run(&abi.RequestEvent{ID: h.ids, User: user, Method: method, Path: path, Query: query, Body: []byte(body), Headers: headers})
	for _, e := range h.Effects() {
		if a, ok := e.(*abi.RespondEffect); ok && a.Request == h.ids {
			return a
		}
	}
	return nil
}

// TestIdempotencyKey: the same key of the same user has one outcome.
func TestIdempotencyKey(t *testing.T) {
	each(t, session.Options{KeepSessions: 16 * time.Minute}, func(t *testing.T, h *parlorHost) {
		ann := h.join("ann")
		drain(ann)
		post := func(user, key, body string) string {
			t.Helper()
			a := h.request(user, "POST", "/publish", "", body, abi.Header{Name: "Idempotency-Key", Value: key})
			return fmt.Sprintf("%d %s", a.Status, a.Body)
		}
		want := func(got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		want(post("bot", "k1", `{"event":"message","data":1}`), `200 {"offset":1,"incarnation":"term-1"}`)
		h.Move("term-2")
		want(post("bot", "k1", `{"event":"message","data":1}`), `200 {"offset":1,"incarnation":"term-1"}`)
		want(post("bot", "k1", `{"event":"message","data":2}`), `422 {"code":"invalid","message":"Idempotency-Key: used for another body"}`)
		want(post("rob", "k1", `{"event":"message","data":2}`), `200 {"offset":2,"incarnation":"term-2"}`)
		want(post("bot", "k2", `{"event":"invalid"}`), `422 {"code":"invalid","message":"not this"}`)
		want(post("bot", "k2", `{"event":"invalid"}`), `422 {"code":"invalid","message":"not this"}`)
		want(post("bot", "k3", `{"event":"slow"}`), `429 {"code":"rate_limited","message":"slow down","retry":500}`)
		want(post("bot", strings.Repeat("k", 128), `{"event":"nothing"}`), `200 {}`)
		want(post("bot", strings.Repeat("k", 129), `{"event":"nothing"}`), `422 {"code":"invalid","message":"Idempotency-Key: not 1 to 128 printable characters"}`)
		want(post("bot", "a b", `{"event":"nothing"}`), `422 {"code":"invalid","message":"Idempotency-Key: not 1 to 128 printable characters"}`)
		h.StoreAway(true)
		want(post("bot", "k1", `{"event":"message","data":1}`), `200 {"offset":1,"incarnation":"term-1"}`)
		h.StoreAway(false)
		if a, b := h.rows("sk"), h.rows("sy"); a != 4 || b != 4 {
			t.Errorf("%d keys and %d entries of the index", a, b)
		}
		h.Advance(18 * time.Minute)
		if a, b := h.rows("sk"), h.rows("sy"); a != 0 || b != 0 {
			t.Errorf("%d keys and %d entries of the index", a, b)
		}
		want(post("bot", "k1", `{"event":"message","data":1}`), `200 {"offset":3,"incarnation":"term-2"}`)
	})
}

// TestIdempotencyBound: the remembered keys are bounded, and do not push out sessions.
func TestIdempotencyBound(t *testing.T) {
	h := newParlor(t, session.Options{MaxSessions: 50, Room: roomsMembers(10)}, mode{form: protocol.JSON}, roomtest.Options{})
	h.join("ann").Drop(abi.CodeAbnormal)
	for i := range 200 {
		h.request("bot", "POST", "/publish", "", `{"event":"message"}`, abi.Header{Name: "idempotency-key", Value: fmt.Sprint("k", i)})
	}
	if a, b := h.rows("sk"), h.rows("sy"); a != 50 || b != 50 {
		t.Errorf("%d keys and %d entries of the index", a, b)
	}
	h.wantSessions(1)
}
