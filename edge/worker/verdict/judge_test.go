package verdict_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/edge/worker/verdict"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

const secret = "0123456789abcdef0123456789abcdef"

var now = time.UnixMilli(1_790_000_000_000)

func judge(t *testing.T, change func(*verdict.Settings)) *verdict.Judge {
	t.Helper()
	s := verdict.Settings{Kinds: `[{"name":"chat","protocols":["oriel.v1.json"]},{"name":"open","anonymous":true}]`, Secret: secret, Cookie: "oriel"}
	if change != nil {
		change(&s)
	}
	j, err := verdict.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func token(t *testing.T, actions ...string) string {
	t.Helper()
	key, err := admission.NewSecret("", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	text, err := admission.Mint(key, admission.Claims{User: "änn", IssuedAt: now, Expires: now.Add(time.Hour), Actions: actions})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// head is what the glue tells of a request; fields are names and values in turn.
func head(method, url string, fields ...string) string {
	text := method + " " + url
	for i := 0; i < len(fields); i += 2 {
		text += "\n" + fields[i] + ": " + fields[i+1]
	}
	return text
}

func TestJudge(t *testing.T) {
	j := judge(t, nil)
	for _, tt := range []struct {
		name, method, url string
		headers           []string
		want              verdict.Verdict
	}{
		{"a socket", "GET", "https://edge.test/v1/rooms/chat/lobby?a=1",
			[]string{"upgrade", "websocket", "sec-websocket-protocol", "oriel.v1.json, bearer." + token(t), "cf-connecting-ip", "2001:db8::1"},
			verdict.Verdict{Do: verdict.Socket, Kind: "chat", Room: "lobby", Query: "a=1", User: "änn", Protocol: "oriel.v1.json", Address: "2001:db8::1", Key: "2001:db8::/64", Expires: now.Add(time.Hour).UnixMilli()}},
		{"a request", "POST", "https://edge.test/v1/rooms/chat/lobby/messages", []string{"authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Request, Kind: "chat", Room: "lobby", Path: "/messages", User: "änn", Expires: now.Add(time.Hour).UnixMilli()}},
		{"anonymous", "GET", "https://edge.test/v1/rooms/open/x", []string{"upgrade", "websocket"},
			verdict.Verdict{Do: verdict.Socket, Kind: "open", Room: "x"}},
		{"no credential", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"upgrade", "websocket"},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeUnauthenticated, Upgrade: true}},
		{"unknown kind", "GET", "https://edge.test/v1/rooms/none/lobby", nil, verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeUnknownKind}},
		{"bad name", "GET", "https://edge.test/v1/rooms/chat/a%2Fb", nil, verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeBadName}},
		{"other origin", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"upgrade", "websocket", "origin", "https://evil.test", "authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeForbidden, Upgrade: true}},
		{"a token in the URL", "GET", "https://edge.test/v1/rooms/chat/lobby?token=" + token(t), nil, verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeForbidden}},
		{"no dev token", "GET", "https://edge.test/v1/dev/token?user=ann", nil, verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeNotFound}},
		{"where a user is", "GET", "https://edge.test/v1/presence/%C3%A4nn", []string{"authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Presence, User: "änn"}},
		{"where a user is, without a credential", "GET", "https://edge.test/v1/presence/bob", nil, verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeUnauthenticated}},
		{"saying something to a user", "POST", "https://edge.test/v1/users/b%C3%B6b/notify?event=e", []string{"authorization", "Bearer " + token(t, "notify")},
			verdict.Verdict{Do: verdict.Notify, User: "böb", Query: "event=e"}},
		{"the same, without the action", "POST", "https://edge.test/v1/users/bob/notify?event=e", []string{"authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeForbidden}},
		{"who is in a room", "GET", "https://edge.test/v1/rooms/chat/lobby/presence", []string{"authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Request, Kind: "chat", Room: "lobby", Path: "/presence", User: "änn", Expires: now.Add(time.Hour).UnixMilli()}},
		{"a token in a cookie", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"origin", "https://edge.test", "cookie", "a=1, 2; oriel=" + token(t)},
			verdict.Verdict{Do: verdict.Request, Kind: "chat", Room: "lobby", User: "änn", Expires: now.Add(time.Hour).UnixMilli()}},
		{"two tokens in one field", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"authorization", "Bearer " + token(t) + ", Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeMalformed}},
		{"two origins in one field", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"origin", "https://edge.test, https://evil.test", "authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeForbidden}},
		{"another host in the head", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"host", "other.test", "origin", "https://edge.test", "authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeForbidden}},
		{"fields in the URL", "GET", "https://edge.test/v1/rooms/chat/lobby?a=%0Aauthorization:%20Bearer%20x#b", nil,
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeUnauthenticated}},
		{"an event stream", "GET", "https://edge.test/v1/rooms/chat/lobby", []string{"accept", "text/event-stream", "authorization", "Bearer " + token(t)},
			verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeNotFound}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := j.Judge(head(tt.method, tt.url, tt.headers...), now)
			if tt.want.Do == verdict.Refuse {
				if got.Do != verdict.Refuse || got.Code != tt.want.Code && tt.name != "a token in the URL" || got.Upgrade != tt.want.Upgrade {
					t.Errorf("got %+v, want %+v", got, tt.want)
				}
			} else if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if strings.Contains(got.Encode(), "eyJ") {
				t.Errorf("the verdict carries a credential: %s", got.Encode())
			}
		})
	}
}

func TestDevTokenIsAdmitted(t *testing.T) {
	j := judge(t, func(s *verdict.Settings) { s.Secret, s.Dev = "", "1" })
	v := j.Judge(head("GET", "http://127.0.0.1:8787/v1/dev/token?user=ann"), now)
	if v.Do != verdict.Token {
		t.Fatalf("got %+v", v)
	}
	r := head("POST", "http://127.0.0.1:8787/v1/rooms/chat/lobby", "authorization", "Bearer "+v.Token)
	if v := j.Judge(r, now); v.Do != verdict.Request || v.User != "ann" {
		t.Errorf("got %+v", v)
	}
	r = head("GET", "http://rebound.test:8787/v1/dev/token?user=ann")
	if v := j.Judge(r, now); v.Do != verdict.Refuse || v.Code != abi.CodeForbidden {
		t.Errorf("another name: got %+v", v)
	}
}

func TestFirstMessage(t *testing.T) {
	j := judge(t, func(s *verdict.Settings) { s.FirstMessage = "1" })
	ask := func(method, message string) verdict.Verdict {
		fields := []string{"sec-websocket-protocol", "oriel.v1.json", "cf-connecting-ip", "192.0.2.1"}
		if method == "GET" {
			fields = append(fields, "upgrade", "websocket")
		}
		if message != "" {
			fields = append(fields, "oriel-first-message", url.PathEscape(message))
		}
		return j.Judge(head(method, "https://edge.test/v1/rooms/chat/lobby?a=1", fields...), now)
	}
	want := verdict.Verdict{
		Do: verdict.Wait, Kind: "chat", Room: "lobby", Query: "a=1",
		Protocol: "oriel.v1.json", Address: "192.0.2.1", Key: "192.0.2.1/32",
	}
	if v := ask("GET", ""); v != want {
		t.Errorf("got %+v", v)
	}
	if v := ask("POST", ""); v.Do != verdict.Refuse || v.Code != abi.CodeUnauthenticated {
		t.Errorf("a request has no first message: got %+v", v)
	}
	want.Do, want.User, want.Expires = verdict.Socket, "änn", now.Add(time.Hour).UnixMilli()
	if v := ask("GET", `{"type":"auth","token":"`+token(t)+`"}`); v != want {
		t.Errorf("got %+v", v)
	}
	for message, code := range map[string]abi.Code{
		`{"type":"hello"}`:                abi.CodeWrongOrder,
		`{"type":"auth"}`:                 abi.CodeMalformed,
		`{"type":"auth","token":"a.b.c"}`: abi.CodeUnauthenticated,
		strings.Repeat("a", 9000):         abi.CodeTooLarge,
	} {
		if v := ask("GET", message); v.Do != verdict.Refuse || v.Code != code || !v.Upgrade {
			t.Errorf("%.40s: got %+v", message, v)
		}
	}
}

func TestEncode(t *testing.T) {
	var v verdict.Verdict
	fields := reflect.ValueOf(&v).Elem()
	want := make(map[string]any)
	for i := range fields.NumField() {
		name := strings.ToLower(fields.Type().Field(i).Name)
		if name == "do" {
			name = "to"
		}
		switch f := fields.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(name + " \"ä\u2028\x7f")
			want[name] = f.String()
		case reflect.Bool:
			f.SetBool(true)
			want[name] = true
		default: // numbers
			n := reflect.ValueOf(4000 + i)
			f.Set(n.Convert(f.Type()))
			want[name] = float64(4000 + i)
		}
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(v.Encode()), &got); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := (verdict.Verdict{}).Encode(); got != "{}" {
		t.Errorf("empty: %s", got)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []verdict.Settings{
		{},
		{Kinds: `[]`},
		{Kinds: `[]`, Secret: "short"},
		{Kinds: `[{"name":"a/b"}]`, Secret: secret},
		{Kinds: `[]`, Secret: secret, Origins: "not an origin"},
		{Kinds: `[]`, Secret: secret, Cookie: "a b"},
	} {
		_, err := verdict.New(s)
		if !errors.Is(err, verdict.ErrSettings) {
			t.Errorf("%+v: got %v", s, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

// FuzzJudge: whatever the glue sends, nobody comes in without a token, and nothing panics.
func FuzzJudge(f *testing.F) {
	j, err := verdict.New(verdict.Settings{Kinds: `[{"name":"chat"}]`, Secret: secret})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(head("GET", "https://edge.test/v1/rooms/chat/lobby?a#b", "upgrade", "websocket", "cf-connecting-ip", "::1%eth0"))
	f.Add(head("POST", "/v1/presence/ann", "origin", ",", "host", ""))
	f.Add("\n\n: \nhost: a\nhost: b")
	f.Fuzz(func(t *testing.T, head string) {
		if v := j.Judge(head, now); v.Do != verdict.Refuse || v.Code == 0 {
			t.Errorf("%q: got %+v", head, v)
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	j, err := verdict.New(verdict.Settings{Kinds: `[{"name":"open","anonymous":true}]`, Secret: secret})
	if err != nil {
		b.Fatal(err)
	}
	r := head("GET", "https://edge.test/v1/rooms/open/x", "upgrade", "websocket")
	b.ReportAllocs()
	for b.Loop() {
		_ = j.Judge(r, now).Encode()
	}
}
