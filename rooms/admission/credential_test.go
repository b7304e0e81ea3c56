package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestParseOffers(t *testing.T) {
	long := strings.Repeat("a", abi.MaxProtocol)
	count := func(n int) []string {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprint("p", i))
		}
		return names
	}
	tests := []struct {
		values []string
		names  []string
		token  string
		code   abi.Code
	}{
		{nil, nil, "", 0},
		{[]string{""}, nil, "", 0},
		{[]string{" , ,"}, nil, "", 0},
		{[]string{"a,b", " c\t"}, []string{"a", "b", "c"}, "", 0},
		{[]string{"bearer.x_-.y"}, nil, "x_-.y", 0},
		{[]string{"a", "BEARER.x, b"}, []string{"a", "b"}, "x", 0},
		{[]string{"bearer"}, []string{"bearer"}, "", 0},
		{[]string{long}, []string{long}, "", 0},
		{[]string{long + "a"}, nil, "", abi.CodeMalformed},
		{count(maxOffers), count(maxOffers), "", 0},
		{count(maxOffers + 1), nil, "", abi.CodeTooLarge},
		{[]string{"a,a"}, nil, "", abi.CodeMalformed},
		{[]string{"a b"}, nil, "", abi.CodeMalformed},
		{[]string{`"a"`}, nil, "", abi.CodeMalformed},
		{[]string{"é"}, nil, "", abi.CodeMalformed},
		{[]string{"a\x00"}, nil, "", abi.CodeMalformed},
		{[]string{"bearer.x", "bearer.x"}, nil, "", abi.CodeMalformed},
		{[]string{"bearer."}, nil, "", abi.CodeUnauthenticated},
		{[]string{"bearer.x=y"}, nil, "", abi.CodeUnauthenticated},
		{[]string{"bearer." + strings.Repeat("a", MaxToken)}, nil, strings.Repeat("a", MaxToken), 0},
		{[]string{"bearer." + strings.Repeat("a", MaxToken+1)}, nil, "", abi.CodeTooLarge},
		{[]string{strings.Repeat(",", maxOfferBytes+1)}, nil, "", abi.CodeTooLarge},
	}
	for _, tt := range tests {
		o, err := parseOffers(tt.values)
		if tt.code != 0 {
			if err == nil || err.Code != tt.code || o.names != nil || o.token != "" {
				t.Errorf("%.60q: got %+v, %v", tt.values, o, err)
			}
			continue
		}
		if err != nil || !slices.Equal(o.names, tt.names) || o.token != tt.token {
			t.Errorf("%.60q: got %+v, %v", tt.values, o, err)
		}
	}
}

func TestCookieValue(t *testing.T) {
	tests := []struct {
		values []string
		want   string
		code   abi.Code
	}{
		{nil, "", 0},
		{[]string{"oriel=x"}, "x", 0},
		{[]string{"a=b;oriel=x;c=d"}, "x", 0},
		{[]string{"a=b", " oriel=x"}, "x", 0},
		{[]string{"oriel"}, "", 0},
		{[]string{"oriel="}, "", 0},
		{[]string{"Oriel=x; xoriel=y; oriel2=z; a=oriel=q"}, "", 0},
		{[]string{"oriel=a=b"}, "a=b", 0}, // refused as a token later
		{[]string{"oriel=x; oriel=x"}, "", abi.CodeMalformed},
		{[]string{"oriel=; oriel=x"}, "", abi.CodeMalformed},
		{[]string{"oriel=x; a=" + strings.Repeat("b", MaxCookies-len("oriel=x; a="))}, "x", 0},
		{[]string{"oriel=x; a=" + strings.Repeat("b", MaxCookies-len("oriel=x; a=")+1)}, "", abi.CodeTooLarge},
	}
	for _, tt := range tests {
		got, err := cookieValue(tt.values, "oriel")
		if got != tt.want || tt.code == 0 && err != nil || tt.code != 0 && (err == nil || err.Code != tt.code) {
			t.Errorf("%.60q: got %q, %v", tt.values, got, err)
		}
	}
}

func TestHeadersOf(t *testing.T) {
	want := Headers{
		Accept: []string{"1"}, Authorization: []string{"2"}, Cookie: []string{"3"}, Origin: []string{"4"}, Protocol: []string{"5"},
		FetchSite: []string{"6"}, Upgrade: []string{"7"}, ForwardedFor: []string{"8"}, ForwardedProto: []string{"9"},
	}
	got := HeadersOf(map[string][]string{
		"Accept": {"1"}, "Authorization": {"2"}, "Cookie": {"3"}, "Origin": {"4"}, "Sec-Websocket-Protocol": {"5"},
		"Sec-Fetch-Site": {"6"}, "Upgrade": {"7"}, "X-Forwarded-For": {"8"}, "X-Forwarded-Proto": {"9"},
	})
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v", got)
	}
}

