package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// strict refuses by what the request says.
var strict = AdmitFunc(func(_ context.Context, r *http.Request, _ abi.KindOptions, _ string) (Identity, error) {
	switch r.Header.Get("Authorization") {
	case "":
		return Identity{}, abi.CodeUnauthenticated
	case "old":
		return Identity{}, abi.CodeTokenExpired
	case "evil":
		return Identity{}, &Refusal{Code: abi.CodeForbidden, Detail: "origin"}
	case "broken":
		return Identity{}, errors.New("the database password is hunter2")
	case "long":
		return Identity{User: strings.Repeat("x", abi.MaxUser+1)}, nil
	}
	return Identity{User: "ann", Claims: []byte(`{"role":"admin"}`)}, nil
})

// TestRefusals sends every refusal both ways: as a WebSocket upgrade, which is completed and
// closed with a code, and as an HTTP request, which gets a status and a body.
func TestRefusals(t *testing.T) {
	rooms := newFakeRooms(abi.KindOptions{Name: "chat", Protocols: []string{"oriel.v1.json"}})
	rooms.onConnect = func(c *Connection, _ *abi.ConnectEvent) error {
		if c.Room == "full" {
			return &Refusal{Code: abi.CodeRoomFull, Retry: 7 * time.Second}
		}
		return nil
	}
	rooms.onRequest = func(_ context.Context, _, room string, ev *abi.RequestEvent) (*abi.RespondEffect, error) {
		if room == "full" {
			return nil, &Refusal{Code: abi.CodeRoomFull, Retry: 7 * time.Second}
		}
		return &abi.RespondEffect{Status: 204}, nil
	}
	srv := start(t, setup{rooms: rooms, options: Options{Admitter: strict}})
	w, _ := srv.open("/v1/rooms/echo/witness", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"ok"}}})
	long := strings.Repeat("x", abi.MaxName)
	tests := []struct {
		name, path, token, protocol string
		code                        abi.Code
		retry                       time.Duration
		onlyUpgrade                 bool
	}{
		{"kind is no name", "/v1/rooms/ch%61t/room", "ok", "", abi.CodeBadName, 0, false},
		{"kind too long", "/v1/rooms/" + long + "x/room", "ok", "", abi.CodeBadName, 0, false},
		{"kind as long as may be", "/v1/rooms/" + long + "/room", "ok", "", abi.CodeUnknownKind, 0, false},
		{"room too long", "/v1/rooms/chat/" + long + "x", "ok", "", abi.CodeBadName, 0, false},
		{"room empty", "/v1/rooms/chat/", "ok", "", abi.CodeBadName, 0, false},
		{"room missing", "/v1/rooms/chat", "ok", "", abi.CodeBadName, 0, false},
		{"room is dots", "/v1/rooms/chat/..", "ok", "", abi.CodeBadName, 0, false},
		{"room with an escape", "/v1/rooms/chat/a%2Fb", "ok", "", abi.CodeBadName, 0, false},
		{"room with UTF-8", "/v1/rooms/chat/%C3%BC", "ok", "", abi.CodeBadName, 0, false},
		{"another address", "/v2/rooms/chat/room", "ok", "", abi.CodeNotFound, 0, false},
		{"unknown kind", "/v1/rooms/chess/room", "ok", "", abi.CodeUnknownKind, 0, false},
		{"query too long", "/v1/rooms/echo/room?" + strings.Repeat("q", abi.MaxQuery+1), "ok", "", abi.CodeTooLarge, 0, false},
		{"no subprotocol", "/v1/rooms/chat/room", "ok", "", abi.CodeUnknownProtocol, 0, true},
		{"unknown subprotocol", "/v1/rooms/chat/room", "ok", "mqtt", abi.CodeUnknownProtocol, 0, true},
		{"subprotocol in capitals", "/v1/rooms/chat/room", "ok", "ORIEL.V1.JSON", abi.CodeUnknownProtocol, 0, true},
		{"below a room", "/v1/rooms/echo/room/sub", "ok", "", abi.CodeNotFound, 0, true},
		{"no token", "/v1/rooms/echo/room", "", "", abi.CodeUnauthenticated, 0, false},
		{"old token", "/v1/rooms/echo/room", "old", "", abi.CodeTokenExpired, 0, false},
		{"wrong origin", "/v1/rooms/echo/room", "evil", "", abi.CodeForbidden, 0, false},
		{"admission fails", "/v1/rooms/echo/room", "broken", "", abi.CodeInternal, 2 * time.Second, false},
		{"identity too long", "/v1/rooms/echo/room", "long", "", abi.CodeTooLarge, 0, false},
		{"room full", "/v1/rooms/echo/full", "ok", "", abi.CodeRoomFull, 7 * time.Second, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := srv.in(t)
			before := srv.g.Stats().Refused[tt.code]
			o := &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {tt.token}}}
			if tt.protocol != "" {
				o.Subprotocols = []string{"bearer.secret", tt.protocol, "other"}
			}
			c := srv.dial(tt.path, o)
			// A browser fails a handshake that agrees on none of its protocols.
			if c.Subprotocol() != tt.protocol {
				t.Errorf("agreed on %q", c.Subprotocol())
			}
			reason := readClose(t, c, tt.code)
			if abi.RetryHint(reason) != tt.retry || strings.Contains(reason, "hunter2") {
				t.Errorf("reason %q", reason)
			}
			n := uint64(1)
			if !tt.onlyUpgrade {
				srv.checkHTTPRefusal(tt.path, tt.token, tt.code, tt.retry)
				n = 2
			}
			if got := srv.g.Stats().Refused[tt.code] - before; got != n {
				t.Errorf("counted %d refusals, want %d", got, n)
			}
		})
	}
	if len(rooms.closed) != 0 {
		t.Error("a room was told of the end of a refused client")
	}
	(&witness{t: t, c: w}).check()
}

