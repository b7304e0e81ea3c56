package chat_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/chat"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

func text(s string) string {
	b, err := json.Marshal(map[string]string{"text": s})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestPeopleTalk(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann, bob := h.join("ann"), h.join("bob")
		ann.must("message", text("hi"))
		bob.must("message", `{ "text" : "  h\u00e9llo \ud83d\ude00\n there\t!  ", "new":[1] }`)
		want := []string{`1 ann message {"text":"hi"}`, `2 bob message {"text":"héllo 😀\n there\t!"}`}
		for _, p := range []*person{ann, bob} {
			if p.listen(); !slices.Equal(p.heard, want) {
				t.Errorf("%s heard %q, want %q", p.User, p.heard, want)
			}
		}
		if got := h.history(); !slices.Equal(got, []string{`1 message {"text":"hi"}`, `2 message {"text":"héllo 😀\n there\t!"}`}) {
			t.Errorf("history %q", got)
		}
	})
}

// TestLimits: what people write, at each limit and one past it.
func TestLimits(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann := h.join("ann")
		first := ann.must("message", text("x"))
		long := func(n int, c string) string { return text(strings.Repeat(c, n)) }
		for _, c := range []struct{ event, data, want string }{
			{"message", long(chat.MaxText, "x"), "ack"},
			{"message", long(chat.MaxText+1, "x"), "too_large"},
			{"message", long(chat.MaxText, "😀"), "ack"}, // characters, and 16,000 bytes
			{"message", long(chat.MaxText+1, "😀"), "too_large"},
			{"message", text(" " + strings.Repeat("x", chat.MaxText) + "\n"), "ack"}, // white space around does not count
			{"message", text(""), "invalid"},
			{"message", text(" \n\t "), "invalid"},
			{"message", `{}`, "invalid"},
			{"message", `null`, "invalid"},
			{"message", `[]`, "invalid"},
			{"message", `"hi"`, "invalid"},
			{"message", `{"text":7}`, "invalid"},
			{"message", `{"text":null}`, "invalid"},
			{"message", `{"text":"a\u0000b"}`, "invalid"},
			{"message", "{\"text\":\"a\x7fb\"}", "invalid"},
			{"message", `{"text":"a\u001bb"}`, "invalid"},
			{"message", `{"text":"a\u007fb"}`, "invalid"},
			{"message", `{"text":"a\u0085b"}`, "invalid"},
			{"message", `{"text":"a\rb"}`, "invalid"},
			{"topic", long(chat.MaxTopic, "é"), "ack"},
			{"topic", long(chat.MaxTopic+1, "é"), "too_large"},
			{"topic", text(""), "ack"},
			{"topic", `{}`, "invalid"},
			{"slow", fmt.Sprintf(`{"seconds":%d}`, chat.MaxSlow), "ack"},
			{"slow", fmt.Sprintf(`{"seconds":%d}`, chat.MaxSlow+1), "invalid"},
			{"slow", `{"seconds":-1}`, "invalid"},
			{"slow", `{"seconds":1.5}`, "invalid"},
			{"slow", `{}`, "invalid"},
			{"slow", `{"seconds":0}`, "ack"},
			{"edit", fmt.Sprintf(`{"offset":%d,"text":"%s"}`, first, strings.Repeat("x", chat.MaxText)), "ack"},
			{"edit", fmt.Sprintf(`{"offset":%d,"text":"%s"}`, first, strings.Repeat("x", chat.MaxText+1)), "too_large"},
			{"edit", fmt.Sprintf(`{"offset":%d,"text":" "}`, first), "invalid"},
			{"edit", `{"text":"x"}`, "invalid"},
			{"edit", `{"offset":"1","text":"x"}`, "invalid"},
			{"edit", `{"offset":0,"text":"x"}`, "not_found"},
			{"edit", `{"offset":9007199254740991,"text":"x"}`, "not_found"},
			{"delete", `{}`, "invalid"},
			{"delete", `{"offset":0}`, "not_found"},
			{"delete", `{"offset":9007199254740991}`, "not_found"},
			{"shout", text("x"), "unknown_event"},
			{"message2", `{}`, "unknown_event"},
		} {
			got, _, _ := strings.Cut(ann.publish(c.event, c.data), " ")
			if got != c.want {
				t.Errorf("%s %.60s: %s, want %s", c.event, c.data, got, c.want)
			}
		}
		for _, event := range []string{"message", "edit", "delete", "topic", "slow"} {
			ann.Send(fmt.Sprintf(`{"type":"publish","seq":%d,"event":"%s","bytes":"aGk="}`, ann.seq+1, event))
			if got, _ := ann.listen(); got != "invalid" {
				t.Errorf("%s of bytes: %s", event, got)
			}
			ann.seq++
			ann.Send(fmt.Sprintf(`{"type":"publish","seq":%d,"event":"%s"}`, ann.seq+1, event))
			if got, _ := ann.listen(); got != "invalid" {
				t.Errorf("%s of nothing: %s", event, got)
			}
			ann.seq++
		}
	})
}