func TestNewSecret(t *testing.T) {
	for _, tt := range []struct {
		id   string
		size int
		ok   bool
	}{
		{"", MinSecret, true}, {"", MinSecret - 1, false}, {"", 0, false},
		{"", MaxSecret, true}, {"", MaxSecret + 1, false},
		{strings.Repeat("a", maxKeyID), MinSecret, true}, {strings.Repeat("a", maxKeyID+1), MinSecret, false}, {"a b", MinSecret, false},
	} {
		_, err := NewSecret(tt.id, bytes.Repeat([]byte{'s'}, tt.size))
		if (err == nil) != tt.ok || err != nil && (!errors.Is(err, ErrSecret) || strings.Contains(err.Error(), "sss")) {
			t.Errorf("%q, %d bytes: got %v", tt.id, tt.size, err)
		}
	}
	key := bytes.Repeat([]byte{'s'}, MinSecret)
	s, err := NewSecret("a", key)
	if err != nil {
		t.Fatal(err)
	}
	key[0] = 0
	again, _ := NewSecret("a", bytes.Repeat([]byte{'s'}, MinSecret))
	if !s.Equal(again) || s.Equal(Secret{}) || !(Secret{}).Equal(Secret{}) || s.ID() != "a" {
		t.Error("the secret changed with its source, or Equal is wrong")
	}
}

func TestSecretIsRedacted(t *testing.T) {
	const key = "correct horse battery staple 0123456789"
	s, err := NewSecret("", []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct{ s []Secret }
	d := testDoor(t, func(p *Policy) { p.Keys = Secrets{s} })
	var out bytes.Buffer
	for _, v := range []any{s, &s, []Secret{s}, map[string]Secret{"a": s}, hidden{[]Secret{s}}, &hidden{[]Secret{s}}, Secrets{s}, Policy{Keys: Secrets{s}}, d, *d} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
	}
	for _, leak := range []string{"correct", fmt.Sprintf("%x", "correct"), "99 111 114 114", "0x63, 0x6f", "Y29ycmVjd"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the secret leaks as %q:\n%.2000s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing was printed")
	}
}

func FuzzOffers(f *testing.F) {
	for _, s := range []string{"oriel.v1.json, bearer.a.b.c", "a,,b", "BEARER.x"} {
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		o, err := parseOffers([]string{a, b})
		if err != nil {
			return
		}
		if len(o.names) > maxOffers || o.token != "" && checkToken(o.token) != nil {
			t.Fatalf("got %+v", o)
		}
		for _, name := range o.names {
			if !isToken(name) || len(name) > abi.MaxProtocol || strings.HasPrefix(strings.ToLower(name), "bearer.") {
				t.Fatalf("got %+v", o)
			}
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add("a=b; oriel=x; c")
	f.Add("oriel=x;oriel=y")
	f.Fuzz(func(t *testing.T, header string) {
		v, err := cookieValue([]string{header}, "oriel")
		if err == nil && (strings.Contains(v, ";") || !strings.Contains(header, v)) {
			t.Fatalf("got %q", v)
		}
	})
}

func FuzzDecide(f *testing.F) {
	d := testDoor(f, nil)
	f.Add("GET", "/v1/rooms/chat/lobby", "", "Bearer a.b.c", "oriel=x", "https://h", "oriel.v1.json", "h")
	f.Fuzz(func(t *testing.T, method, path, query, authorization, cookie, origin, protocol, host string) {
		r := Request{Method: method, Path: path, Query: query, Host: host, Now: now, Headers: Headers{
			Authorization: []string{authorization}, Cookie: []string{cookie}, Origin: []string{origin},
			Protocol: []string{protocol}, Upgrade: []string{"websocket"},
		}}
		switch got := d.Decide(&r, testFacts()).(type) {
		case *Refuse:
			if got.Detail == "" || got.Code.Info().Status < 400 {
				t.Fatalf("got %+v", got)
			}
		case *Allow:
			if got.Identity.User != "" {
				t.Fatalf("%+v is admitted as %q", r, got.Identity.User)
			}
		}
	})
}