func (s *server) checkHTTPRefusal(path, token string, code abi.Code, retry time.Duration) {
	s.t.Helper()
	req, err := http.NewRequest("GET", s.http.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	res, err := s.http.Client().Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Code, Message string
		Retry         int64
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		s.t.Fatal(err)
	}
	info := code.Info()
	if res.StatusCode != info.Status || body.Code != info.Name || !strings.HasPrefix(body.Message, info.Text) || body.Retry != retry.Milliseconds() {
		s.t.Errorf("HTTP: %s %+v, want %d %s retry %v", res.Status, body, info.Status, info.Name, retry)
	}
	if got := res.Header.Get("Retry-After"); (got != "") != (retry > 0) {
		s.t.Errorf("Retry-After %q", got)
	}
	if got := res.Header.Get("WWW-Authenticate"); (got != "") != (info.Status == 401) {
		s.t.Errorf("WWW-Authenticate %q", got)
	}
	if strings.Contains(body.Message, "hunter2") {
		s.t.Errorf("the message leaks: %q", body.Message)
	}
}

// TestConnectEvent: what the room hears of a client, and what it does not.
func TestConnectEvent(t *testing.T) {
	events := make(chan *abi.ConnectEvent, 1)
	rooms := newFakeRooms(abi.KindOptions{Name: "chat", Protocols: []string{"oriel.v1.bin", "oriel.v1.json"}})
	rooms.onConnect = func(_ *Connection, ev *abi.ConnectEvent) error { events <- ev; return nil }
	srv := start(t, setup{rooms: rooms, options: Options{Admitter: strict, Process: 5}})
	client, c := srv.open("/v1/rooms/chat/lobby?a=1&ticket=secret&%74oken=secret&b=%20", &websocket.DialOptions{
		HTTPHeader:   http.Header{"Authorization": {"ok"}},
		Subprotocols: []string{"bearer.secret", "oriel.v1.json"},
	})
	ev := receive(t, events)
	if client.Subprotocol() != "oriel.v1.json" || ev.Connection.Protocol != "oriel.v1.json" || c.Protocol != "oriel.v1.json" {
		t.Errorf("agreed on %q, the room on %q", client.Subprotocol(), ev.Connection.Protocol)
	}
	if ev.Query != "a=1&b=%20" {
		t.Errorf("the room sees the query %q", ev.Query)
	}
	if ev.Connection.User != "ann" || string(ev.Connection.Claims) != `{"role":"admin"}` || c.User != "ann" {
		t.Errorf("the room sees %q %s", ev.Connection.User, ev.Connection.Claims)
	}
	if ev.Address != "127.0.0.1" || c.Kind != "chat" || c.Room != "lobby" {
		t.Errorf("%q %q %q", ev.Address, c.Kind, c.Room)
	}
	if ev.Connection.ID != c.ID || c.ID>>counterBits != 5 || c.ID&(1<<counterBits-1) == 0 {
		t.Errorf("ID %x", c.ID)
	}
	if since := time.UnixMilli(int64(ev.Connection.Since)); time.Since(since).Abs() > patience {
		t.Errorf("since %v", since)
	}
	if _, err := abi.DecodeEvent(abi.AppendEvent(nil, ev)); err != nil {
		t.Errorf("the event is not valid: %v", err)
	}
}

