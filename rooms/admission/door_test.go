package admission

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestAllow(t *testing.T) {
	d := testDoor(t, nil)
	token := mint(t, func(c *Claims) { c.More = map[string]any{"name": "Ann"} })
	tests := []struct {
		name     string
		request  Request
		user     string
		protocol string
		target   Target
		carrier  Transport
	}{
		{"subprotocol", upgrade("/v1/rooms/chat/lobby", "oriel.v1.json, bearer."+token), "ann", "oriel.v1.json", TargetRoom, TransportWebSocket},
		{"kind's preference wins", upgrade("/v1/rooms/chat/lobby", "oriel.v1.json", "oriel.v1.bin", "Bearer."+token), "ann", "oriel.v1.bin", TargetRoom, TransportWebSocket},
		{"header", with(upgrade("/v1/rooms/chat/lobby", "oriel.v1.json"), func(r *Request) {
			r.Headers.Authorization = []string{"bEaReR " + token}
			r.Headers.Origin = nil
		}), "ann", "oriel.v1.json", TargetRoom, TransportWebSocket},
		{"cookie", with(upgrade("/v1/rooms/chat/lobby", "oriel.v1.json"), func(r *Request) {
			r.Headers.Cookie = []string{"a=b; oriel=" + token + "; c=d"}
		}), "ann", "oriel.v1.json", TargetRoom, TransportWebSocket},
		{"explicit beats cookie", with(upgrade("/v1/rooms/chat/lobby", "oriel.v1.json,bearer."+token), func(r *Request) {
			r.Headers.Cookie = []string{"oriel=stale.stale.stale"}
		}), "ann", "oriel.v1.json", TargetRoom, TransportWebSocket},
		{"anonymous", upgrade("/v1/rooms/open/lobby", "oriel.v1.json"), "", "oriel.v1.json", TargetRoom, TransportWebSocket},
		{"anonymous kind, known user", upgrade("/v1/rooms/open/lobby", "oriel.v1.json,bearer."+token), "ann", "oriel.v1.json", TargetRoom, TransportWebSocket},
		{"raw", upgrade("/v1/rooms/raw/x"), "", "", TargetRoom, TransportWebSocket},
		{"raw with a token", upgrade("/v1/rooms/raw/x", RawProtocol+",bearer."+token), "ann", RawProtocol, TargetRoom, TransportWebSocket},
		{"events", with(bearer("GET", "/v1/rooms/chat/lobby", token), func(r *Request) {
			r.Headers.Accept = []string{"text/html, Text/Event-Stream;q=0.9"}
		}), "ann", "", TargetRoom, TransportEvents},
		{"request", bearer("POST", "/v1/rooms/chat/lobby/hooks/1", token), "ann", "", TargetRoom, TransportRequest},
		{"long poll", bearer("POST", "/v1/rooms/chat/lobby/connections", token), "ann", "", TargetConnections, TransportPoll},
		{"receive", bearer("GET", "/v1/rooms/chat/lobby/connections/c1", token), "ann", "", TargetConnection, TransportPoll},
		{"room presence", bearer("GET", "/v1/rooms/chat/lobby/presence", token), "ann", "", TargetRoomPresence, TransportRequest},
		{"user presence", bearer("GET", "/v1/presence/bob", token), "ann", "", TargetUserPresence, TransportRequest},
		{"same-origin GET with a cookie", with(bearer("GET", "/v1/rooms/chat/lobby", ""), func(r *Request) {
			r.Headers.Cookie = []string{"oriel=" + token}
			r.Headers.FetchSite = []string{"same-origin"}
		}), "ann", "", TargetRoom, TransportRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, ok := d.Decide(&tt.request, testFacts()).(*Allow)
			if !ok {
				t.Fatalf("got %+v", d.Decide(&tt.request, testFacts()))
			}
			if a.Identity.User != tt.user || a.Protocol != tt.protocol || a.Route.Target != tt.target || a.Route.Transport != tt.carrier {
				t.Errorf("got %+v", a)
			}
			if tt.user != "" && (string(a.Identity.Claims) != `{"name":"Ann"}` || !a.Identity.Expires.Equal(now.Add(time.Hour))) {
				t.Errorf("got claims %s, expiry %v", a.Identity.Claims, a.Identity.Expires)
			}
			if strings.Contains(a.Protocol, token) {
				t.Error("the credential is echoed")
			}
		})
	}
}

