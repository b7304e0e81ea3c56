package admission_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

// A host asks the door about every request under /v1/.
func Example() {
	secret, err := admission.NewSecret("", []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		panic(err)
	}
	door, err := admission.New(admission.Policy{Keys: admission.Secrets{secret}})
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	token, err := admission.Mint(secret, admission.Claims{
		User:    "ann",
		Expires: now.Add(time.Hour),
		Rooms:   []string{"chat/team-*"},
		More:    map[string]any{"name": "Ann"},
	})
	if err != nil {
		panic(err)
	}

	facts := admission.Facts{Kind: func(name string) (abi.KindOptions, bool) {
		return abi.KindOptions{Name: name, Protocols: []string{"oriel.v1.json"}}, name == "chat"
	}}
	for _, room := range []string{"team-1", "lobby"} {
		r := httptest.NewRequest("GET", "/v1/rooms/chat/"+room, nil)
		r.Header.Set("Upgrade", "websocket")
		r.Header.Set("Sec-WebSocket-Protocol", "oriel.v1.json, bearer."+token)
		headers := admission.HeadersOf(r.Header)
		remote, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			panic(err)
		}
		request := admission.Request{
			Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host,
			Headers: headers, Client: admission.ClientOf(remote.Addr(), r.TLS != nil, headers, nil), Now: now,
		}
		switch d := door.Decide(&request, facts).(type) {
		case *admission.Allow:
			fmt.Println("allow", d.Identity.User, "into", d.Route.Room, "with", d.Protocol, string(d.Identity.Claims))
		case *admission.Refuse:
			fmt.Println("refuse", d.Code.String(), int(d.Code), "-", d.Detail)
		case *admission.Need:
			fmt.Println("need", d.What)
		}
	}
	// Output:
	// allow ann into team-1 with oriel.v1.json {"name":"Ann","oriel":{"rooms":["chat/team-*"]}}
	// refuse forbidden 4200 - the credential does not allow this
}

func ExampleLimiter() {
	limiter := admission.NewLimiter[netip.Prefix](admission.Rate{PerSecond: 2, Burst: 3}, 0)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	client := admission.ClientOf(netip.MustParseAddr("192.0.2.7"), false, admission.Headers{}, nil)
	for range 4 {
		retry, ok := limiter.Take(client.Key(), now)
		fmt.Println(ok, retry)
	}
	// Output:
	// true 0s
	// true 0s
	// true 0s
	// false 500ms
}

func ExampleParseOrigins() {
	_, err := admission.ParseOrigins("https://example.com", "https://*.example.com", "example.com")
	fmt.Println(err)
	// Output:
	// admission: bad origin: "example.com" is not like https://example.com, http://localhost:3000 or https://*.example.com
}