// TestBadUpgrades are no WebSocket handshakes at all, so they get an HTTP answer.
func TestBadUpgrades(t *testing.T) {
	srv := start(t, setup{})
	good := http.Header{
		"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	tests := []struct {
		name, method, field string
		value               []string
	}{
		{"version", "GET", "Sec-Websocket-Version", []string{"8"}},
		{"key missing", "GET", "Sec-Websocket-Key", nil},
		{"key short", "GET", "Sec-Websocket-Key", []string{"AAAA"}},
		{"two keys", "GET", "Sec-Websocket-Key", []string{"AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAA=="}},
		{"connection", "GET", "Connection", []string{"close"}},
		{"method", "POST", "X-None", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, srv.http.URL+"/v1/rooms/echo/room", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = good.Clone()
			req.Header[tt.field] = tt.value
			res, err := srv.http.Client().Transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != 400 || !strings.Contains(string(body), `"protocol_error"`) {
				t.Errorf("%s %s %v", res.Status, body, err)
			}
		})
	}
}

// TestSocketLimits goes to the bound of one address and of the whole gateway, and one past.
func TestSocketLimits(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		code    abi.Code
	}{
		{"address", Options{MaxSocketsPerAddress: 2}, abi.CodeTooManyConnections},
		{"total", Options{MaxSockets: 2}, abi.CodeOverloaded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := start(t, setup{options: tt.options})
			w := srv.witness()
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			reason := readClose(t, srv.dial("/v1/rooms/echo/room", nil), tt.code)
			if abi.RetryHint(reason) == 0 {
				t.Errorf("reason %q has no hint", reason)
			}
			r.write(closeFrame(abi.CodeNormal, ""))
			r.expectClose(abi.CodeNormal)
			r.expectEnd()
			srv.closedAs(abi.CodeNormal, true)
			srv.awaitSockets(1)
			srv.open("/v1/rooms/echo/room", nil) // there is a place again
			w.check()
		})
	}
}

// awaitSockets waits until the address table counts n sockets.
func (s *server) awaitSockets(n int) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if s.g.Stats().Sockets <= n {
			return
		}
		receive(s.t, time.After(time.Millisecond))
	}
	s.t.Fatalf("still %d sockets", s.g.Stats().Sockets)
}

// TestAttempts: above the rate an address gets a plain 429, before anything is looked at.
func TestAttempts(t *testing.T) {
	rooms := newFakeRooms()
	srv := start(t, setup{rooms: rooms, options: Options{AttemptsPerSecond: 0.001, AttemptBurst: 2}})
	w := srv.witness()
	r, _ := srv.openRaw("/v1/rooms/echo/room")
	_, res, err := websocket.Dial(context.Background(), srv.url("/v1/rooms/echo/room"), nil)
	if err == nil || res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("one attempt too many: %v, %v", res, err)
	}
	res, err = http.Get(srv.http.URL + "/v1/rooms/echo/room")
	if err != nil || res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a request: %v, %v", res, err)
	}
	_ = res.Body.Close()
	w.check()
	r.write(frame(fin|opText, []byte("x")))
	r.expect(opText, "x")
}

