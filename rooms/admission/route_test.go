package admission

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestParseRoute(t *testing.T) {
	long := strings.Repeat("a", abi.MaxName)
	tests := []struct {
		method, path string
		want         Route
	}{
		{"GET", "/v1/rooms/chat/lobby", Route{Target: TargetRoom, Kind: "chat", Room: "lobby"}},
		{"PUT", "/v1/rooms/chat/..a", Route{Target: TargetRoom, Kind: "chat", Room: "..a"}},
		{"GET", "/v1/rooms/" + long + "/" + long, Route{Target: TargetRoom, Kind: long, Room: long}},
		{"POST", "/v1/rooms/chat/lobby/a/b%20c", Route{Target: TargetRoom, Kind: "chat", Room: "lobby", Sub: "/a/b%20c"}},
		{"GET", "/v1/rooms/chat/lobby/connectionsx", Route{Target: TargetRoom, Kind: "chat", Room: "lobby", Sub: "/connectionsx"}},
		{"GET", "/v1/rooms/chat/lobby/" + strings.Repeat("a", abi.MaxPath-1), Route{Target: TargetRoom, Kind: "chat", Room: "lobby", Sub: "/" + strings.Repeat("a", abi.MaxPath-1)}},
		{"POST", "/v1/rooms/chat/lobby/connections", Route{Target: TargetConnections, Transport: TransportPoll, Kind: "chat", Room: "lobby"}},
		{"POST", "/v1/rooms/chat/lobby/connections/x.1", Route{Target: TargetConnection, Transport: TransportPoll, Kind: "chat", Room: "lobby", Connection: "x.1"}},
		{"GET", "/v1/rooms/chat/connections", Route{Target: TargetRoom, Kind: "chat", Room: "connections"}},
		{"GET", "/v1/rooms/chat/lobby/presence", Route{Target: TargetRoomPresence, Kind: "chat", Room: "lobby"}},
		{"GET", "/v1/presence/ann@example.com", Route{Target: TargetUserPresence, User: "ann@example.com"}},
		{"GET", "/v1/presence/auth0%7Cz%C3%A9", Route{Target: TargetUserPresence, User: "auth0|zé"}},
		{"GET", "/v1/presence/%252e", Route{Target: TargetUserPresence, User: "%2e"}}, // decoded once
		{"POST", "/v1/users/ann/notify", Route{Target: TargetUserNotify, User: "ann"}},
		{"POST", "/v1/users/auth0%7Cz%C3%A9/notify", Route{Target: TargetUserNotify, User: "auth0|zé"}},
		{"POST", "/v1/tickets", Route{Target: TargetTickets}},
		{"GET", "/v1/dev/token", Route{Target: TargetDevToken}},
	}
	for _, tt := range tests {
		got, err := ParseRoute(tt.method, tt.path)
		if err != nil || got != tt.want {
			t.Errorf("%s %s: got %+v, %v", tt.method, tt.path, got, err)
		}
	}
}