func TestEdit(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann, bob, mod := h.join("ann"), h.join("bob"), h.join("mod", moderator)
		ann.must("message", text("frist"))
		bob.refuse("edit", `{"offset":1,"text":"mine"}`, "forbidden")
		mod.refuse("edit", `{"offset":1,"text":"mine"}`, "forbidden") // nobody writes in another's name
		h.Advance(time.Second)
		if at := ann.must("edit", `{"offset":1,"text":" first "}`); at != 2 {
			t.Errorf("the edit is event %d", at)
		}
		edited := h.Now().UnixMilli()
		h.Advance(time.Second)
		ann.must("message", text("next"))
		want := []string{
			fmt.Sprintf(`1 message {"text":"first","edited":%d,"edit":2}`, edited),
			`2 edit {"offset":1,"text":"first"}`,
			`3 message {"text":"next"}`,
		}
		if got := h.history(); !slices.Equal(got, want) {
			t.Errorf("history %q, want %q", got, want)
		}
		if h.stored("frist") {
			t.Error("the text before the edit is still stored")
		}
		if bob.listen(); bob.heard[1] != `2 ann edit {"offset":1,"text":"first"}` {
			t.Errorf("bob heard %q", bob.heard)
		}
		// A second edit takes the text out of the first one.
		ann.must("edit", `{"offset":1,"text":"1st"}`)
		if got := h.history()[1]; got != `2 edit {"offset":1}` {
			t.Errorf("the overtaken edit stands as %s", got)
		}
		if h.stored("first") {
			t.Error("the text of the overtaken edit is still stored")
		}
		// Only messages can be edited.
		ann.must("topic", text("tea"))
		for _, offset := range []int{2, 4, 5} {
			ann.refuse("edit", fmt.Sprintf(`{"offset":%d,"text":"x"}`, offset), "not_found")
			ann.refuse("delete", fmt.Sprintf(`{"offset":%d}`, offset), "not_found")
		}
	})
}

func TestDelete(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		owner, ann, bob, mod := h.join("owner"), h.join("ann"), h.join("bob"), h.join("mod", moderator)
		for _, s := range []string{"secret-one", "secret-two", "secret-three", "secret-four"} {
			ann.must("message", text(s))
		}
		ann.must("edit", `{"offset":2,"text":"secret-two-again"}`)
		ann.must("edit", `{"offset":2,"text":"secret-two-anew"}`)
		bob.refuse("delete", `{"offset":1}`, "forbidden")
		ann.must("delete", `{"offset":1}`)
		ann.must("delete", `{"offset":2}`)
		mod.must("delete", `{"offset":3}`)
		owner.must("delete", `{"offset":4}`)
		want := []string{
			`1 message {"deleted":true}`, `2 message {"deleted":true}`, `3 message {"deleted":true}`, `4 message {"deleted":true}`,
			`5 edit {"offset":2}`, `6 edit {"offset":2}`,
			`7 delete {"offset":1}`, `8 delete {"offset":2}`, `9 delete {"offset":3}`, `10 delete {"offset":4}`,
		}
		if got := h.history(); !slices.Equal(got, want) {
			t.Errorf("history %q, want %q", got, want)
		}
		if h.stored("secret") {
			t.Errorf("what was deleted is still stored: %q", h.Storage().Rows())
		}
		ann.refuse("delete", `{"offset":1}`, "not_found") // it is gone
		ann.refuse("edit", `{"offset":1,"text":"back"}`, "not_found")
		bob.listen()
		if last := bob.heard[len(bob.heard)-1]; last != `10 owner delete {"offset":4}` {
			t.Errorf("bob heard %q", last)
		}
	})
}