func with(r Request, change func(*Request)) Request { change(&r); return r }

func bearer(method, path, token string) Request {
	r := Request{Method: method, Path: path, Host: "rooms.example.com", Now: now}
	if token != "" {
		r.Headers.Authorization = []string{"Bearer " + token}
	}
	return r
}

func TestRefuse(t *testing.T) {
	d := testDoor(t, func(p *Policy) {
		p.Origins, _ = ParseOrigins("https://app.example.com", "*")
	})
	token := mint(t, nil)
	const room = "/v1/rooms/chat/lobby"
	tests := []struct {
		name    string
		request Request
		code    abi.Code
		detail  string
	}{
		{"no credential", upgrade(room, "oriel.v1.json"), abi.CodeUnauthenticated, "no credential"},
		{"other scheme", with(upgrade(room, "oriel.v1.json"), func(r *Request) { r.Headers.Authorization = []string{"Basic YTpi"} }), abi.CodeUnauthenticated, "not Bearer"},
		{"bad token in an anonymous kind", upgrade("/v1/rooms/open/x", "oriel.v1.json,bearer.a.b.c"), abi.CodeUnauthenticated, "not well-formed"},
		{"two headers", with(bearer("GET", room, token), func(r *Request) {
			r.Headers.Authorization = append(r.Headers.Authorization, "Bearer "+token)
		}), abi.CodeMalformed, "more than one Authorization"},
		{"header and subprotocol", with(upgrade(room, "oriel.v1.json,bearer."+token), func(r *Request) {
			r.Headers.Authorization = []string{"Bearer " + token}
		}), abi.CodeMalformed, "two credentials"},
		{"two subprotocol tokens", upgrade(room, "oriel.v1.json,bearer."+token+",bearer."+token), abi.CodeMalformed, "two credentials"},
		{"two cookies", with(upgrade(room, "oriel.v1.json"), func(r *Request) {
			r.Headers.Cookie = []string{"oriel=" + token, "oriel=x.y.z"}
		}), abi.CodeMalformed, "twice"},
		{"cookie without an origin", with(upgrade(room, "oriel.v1.json"), func(r *Request) {
			r.Headers.Origin, r.Headers.Cookie = nil, []string{"oriel=" + token}
		}), abi.CodeForbidden, "allowed origin"},
		{"cookie from any origin", with(upgrade(room, "oriel.v1.json"), func(r *Request) {
			r.Headers.Origin, r.Headers.Cookie = []string{"https://evil.example"}, []string{"oriel=" + token}
		}), abi.CodeForbidden, "allowed origin"},
		{"opaque origin", with(upgrade(room, "oriel.v1.json,bearer."+token), func(r *Request) { r.Headers.Origin = []string{"null"} }), abi.CodeForbidden, "opaque"},
		{"two origins", with(upgrade(room, "oriel.v1.json,bearer."+token), func(r *Request) {
			r.Headers.Origin = append(r.Headers.Origin, "https://app.example.com")
		}), abi.CodeForbidden, "more than one"},
		{"empty bearer", with(bearer("GET", room, ""), func(r *Request) { r.Headers.Authorization = []string{"Bearer "} }), abi.CodeUnauthenticated, "empty"},
		{"empty subprotocol token", upgrade(room, "oriel.v1.json,bearer."), abi.CodeUnauthenticated, "empty"},
		{"token in the query", with(bearer("GET", room, token), func(r *Request) { r.Query = "a=b&access_token=x" }), abi.CodeUnauthenticated, "never travels in a URL"},
		{"ticket", with(upgrade(room, "oriel.v1.json"), func(r *Request) { r.Query = "ticket=abc" }), abi.CodeUnauthenticated, "tickets"},
		{"unknown kind", upgrade("/v1/rooms/nope/x", "oriel.v1.json,bearer."+token), abi.CodeUnknownKind, ""},
		{"bad room", upgrade("/v1/rooms/chat/a%2fb", "oriel.v1.json,bearer."+token), abi.CodeBadName, ""},
		{"no subprotocol", upgrade(room, "bearer."+token), abi.CodeUnknownProtocol, "oriel.v1.bin, oriel.v1.json"},
		{"unknown subprotocol", upgrade(room, "mqtt,bearer."+token), abi.CodeUnknownProtocol, ""},
		{"subprotocol for raw frames", upgrade("/v1/rooms/raw/x", "mqtt"), abi.CodeUnknownProtocol, "raw frames"},
		{"upgrade of a sub path", upgrade(room+"/x", "oriel.v1.json,bearer."+token), abi.CodeNotFound, "no WebSocket"},
		{"upgrade by POST", with(upgrade(room, "oriel.v1.json,bearer."+token), func(r *Request) { r.Method = "POST" }), abi.CodeMethodNotAllowed, ""},
		{"subprotocol token in a plain request", with(bearer("GET", room, ""), func(r *Request) { r.Headers.Protocol = []string{"bearer." + token} }), abi.CodeUnauthenticated, ""},
		{"anonymous presence of a user", bearer("GET", "/v1/presence/ann", ""), abi.CodeUnauthenticated, ""},
		{"dev token without dev", bearer("GET", "/v1/dev/token", ""), abi.CodeNotFound, ""},
		{"expired", upgrade(room, "oriel.v1.json,bearer."+mint(t, func(c *Claims) { c.Expires = now.Add(-time.Minute) })), abi.CodeTokenExpired, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := d.Decide(&tt.request, testFacts()).(*Refuse)
			if !ok {
				t.Fatalf("got %+v", d.Decide(&tt.request, testFacts()))
			}
			if r.Code != tt.code || !strings.Contains(r.Detail, tt.detail) {
				t.Errorf("got %v %q", r.Code, r.Detail)
			}
			if strings.Contains(r.Detail, token) || strings.Contains(strings.ToLower(r.Protocol), "bearer") {
				t.Errorf("the credential is echoed: %+v", r)
			}
			if want := slices.Contains(tt.request.Headers.Upgrade, "websocket"); r.Upgrade != want {
				t.Errorf("got upgrade %v", r.Upgrade)
			}
		})
	}
}

