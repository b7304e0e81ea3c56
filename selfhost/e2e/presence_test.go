package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// ask makes an authenticated GET.
func (n *node) ask(path, token string) (int, string) {
	n.t.Helper()
	r, err := http.NewRequestWithContext(limited(n.t), http.MethodGet, "http://"+n.addr+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := n.http.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestPresence asks where a user is, and who is in a room, while clients come and go.
func TestPresence(t *testing.T) {
	n := newNode(t, "--module", built.kinds)
	n.start()
	bob := token(t, "bob")
	where := func() (u presence.User) {
		status, body := n.ask("/v1/presence/ann", bob)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
		if err := json.Unmarshal([]byte(body), &u); err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := where(); u.Online || len(u.Rooms) != 0 {
		t.Fatalf("before: %+v", u)
	}
	first, second := n.client("journal/one", "ann"), n.client("journal/two", "ann")
	ready(t, first)
	ready(t, second)
	if u := where(); !u.Online || u.Connections != 2 || len(u.Rooms) != 2 || u.Rooms[0].Room != "one" || u.Rooms[0].Kind != "journal" {
		t.Fatalf("with two connections: %+v", u)
	}
	if status, body := n.ask("/v1/rooms/journal/one/presence", bob); status != http.StatusOK || !json.Valid([]byte(body)) {
		t.Errorf("of the room: %d %s", status, body)
	}
	first.Close()
	eventually(t, func() bool { return where().Connections == 1 })
	second.Abandon()
	eventually(t, func() bool { return where().Connections == 0 })
	if u := where(); !u.Online || len(u.Rooms) != 0 {
		t.Errorf("right after the last connection: %+v", u)
	}

	if status, _ := n.ask("/v1/presence/ann", ""); status != http.StatusUnauthorized {
		t.Errorf("without a credential: %d", status)
	}
	narrow := token(t, "bob", func(c *admission.Claims) { c.Actions = []string{"connect"} })
	if status, _ := n.ask("/v1/presence/ann", narrow); status != http.StatusForbidden {
		t.Errorf("with a token for connecting only: %d", status)
	}
}

// eventually polls what no event announces.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	ctx := limited(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it never happened")
		}
	}
}