// TestNegotiate prefers what the kind prefers.
func TestNegotiate(t *testing.T) {
	tests := []struct {
		spoken, offer []string
		want          string
		ok            bool
	}{
		{nil, nil, "", true},
		{nil, []string{"x"}, "", true},
		{[]string{"a", "b"}, []string{"b", "a"}, "a", true},
		{[]string{"a", "b"}, []string{"x", "b"}, "b", true},
		{[]string{"a"}, nil, "", false},
		{[]string{"a"}, []string{"A"}, "", false},
	}
	for _, tt := range tests {
		if got, ok := negotiate(tt.spoken, tt.offer); got != tt.want || ok != tt.ok {
			t.Errorf("negotiate(%q, %q) = %q, %v", tt.spoken, tt.offer, got, ok)
		}
	}
	h := http.Header{"Sec-Websocket-Protocol": {"bearer.a.b.c , one,,two", "bearer.x", "three"}}
	if got := offered(h); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("offered %q", got)
	}
}

// TestIDsAreUnique across goroutines and processes.
func TestIDsAreUnique(t *testing.T) {
	seen := make(map[uint64]bool)
	for process := range uint64(3) {
		g, err := New(Options{Rooms: newFakeRooms(), Admitter: admitAll, Process: process + 1})
		if err != nil {
			t.Fatal(err)
		}
		ids := make(chan uint64, 4000)
		for range 4 {
			go func() {
				for range 1000 {
					ids <- g.NextID()
				}
			}()
		}
		for range 4000 {
			id := receive(t, ids)
			if id == 0 || seen[id] {
				t.Fatalf("ID %x comes twice", id)
			}
			seen[id] = true
		}
		g.Close()
		g.Close()
	}
}

func TestOptions(t *testing.T) {
	ok := Options{Rooms: newFakeRooms(), Admitter: admitAll}
	with := func(f func(*Options)) Options { o := ok; f(&o); return o }
	tests := []struct {
		name string
		o    Options
		ok   bool
	}{
		{"defaults", ok, true},
		{"nothing", Options{}, false},
		{"largest process", with(func(o *Options) { o.Process = 1<<24 - 1 }), true},
		{"process too large", with(func(o *Options) { o.Process = 1 << 24 }), false},
		{"shortest heartbeat", with(func(o *Options) { o.Heartbeat = 10 * time.Millisecond }), true},
		{"heartbeat too short", with(func(o *Options) { o.Heartbeat = 10*time.Millisecond - 1 }), false},
		{"negative timeout", with(func(o *Options) { o.CloseTimeout = -1 }), false},
		{"answer without encoding", with(func(o *Options) {
			o.Protocols = map[string]Protocol{"p": {Request: []byte("x")}}
		}), false},
	}
	for _, tt := range tests {
		g, err := New(tt.o)
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if g != nil {
			g.Close()
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		peer      string
		forwarded []string
		want      string
	}{
		{"1.2.3.4:5", nil, "1.2.3.4"},
		{"1.2.3.4:5", []string{"6.6.6.6"}, "1.2.3.4"}, // nobody asked it
		{"10.0.0.1:5", nil, "10.0.0.1"},
		{"10.0.0.1:5", []string{"6.6.6.6"}, "6.6.6.6"},
		{"10.0.0.1:5", []string{"6.6.6.6, 7.7.7.7"}, "7.7.7.7"},
		{"10.0.0.1:5", []string{"6.6.6.6, 7.7.7.7 ,10.2.2.2"}, "7.7.7.7"},
		{"10.0.0.1:5", []string{"6.6.6.6", "7.7.7.7,10.2.2.2", "10.3.3.3"}, "7.7.7.7"},
		{"10.0.0.1:5", []string{"10.9.9.9"}, "10.9.9.9"},
		{"10.0.0.1:5", []string{"6.6.6.6, nonsense"}, "10.0.0.1"},
		{"10.0.0.1:5", []string{"nonsense, 10.2.2.2"}, "10.2.2.2"},
		{"10.0.0.1:5", []string{""}, "10.0.0.1"},
		{"[fd00::1]:5", []string{"2001:db8::7"}, "2001:db8::7"},
		{"[::ffff:10.0.0.1]:5", []string{"::ffff:6.6.6.6"}, "6.6.6.6"},
		{"[fe80::1%eth0]:5", nil, "fe80::1"},
		{"@", nil, "0.0.0.0"},
	}
	for _, tt := range tests {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := clientAddress(r, trusted).String(); got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.peer, tt.forwarded, got, tt.want)
		}
	}
	if share(netip.MustParseAddr("2001:db8::1")) != share(netip.MustParseAddr("2001:db8::ffff:1")) {
		t.Error("two addresses of one IPv6 network count apart")
	}
	if share(netip.MustParseAddr("1.2.3.4")) == share(netip.MustParseAddr("1.2.3.5")) {
		t.Error("two IPv4 addresses count together")
	}
}