func TestRefusalKeepsASubprotocol(t *testing.T) {
	d := testDoor(t, nil)
	r := upgrade("/v1/rooms/chat/lobby", "bearer.a.b.c, mqtt, oriel.v1.json")
	got, ok := d.Decide(&r, testFacts()).(*Refuse)
	if !ok || got.Protocol != "mqtt" {
		t.Errorf("got %+v", got)
	}
}

func TestOriginIsNotListed(t *testing.T) {
	d := testDoor(t, nil)
	r := upgrade("/v1/rooms/open/x", "oriel.v1.json")
	r.Headers.Origin = []string{"https://evil.example"}
	if got, ok := d.Decide(&r, testFacts()).(*Refuse); !ok || got.Code != abi.CodeForbidden {
		t.Errorf("got %+v", got)
	}
}

func TestFirstMessageIsNeeded(t *testing.T) {
	d := testDoor(t, nil)
	facts := testFacts()
	facts.FirstMessage = true
	r := upgrade("/v1/rooms/chat/lobby", "oriel.v1.json")
	need, ok := d.Decide(&r, facts).(*Need)
	if !ok || need.What != NeedFirstMessage || need.Protocol != "oriel.v1.json" || need.Route.Room != "lobby" {
		t.Fatalf("got %+v", need)
	}

	token, err := FirstMessage([]byte(`{"type":"auth","token":"` + mint(t, nil) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	facts.Credential = token
	if a, ok := d.Decide(&r, facts).(*Allow); !ok || a.Identity.User != "ann" {
		t.Errorf("got %+v", d.Decide(&r, facts))
	}

	facts.Credential = "a.b.c"
	if got, ok := d.Decide(&r, facts).(*Refuse); !ok || got.Code != abi.CodeUnauthenticated {
		t.Errorf("got %+v", got)
	}

	// No socket waits for a credential that would then be refused for its subprotocol.
	facts.Credential = ""
	r = upgrade("/v1/rooms/chat/lobby", "mqtt")
	if got, ok := d.Decide(&r, facts).(*Refuse); !ok || got.Code != abi.CodeUnknownProtocol {
		t.Errorf("got %+v", got)
	}
	// A plain request has no first message.
	r = bearer("POST", "/v1/rooms/chat/lobby", "")
	if got, ok := d.Decide(&r, facts).(*Refuse); !ok || got.Code != abi.CodeUnauthenticated {
		t.Errorf("got %+v", got)
	}
}

func TestFirstMessage(t *testing.T) {
	tests := []struct {
		message string
		code    abi.Code
	}{
		{`{"type":"auth","token":"a.b-_.c"}`, 0},
		{`{"type":"hello"}`, abi.CodeWrongOrder},
		{`{"TYPE":"auth","TOKEN":"a.b.c"}`, abi.CodeWrongOrder},
		{`{}`, abi.CodeWrongOrder},
		{`null`, abi.CodeWrongOrder},
		{`[]`, abi.CodeMalformed},
		{``, abi.CodeMalformed},
		{`{"type":"auth"}`, abi.CodeMalformed},
		{`{"type":"auth","token":7}`, abi.CodeMalformed},
		{`{"type":"auth","token":"a","more":1}`, abi.CodeMalformed},
		{`{"type":"auth","token":""}`, abi.CodeUnauthenticated},
		{`{"type":"auth","token":"a b"}`, abi.CodeUnauthenticated},
		{`{"type":"auth","token":"` + strings.Repeat("a", MaxToken) + `"}`, 0},
		{`{"type":"auth","token":"` + strings.Repeat("a", MaxToken+1) + `"}`, abi.CodeTooLarge},
		{strings.Repeat(" ", MaxToken+65), abi.CodeTooLarge},
	}
	for _, tt := range tests {
		_, err := FirstMessage([]byte(tt.message))
		if tt.code == 0 && err != nil || tt.code != 0 && !errors.Is(err, tt.code) {
			t.Errorf("%.60q: got %v, want %v", tt.message, err, tt.code)
		}
	}
}

func TestGrantsDecide(t *testing.T) {
	d := testDoor(t, nil)
	narrow := mint(t, func(c *Claims) {
		c.Rooms = []string{"chat/team-*"}
		c.Actions = []string{"connect", "presence"}
	})
	tests := []struct {
		request Request
		allowed bool
	}{
		{upgrade("/v1/rooms/chat/team-1", "oriel.v1.json,bearer."+narrow), true},
		{upgrade("/v1/rooms/chat/lobby", "oriel.v1.json,bearer."+narrow), false},
		{upgrade("/v1/rooms/open/team-1", "oriel.v1.json,bearer."+narrow), false},
		{bearer("GET", "/v1/rooms/chat/team-1/x", narrow), true},
		{bearer("POST", "/v1/rooms/chat/team-1", narrow), false},
		{bearer("POST", "/v1/rooms/chat/team-1/connections/c", narrow), true},
		{bearer("GET", "/v1/rooms/chat/team-1/presence", narrow), true},
		{bearer("GET", "/v1/rooms/chat/lobby/presence", narrow), false},
		{bearer("GET", "/v1/presence/ann", narrow), true},
		{bearer("GET", "/v1/presence/bob", narrow), false},
		{bearer("POST", "/v1/tickets", narrow), true},
		{bearer("POST", "/v1/tickets", mint(t, func(c *Claims) { c.Actions = []string{"publish"} })), false},
		{bearer("GET", "/v1/presence/ann", mint(t, func(c *Claims) { c.Actions = []string{"publish"} })), false},
		{bearer("POST", "/v1/users/bob/notify", mint(t, func(c *Claims) { c.Actions = []string{"notify"} })), true},
		{bearer("POST", "/v1/users/ann/notify", mint(t, func(*Claims) {})), false}, // it has to be named
		{bearer("POST", "/v1/users/ann/notify", mint(t, func(c *Claims) { c.Actions = []string{"publish", "connect", "presence"} })), false},
		{bearer("POST", "/v1/users/ann/notify", mint(t, func(c *Claims) { c.Actions, c.Rooms = []string{"notify"}, []string{"chat/*"} })), false},
	}
	for _, tt := range tests {
		switch got := d.Decide(&tt.request, testFacts()).(type) {
		case *Allow:
			if !tt.allowed {
				t.Errorf("%s %s: allowed", tt.request.Method, tt.request.Path)
			}
		case *Refuse:
			if tt.allowed || got.Code != abi.CodeForbidden {
				t.Errorf("%s %s: got %+v", tt.request.Method, tt.request.Path, got)
			}
		}
	}
}

func TestDev(t *testing.T) {
	d := testDoor(t, func(p *Policy) { p.Dev = true })
	facts := testFacts()
	facts.Loopback = true
	ask := func(host, query string, f Facts) Decision {
		r := Request{Method: "GET", Path: "/v1/dev/token", Query: query, Host: host, Now: now}
		return d.Decide(&r, f)
	}
	for _, host := range []string{"localhost", "localhost:8080", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"} {
		a, ok := ask(host, "user=ann%20b", facts).(*Allow)
		if !ok || a.Route.Target != TargetDevToken || a.Route.User != "ann b" {
			t.Errorf("%s: got %+v", host, ask(host, "user=ann%20b", facts))
		}
	}
	for _, host := range []string{"", "evil.example", "localhost.evil.example", "localhost.", "127.0.0.1.evil.example", "127.0.0.2", "::1", "[::1", "localhost:8080:80", "localhost:0", "localhost:99999", "localhost@evil", "0.0.0.0", "[::]", "localhost:", "127.1", "ⓛocalhost"} {
		if got, ok := ask(host, "user=ann", facts).(*Refuse); !ok || got.Code != abi.CodeForbidden {
			t.Errorf("%q: got %+v", host, ask(host, "user=ann", facts))
		}
	}
	if got, ok := ask("localhost", "user=ann", testFacts()).(*Refuse); !ok || got.Code != abi.CodeForbidden {
		t.Errorf("not loopback: got %+v", got)
	}
	for query, code := range map[string]abi.Code{
		"": abi.CodeBadName, "user=": abi.CodeBadName, "user=a&user=b": abi.CodeMalformed,
		"user=%zz": abi.CodeMalformed, "user=%0a": abi.CodeBadName, "user=" + strings.Repeat("a", 129): abi.CodeBadName,
	} {
		if got, ok := ask("localhost", query, facts).(*Refuse); !ok || got.Code != code {
			t.Errorf("%q: got %+v, want %v", query, ask("localhost", query, facts), code)
		}
	}
	// A page of another site cannot take a token, nor reach any room.
	r := Request{Method: "GET", Path: "/v1/dev/token", Query: "user=ann", Host: "localhost", Now: now, Headers: Headers{Origin: []string{"https://evil.example"}}}
	if got, ok := d.Decide(&r, facts).(*Refuse); !ok || got.Code != abi.CodeForbidden {
		t.Errorf("got %+v", got)
	}
	r = upgrade("/v1/rooms/open/x", "oriel.v1.json")
	r.Host, r.Headers.Origin = "rebound.example", []string{"http://rebound.example"}
	if got, ok := d.Decide(&r, facts).(*Refuse); !ok || got.Code != abi.CodeForbidden {
		t.Errorf("got %+v", got)
	}
}

type oddKeys []string

func (k oddKeys) Algorithms() []string      { return k }
func (oddKeys) Lookup(string, string) []Key { return nil }

func TestNew(t *testing.T) {
	good := Secrets{testSecret(t, "", "k")}
	many := slices.Repeat(good, MaxSecrets)
	for name, p := range map[string]Policy{
		"no keys":       {},
		"no secrets":    {Keys: Secrets{}},
		"empty secret":  {Keys: Secrets{{}}},
		"too many":      {Keys: append(many, good...)},
		"no algorithms": {Keys: oddKeys{}},
		"none":          {Keys: oddKeys{"none"}},
		"unknown":       {Keys: oddKeys{"HS1"}},
		"cookie name":   {Keys: good, Cookie: "a=b"},
	} {
		if _, err := New(p); !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(Policy{Keys: many}); err != nil {
		t.Error(err)
	}
}

// TestDevBehindAProxy: a proxy on the same machine makes everybody look local.
func TestDevBehindAProxy(t *testing.T) {
	key, err := NewSecret("", []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	door, err := New(Policy{Keys: Secrets{key}, Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(h Headers) Decision {
		return door.Decide(&Request{
			Method: "GET", Path: "/v1/dev/token", Query: "user=ann", Host: "127.0.0.1", Headers: h, Now: time.Now(),
		}, Facts{Loopback: true})
	}
	if _, ok := ask(Headers{}).(*Allow); !ok {
		t.Fatal("refused without a proxy")
	}
	for _, h := range []Headers{{ForwardedFor: []string{"203.0.113.7"}}, {ForwardedProto: []string{"https"}}} {
		if d, ok := ask(h).(*Refuse); !ok || d.Code != abi.CodeForbidden {
			t.Errorf("%+v: %#v", h, d)
		}
	}
}
