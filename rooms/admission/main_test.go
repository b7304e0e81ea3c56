package admission

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testSecret(t testing.TB, id, text string) Secret {
	t.Helper()
	s, err := NewSecret(id, []byte(strings.Repeat(text, MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testDoor(t testing.TB, change func(*Policy)) *Door {
	t.Helper()
	p := Policy{Keys: Secrets{testSecret(t, "", "k")}, Cookie: "oriel"}
	if change != nil {
		change(&p)
	}
	d, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mint returns a good token of ann, changed.
func mint(t testing.TB, change func(*Claims)) string {
	t.Helper()
	c := Claims{User: "ann", Expires: now.Add(time.Hour)}
	if change != nil {
		change(&c)
	}
	token, err := Mint(testSecret(t, "", "k"), c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func testKinds(name string) (abi.KindOptions, bool) {
	switch name {
	case "chat":
		return abi.KindOptions{Name: name, Protocols: []string{"oriel.v1.bin", "oriel.v1.json"}}, true
	case "open":
		return abi.KindOptions{Name: name, Protocols: []string{"oriel.v1.json"}, Anonymous: true}, true
	case "raw":
		return abi.KindOptions{Name: name, Anonymous: true}, true
	}
	return abi.KindOptions{}, false
}

func testFacts() Facts { return Facts{Kind: testKinds} }

// upgrade is a WebSocket upgrade as a browser on the server's own page sends it.
func upgrade(path string, protocols ...string) Request {
	return Request{
		Method: "GET", Path: path, Host: "rooms.example.com", Now: now,
		Headers: Headers{
			Upgrade: []string{"websocket"}, Protocol: protocols,
			Origin: []string{"https://rooms.example.com"},
		},
	}
}