// TestDeletedOverHTTP: the memory of idempotency keys holds no text either.
func TestDeletedOverHTTP(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		h.join("owner")
		body := `{"event":"message","data":{"text":"secret"}}`
		key := abi.Header{Name: "idempotency-key", Value: "k1"}
		for range 2 {
			if r := h.Request("ann", "POST", "/publish", body, key); r == nil || r.Status != 200 || !strings.Contains(string(r.Body), `"offset":1`) {
				t.Fatalf("%+v", r)
			}
		}
		if r := h.Request("ann", "POST", "/publish", `{"event":"delete","data":{"offset":1}}`); r == nil || r.Status != 200 {
			t.Fatalf("%+v", r)
		}
		if h.stored("secret") {
			t.Error("what was deleted is still stored")
		}
		if r := h.Request("bob", "POST", "/publish", `{"event":"topic","data":{"text":"x"}}`); r == nil || r.Status != 403 {
			t.Errorf("a member sets the topic over HTTP: %+v", r)
		}
	})
}

// TestEditsOutliveRetention: a message that history has dropped cannot be edited, one whose
// neighbors are gone can.
func TestEditsOutliveRetention(t *testing.T) {
	for _, sleep := range []bool{false, true} {
		h := newHost(t, short(4), sleep)
		ann := h.join("ann")
		for i := range 6 {
			ann.must("message", text(fmt.Sprint("m", i)))
		}
		ann.refuse("edit", `{"offset":2,"text":"x"}`, "not_found")
		ann.refuse("delete", `{"offset":2}`, "not_found")
		ann.must("edit", `{"offset":4,"text":"four"}`)
		ann.must("edit", `{"offset":4,"text":"IV"}`)
		want := []string{"5", "6", "7", "8"}
		for i, e := range h.history() {
			if !strings.HasPrefix(e, want[i]+" ") {
				t.Errorf("history has %s, want event %s", e, want[i])
			}
		}
	}
}

func TestRoles(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann, bob := h.join("ann"), h.join("bob")
		mod := h.join("mod", moderator)
		for _, c := range []struct {
			p    *person
			role string
		}{{ann, "owner"}, {bob, "member"}, {mod, "moderator"}} {
			want := fmt.Sprintf(`{"topic":"","slow":0,"owner":"ann","role":"%s"}`, c.role)
			if got := string(c.p.welcome.Payload.Data); got != want {
				t.Errorf("%s is welcomed with %s, want %s", c.p.User, got, want)
			}
			if got := c.p.request("state", "null"); got != want {
				t.Errorf("%s: state %s, want %s", c.p.User, got, want)
			}
		}
		bob.refuse("topic", text("mine"), "forbidden")
		bob.refuse("slow", `{"seconds":1}`, "forbidden")
		mod.must("topic", text("tea"))
		if got := bob.request("state", "{}"); got != `{"topic":"tea","topicBy":"mod","slow":0,"owner":"ann","role":"member"}` {
			t.Errorf("state %s", got)
		}
		ann.must("topic", text("coffee"))
		// The owner stays the owner after everybody has left, whoever comes first.
		for _, p := range []*person{ann, bob, mod} {
			p.Drop(abi.CodeNormal)
		}
		h.Advance(time.Hour)
		if got := string(h.join("cyd").welcome.Payload.Data); got != `{"topic":"coffee","topicBy":"ann","slow":0,"owner":"ann","role":"member"}` {
			t.Errorf("cyd is welcomed with %s", got)
		}
		if got := ann.h.join("ann").request("state", "null"); !strings.Contains(got, `"role":"owner"`) {
			t.Errorf("ann comes back as %s", got)
		}
	})
}

// TestClaims: only one exact claim makes a moderator.
func TestClaims(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		h.join("owner")
		for claims, want := range map[string]string{
			moderator:                              "moderator",
			`{"a":{"b":[1]},"role":"moderator"}`:   "moderator",
			`{"role":"m\u006fderator"}`:            "moderator",
			`{}`:                                   "member",
			`{"role":"admin"}`:                     "member",
			`{"role":"Moderator"}`:                 "member",
			`{"role":["moderator"]}`:               "member",
			`{"role":true}`:                        "member",
			`{"x":{"role":"moderator"}}`:           "member",
			`{"role":"moderator","role":"member"}`: "member", // the last one counts, and never more than it says
			`{"roles":"moderator"}`:                "member",
			`{"role":"moderator "}`:                "member",
		} {
			p := h.join("somebody", claims)
			if got := p.request("state", "null"); !strings.Contains(got, `"role":"`+want+`"`) {
				t.Errorf("%s: %s, want %s", claims, got, want)
			}
			p.Drop(abi.CodeNormal)
		}
	})
}