func TestParseRouteRefuses(t *testing.T) {
	long := strings.Repeat("a", abi.MaxName+1)
	tests := []struct {
		method, path string
		code         abi.Code
	}{
		{"GET", "", abi.CodeNotFound},
		{"GET", "/", abi.CodeNotFound},
		{"GET", "/v1", abi.CodeNotFound},
		{"GET", "/v1/", abi.CodeNotFound},
		{"GET", "/V1/rooms/chat/lobby", abi.CodeNotFound},
		{"GET", "/v2/rooms/chat/lobby", abi.CodeNotFound},
		{"GET", "//v1/rooms/chat/lobby", abi.CodeNotFound},
		{"GET", "/v1//rooms/chat/lobby", abi.CodeNotFound},
		{"GET", "/v1/./rooms/chat/lobby", abi.CodeNotFound},
		{"GET", "/v1/%72ooms/chat/lobby", abi.CodeNotFound},
		{"GET", "http://host/v1/rooms/chat/lobby", abi.CodeNotFound},
		{"GET", "/v1/rooms", abi.CodeBadName},
		{"GET", "/v1/rooms/", abi.CodeBadName},
		{"GET", "/v1/rooms/chat", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/", abi.CodeBadName},
		{"GET", "/v1/rooms//lobby", abi.CodeBadName},
		{"GET", "/v1/rooms/../lobby", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/..", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/.", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/%2e%2e", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/a%2Fb", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/%6cobby", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/a b", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/a\x00", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/zé", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/lоbby", abi.CodeBadName}, // a Cyrillic o
		{"GET", "/v1/rooms/chat/lobby?x", abi.CodeBadName},
		{"GET", "/v1/rooms/chat/lobby;x", abi.CodeBadName},
		{"GET", "/v1/rooms/" + long + "/x", abi.CodeBadName},
		{"GET", "/v1/rooms/x/" + long, abi.CodeBadName},
		{"GET", "/v1/rooms/chat/lobby/", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby//a", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a/", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a/../b", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/%2E%2e/b", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/.%2e", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a%2fb", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a%5cb", abi.CodeNotFound},
		{"GET", `/v1/rooms/chat/lobby/a\b`, abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a%00b", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a%", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a%g0", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/a\nb", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/" + strings.Repeat("a", abi.MaxPath), abi.CodeTooLarge},
		{"GET", "/v1/rooms/chat/lobby/" + strings.Repeat("a", 1<<20), abi.CodeTooLarge},
		{"GET", "/v1/rooms/chat/lobby/connections/", abi.CodeNotFound},
		{"POST", "/v1/rooms/chat/lobby/connections/a/b", abi.CodeNotFound},
		{"POST", "/v1/rooms/chat/lobby/connections/%61", abi.CodeNotFound},
		{"GET", "/v1/rooms/chat/lobby/presence/x", abi.CodeNotFound},
		{"GET", "/v1/presence", abi.CodeNotFound},
		{"GET", "/v1/presence/", abi.CodeNotFound},
		{"GET", "/v1/presence/a/b", abi.CodeNotFound},
		{"GET", "/v1/presence/a%2fb", abi.CodeBadName},
		{"GET", "/v1/presence/%2e%2E", abi.CodeBadName},
		{"GET", "/v1/presence/%ff", abi.CodeBadName},
		{"GET", "/v1/presence/a%0a", abi.CodeBadName},
		{"GET", "/v1/presence/a%E2%80%AEb", abi.CodeBadName}, // right-to-left override
		{"GET", "/v1/presence/é", abi.CodeBadName},
		{"GET", "/v1/presence/%zz", abi.CodeBadName},
		{"POST", "/v1/users", abi.CodeNotFound},
		{"POST", "/v1/users/ann", abi.CodeNotFound},
		{"POST", "/v1/users//notify", abi.CodeNotFound},
		{"POST", "/v1/users/ann/notify/", abi.CodeNotFound},
		{"POST", "/v1/users/a%2fb/notify", abi.CodeBadName},
		{"POST", "/v1/users/../notify", abi.CodeBadName},
		{"GET", "/v1/users/ann/notify", abi.CodeMethodNotAllowed},
		{"POST", "/v1/tickets/x", abi.CodeNotFound},
		{"GET", "/v1/dev/token/x", abi.CodeNotFound},
		{"HEAD", "/v1/rooms/chat/lobby", abi.CodeMethodNotAllowed},
		{"OPTIONS", "/v1/rooms/chat/lobby", abi.CodeMethodNotAllowed},
		{"get", "/v1/rooms/chat/lobby", abi.CodeMethodNotAllowed},
		{"GET", "/v1/rooms/chat/lobby/connections", abi.CodeMethodNotAllowed},
		{"DELETE", "/v1/rooms/chat/lobby/connections/x", abi.CodeMethodNotAllowed},
		{"POST", "/v1/rooms/chat/lobby/presence", abi.CodeMethodNotAllowed},
		{"POST", "/v1/presence/ann", abi.CodeMethodNotAllowed},
		{"GET", "/v1/tickets", abi.CodeMethodNotAllowed},
		{"POST", "/v1/dev/token", abi.CodeMethodNotAllowed},
	}
	for _, tt := range tests {
		got, err := ParseRoute(tt.method, tt.path)
		var e *Error
		if !errors.As(err, &e) || e.Op != "route" || !errors.Is(err, tt.code) || got != (Route{}) {
			t.Errorf("%s %.60q: got %+v, %v; want %v", tt.method, tt.path, got, err, tt.code)
		}
	}
}

func TestValidUser(t *testing.T) {
	for s, want := range map[string]bool{
		"ann": true, "auth0|5f": true, "ann smith": true, "zoé": true, "王": true, "a/b": true,
		strings.Repeat("a", abi.MaxUser): true, strings.Repeat("a", abi.MaxUser+1): false,
		"": false, " a": false, "a ": false, "a\n": false, "a\x7f": false, "a\u200bb": false,
		"\u202ea": false, "a\u00a0b": false, "\xff": false, "\ufffd": false, "a\x00": false,
	} {
		if ValidUser(s) != want {
			t.Errorf("%.40q: got %v", s, !want)
		}
	}
}

func TestCheckQuery(t *testing.T) {
	for _, q := range []string{"", "a=b", "a=b&c", "since=12&tokens=3", "v=eyJhbGciOi", "a=%41+b", strings.Repeat("a", abi.MaxQuery)} {
		if err := CheckQuery(q); err != nil {
			t.Errorf("%.60q: got %v", q, err)
		}
	}
	for q, code := range map[string]abi.Code{
		"token=x": abi.CodeUnauthenticated, "a=b&TOKEN=x": abi.CodeUnauthenticated, "token": abi.CodeUnauthenticated,
		"%74oken=x": abi.CodeUnauthenticated, "a=b;jwt=x": abi.CodeUnauthenticated, "access_token=": abi.CodeUnauthenticated,
		"q=eyJh.eyJz.sig": abi.CodeUnauthenticated, "q=%65yJh.eyJz.sig": abi.CodeUnauthenticated, "eyJh.eyJz.sig": abi.CodeUnauthenticated,
		"ticket=x": abi.CodeUnauthenticated, "Ticket": abi.CodeUnauthenticated,
		"a=%": abi.CodeMalformed, "%zz=1": abi.CodeMalformed, "a= b": abi.CodeMalformed, "a=#": abi.CodeMalformed, "a=é": abi.CodeMalformed,
		strings.Repeat("a", abi.MaxQuery+1): abi.CodeTooLarge,
	} {
		if err := CheckQuery(q); !errors.Is(err, code) {
			t.Errorf("%.60q: got %v, want %v", q, err, code)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, s := range []string{"/v1/rooms/chat/lobby", "/v1/rooms/a/b/c%20d", "/v1/rooms/a/b/connections/x", "/v1/presence/a%2fb", "/v1/users/a%20b/notify", "/v1/rooms/a/%2e%2e"} {
		f.Add("GET", s)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := ParseRoute(method, path)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Detail == "" {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		switch r.Target {
		case TargetUserPresence, TargetUserNotify:
			if !ValidUser(r.User) {
				t.Fatalf("user %q", r.User)
			}
		case TargetTickets, TargetDevToken:
		default:
			if !abi.ValidName(r.Kind) || !abi.ValidName(r.Room) {
				t.Fatalf("names %q %q", r.Kind, r.Room)
			}
			// Whoever cleans or decodes the path sees the same room.
			u, err := url.Parse(path)
			if err != nil {
				t.Fatalf("net/url refuses %q: %v", path, err)
			}
			if clean := u.JoinPath().Path; !strings.HasPrefix(clean, "/v1/rooms/"+r.Kind+"/"+r.Room) {
				t.Fatalf("%q cleans to %q", path, clean)
			}
			if len(r.Sub) > abi.MaxPath || r.Sub != "" && r.Sub[0] != '/' {
				t.Fatalf("sub %q", r.Sub)
			}
		}
	})
}

func FuzzCheckQuery(f *testing.F) {
	for _, s := range []string{"a=b&c=d", "token=x", "%74oken=x", "a=eyJh.b.c", "a;b=%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if CheckQuery(raw) != nil {
			return
		}
		values, err := url.ParseQuery(raw)
		if err != nil && !strings.Contains(raw, ";") {
			t.Fatalf("net/url refuses %q: %v", raw, err)
		}
		for name := range values {
			if strings.EqualFold(name, "token") || strings.EqualFold(name, "access_token") {
				t.Fatalf("%q carries a token", raw)
			}
		}
	})
}