// TestAddressTableIsBounded goes past the number of addresses that are remembered.
func TestAddressTableIsBounded(t *testing.T) {
	table := newAddressTable(Options{AttemptsPerSecond: 1, AttemptBurst: 1, MaxSockets: -1, MaxSocketsPerAddress: -1})
	place := func(i int) netip.Prefix {
		return share(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if table.openSocket(place(0)) != nil {
		t.Fatal("no place for the first socket")
	}
	for i := range maxAddresses + 100 {
		table.attempt(place(i), 1)
	}
	if n := table.len(); n != maxAddresses {
		t.Errorf("%d addresses are remembered, want %d", n, maxAddresses)
	}
	if table.sockets != 1 || table.entries[place(0)].sockets != 1 {
		t.Error("an address with an open socket was forgotten")
	}
	table.sweep(time.Hour)
	if n := table.len(); n != 1 {
		t.Errorf("after a sweep %d addresses are remembered, want the one with a socket", n)
	}
	table.closeSocket(place(0))
	table.sweep(time.Hour)
	if n := table.len(); n != 0 {
		t.Errorf("after its end %d", n)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"/v1/rooms/chat/lobby", "/v1/rooms/chat/lobby/a/b", "/v1/rooms//", "/v1/rooms/%2e/..", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, room, sub, err := parsePath(s)
		if err != nil {
			return
		}
		if !abi.ValidName(kind) || !abi.ValidName(room) || len(sub) > abi.MaxPath {
			t.Errorf("%q was let through", s)
		}
		if again := Prefix + kind + "/" + room + sub; again != s {
			t.Errorf("%q and %q are one address", s, again)
		}
	})
}

func FuzzPublicQuery(f *testing.F) {
	for _, s := range []string{"a=1&ticket=x", "%54icket=x", "&&", "%zz=1", "ticket"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := publicQuery(s)
		if err != nil {
			return
		}
		u := &url.URL{RawQuery: q}
		for name := range u.Query() {
			if credentialParams[strings.ToLower(name)] {
				t.Errorf("%q still carries %s as %q", s, name, q)
			}
		}
	})
}

func FuzzForwardedFor(f *testing.F) {
	f.Add("1.2.3.4, 10.0.0.1")
	f.Fuzz(func(t *testing.T, s string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:5", Header: http.Header{"X-Forwarded-For": {s}}}
		addr := clientAddress(r, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
		if !addr.IsValid() || len(addr.String()) > abi.MaxAddress {
			t.Errorf("%q gives %v", s, addr)
		}
		_ = fmt.Sprint(share(addr))
	})
}

// TestRawProtocol: a browser that offers a credential to a kind of raw frames gets an answer to
// one of its offers, and the room sees none; however the credential is spelt, it never comes back.
func TestRawProtocol(t *testing.T) {
	srv := start(t, setup{})
	for _, bearer := range []string{"bearer.secret", "BEARER.secret", "Bearer.secret"} {
		c, conn := srv.open("/v1/rooms/echo/room", &websocket.DialOptions{Subprotocols: []string{bearer, "oriel.raw"}})
		if got := c.Subprotocol(); got != "oriel.raw" {
			t.Errorf("answered %q", got)
		}
		if conn.Protocol != "" {
			t.Errorf("the room sees %q", conn.Protocol)
		}
		if list := offered(http.Header{"Sec-Websocket-Protocol": {bearer}}); len(list) > 0 {
			t.Errorf("%q stays among the offers", bearer)
		}
	}
}