func TestTyping(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann, bob := h.join("ann"), h.join("bob")
		for _, data := range []string{"true", "false", " true "} {
			if got := ann.signal("typing", data); got != "" {
				t.Errorf("typing %s: %s", data, got)
			}
		}
		for _, c := range []struct{ name, data, want string }{
			{"typing", `"yes"`, "invalid"}, {"typing", "1", "invalid"}, {"typing", "null", "invalid"},
			{"typing", `{"text":"a lot"}`, "invalid"}, {"waving", "true", "unknown_event"},
		} {
			if got := ann.signal(c.name, c.data); got != c.want {
				t.Errorf("%s %s: %s, want %s", c.name, c.data, got, c.want)
			}
		}
		bob.listen()
		if want := []string{"ann typing true", "ann typing false", "ann typing true"}; !slices.Equal(bob.heard, want) {
			t.Errorf("bob heard %q, want %q", bob.heard, want)
		}
		if len(ann.heard) > 0 {
			t.Errorf("ann heard herself: %q", ann.heard)
		}
		// A slow reader keeps the newest of each user only.
		keys := map[string]bool{}
		for _, e := range h.Effects() {
			if b, ok := e.(*abi.BroadcastEffect); ok && strings.Contains(string(b.Data), "typing") {
				keys[b.Key] = true
			}
		}
		if len(keys) != 1 || keys[""] {
			t.Errorf("conflation keys %v", keys)
		}
		if len(h.history()) > 0 {
			t.Error("typing is in history")
		}
	})
}

func TestRequests(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		if got := h.join("ann").request("secrets", "null"); got != "unknown_event" {
			t.Errorf("an unknown request: %s", got)
		}
	})
}

// TestStoreAway: nothing is half done while the store cannot be written.
func TestStoreAway(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann := h.join("ann")
		ann.must("message", text("before"))
		h.StoreAway(true)
		for _, c := range [][2]string{
			{"message", text("during")}, {"edit", `{"offset":1,"text":"x"}`}, {"delete", `{"offset":1}`},
			{"topic", text("x")}, {"slow", `{"seconds":9}`},
		} {
			if got := ann.publish(c[0], c[1]); got != "storage_unavailable again" {
				t.Errorf("%s: %s", c[0], got)
			}
		}
		h.StoreAway(false)
		ann.must("message", text("after"))
		if got := h.history(); !slices.Equal(got, []string{`1 message {"text":"before"}`, `2 message {"text":"after"}`}) {
			t.Errorf("history %q", got)
		}
		if got := ann.request("state", "null"); got != `{"topic":"","slow":0,"owner":"ann","role":"owner"}` {
			t.Errorf("state %s", got)
		}
	})
}

// TestVoid: a commit that fails takes settings back with it.
func TestVoid(t *testing.T) {
	each(t, func(t *testing.T, h *host) {
		ann, bob := h.join("ann"), h.join("bob")
		h.FailCommits(1)
		if got := ann.publish("topic", text("lost")); got != "storage_unavailable again" {
			t.Errorf("topic: %s", got)
		}
		if got := bob.request("state", "null"); got != `{"topic":"","slow":0,"owner":"ann","role":"member"}` {
			t.Errorf("state %s", got)
		}
		ann.must("topic", text("kept"))
		if got := h.history(); !slices.Equal(got, []string{`1 topic {"text":"kept"}`}) {
			t.Errorf("history %q", got)
		}
	})
}

// TestDamage: a row that is not the room's own does not pass for settings.
func TestDamage(t *testing.T) {
	h := &host{roomtest.New(t, roomtest.Options{Kind: "chat", AllowTraps: true}), t}
	h.Storage().Apply([]abi.Effect{&abi.PutEffect{Key: []byte("settings"), Value: []byte(`{"owner":7}`)}})
	c := h.Connect("ann", roomtest.WithProtocol("oriel.v1.json"))
	c.Send(`{"type":"hello"}`)
	if msgs := c.Texts(); len(msgs) > 0 {
		t.Errorf("the room goes on with damaged settings: %q", msgs)
	}
}
