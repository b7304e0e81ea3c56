package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

// a listener is a client that keeps what it hears of others, and what is said to it.
type listener struct {
	*client.Client
	t testing.TB

	mu      sync.Mutex // guards the fields below
	state   map[string]string
	notices []string
}

func listen(t testing.TB, n *node, room, user, device string) *listener {
	t.Helper()
	l := &listener{t: t, state: make(map[string]string)}
	l.Client = n.client(room, user, func(o *client.Options) {
		o.Device = device
		o.Event = func(e *protocol.Event) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.state[e.From] = e.Name
		}
		o.Notify = func(event string, p protocol.Payload) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.notices = append(l.notices, event+" "+string(p.Data))
		}
	})
	ready(t, l.Client)
	return l
}

func (l *listener) say(event, user, data string) {
	l.t.Helper()
	p := protocol.JSONPayload(fmt.Sprintf(`{"user":%q,"data":%q}`, user, data))
	if _, err := l.Publish(limited(l.t), event, p); err != nil {
		l.t.Fatal(err)
	}
}

func (l *listener) sees(user, state string) {
	l.t.Helper()
	eventually(l.t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.state[user] == state
	})
}

// heard waits until a notice has come and returns all of them.
func (l *listener) heard(last string) []string {
	l.t.Helper()
	var got []string
	eventually(l.t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		got = slices.Clone(l.notices)
		return slices.Contains(got, last)
	})
	return got
}

// notify says something to a user as a backend does.
func (n *node) notify(user, event, contentType, body, token string) (int, string) {
	n.t.Helper()
	url := "http://" + n.addr + "/v1/users/" + user + "/notify?event=" + event
	r, err := http.NewRequestWithContext(limited(n.t), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := n.http.Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return res.StatusCode, strings.TrimSpace(string(b))
}

func backend(t testing.TB) string {
	return token(t, "backend", func(c *admission.Claims) { c.Actions = []string{"notify"} })
}

// TestNotify says something to a user of one node over HTTP, and what nobody may say.
func TestNotify(t *testing.T) {
	n := newNode(t, "--module", built.kinds)
	n.start()
	cmd := exec.Command(built.oriel, "token", "--user", "shop", "--actions", "notify") // as the README says
	cmd.Env = append(os.Environ(), "ORIEL_SECRET="+secret)
	shop, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	phone := listen(t, n, "friends/one", "ann", "phone")
	newer := listen(t, n, "journal/two", "ann", "phone")
	const jsonType, bytesType = "application/json", "application/octet-stream"
	for _, tt := range []struct {
		user, event, contentType, body, token string
		status                                int
		want                                  string
	}{
		{"ann", "mention", jsonType, `{"by":"bob"}`, backend(t), 200, `{"devices":1}`},
		{"ann", "bytes", bytesType, "\xff", backend(t), 200, `{"devices":1}`},
		{"ann", "empty", jsonType, "", backend(t), 200, `{"devices":1}`},
		{"nobody", "mention", jsonType, `1`, backend(t), 200, `{"devices":0}`},
		{"ann", "", jsonType, `1`, backend(t), 422, "invalid"},
		{"ann", "a%20b", jsonType, `1`, backend(t), 422, "invalid"},
		{"ann", strings.Repeat("e", abi.MaxNotification+1), jsonType, `1`, backend(t), 422, "invalid"},
		{"ann", "mention", jsonType, `{"by":`, backend(t), 400, "malformed"},
		{"ann", "mention", jsonType, "\"\xff\"", backend(t), 400, "malformed"},
		{"ann", "mention", bytesType, strings.Repeat("x", abi.MaxNotify+1), backend(t), 413, "too_large"},
		{"ann", "largest", bytesType, strings.Repeat("x", abi.MaxNotify), backend(t), 200, `{"devices":1}`},
		{"ann", "mention", jsonType, `1`, token(t, "bob"), 403, "forbidden"},
		{"ann", "mention", jsonType, `1`, "nonsense", 401, "unauthenticated"},
		{"a%2fb", "mention", jsonType, `1`, backend(t), 400, "bad_name"},
		{"ann", "last", jsonType, `"last"`, strings.TrimSpace(string(shop)), 200, `{"devices":1}`},
	} {
		if status, body := n.notify(tt.user, tt.event, tt.contentType, tt.body, tt.token); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %.20s %.20q: %d %s, want %d %s", tt.user, tt.event, tt.body, status, body, tt.status, tt.want)
		}
	}
	want := []string{`mention {"by":"bob"}`, "bytes \xff", "empty ", "largest " + strings.Repeat("x", abi.MaxNotify), `last "last"`}
	if got := newer.heard(want[4]); !slices.Equal(got, want) {
		t.Errorf("the newest connection heard %.200q", got)
	}
	if got := phone.soFar(); len(got) > 0 {
		t.Errorf("the older connection of the device heard %.200q", got)
	}
}

func (l *listener) soFar() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.notices)
}

// TestClusterWatch: ann watches bob from a node that he is not on. His node dies, her room's owner dies, and
// each time she sees what is true.
func TestClusterWatch(t *testing.T) {
	const lease = 2 * time.Second
	f := newFleet(t, 3, lease, redistest.Durable, "--module", built.kinds)
	f.start()
	a, c := f.nodes[0].node, f.nodes[2].node

	// So many rooms that each node owns some of them: whoever dies, an owner does.
	watchers := make(map[string]*listener)
	for _, room := range spread("friends", 24) {
		ann := listen(t, c, room, "ann", "")
		ann.say("watch", "bob", "")
		ann.sees("bob", "offline")
		watchers[room] = ann
	}
	all := func(state string) {
		t.Helper()
		for _, ann := range watchers {
			ann.sees("bob", state)
		}
	}
	bob := listen(t, a, "journal/one", "bob", "")
	all("online")
	began := time.Now()
	f.nodes[0].kill() // bob's, and the owner of some of the rooms
	all("offline")
	if !strings.Contains(f.nodes[2].process.log.String(), "a room's owner is gone or out of reach") {
		t.Error("none of the watching rooms had its owner on the node that died")
	}
	t.Logf("all saw it %s after the kill, with a lease of %s", time.Since(began).Round(time.Millisecond), lease)
	bob.Close()

	// Rooms whose owner died watch on.
	bob = listen(t, f.nodes[1].node, "journal/one", "bob", "")
	all("online")
	for _, ann := range watchers {
		ann.say("unwatch", "bob", "")
		break
	}
	bob.Close()
}

// TestClusterNotify: a user has two devices on two nodes, in three rooms. Each device hears each notification
// once, whoever says it and wherever the rooms run.
func TestClusterNotify(t *testing.T) {
	f := newFleet(t, 3, 5*time.Second, redistest.Durable, "--module", built.kinds)
	f.start()
	rooms := spread("friends", 8)
	older := listen(t, f.nodes[0].node, rooms[0], "ann", "phone")
	time.Sleep(2 * time.Millisecond) // which of two is the newer, clocks say in milliseconds
	phone := listen(t, f.nodes[1].node, rooms[1], "ann", "phone")
	tablet := listen(t, f.nodes[2].node, rooms[2], "ann", "tablet")
	for _, n := range f.nodes { // presence of another node is seen a moment later
		eventually(t, func() bool {
			_, body := n.ask("/v1/presence/ann", token(t, "ann"))
			return strings.Contains(body, `"connections":3`)
		})
	}
	var want []string
	for i, room := range rooms { // of all owners
		bob := listen(t, f.nodes[i%3].node, room, "bob", "")
		bob.say("notify", "ann", fmt.Sprint("n", i))
		want = append(want, fmt.Sprintf("poke %q", fmt.Sprint("n", i)))
	}
	for i, n := range f.nodes {
		if status, body := n.notify("ann", "http", "application/json", fmt.Sprint(i), backend(t)); status != 200 || body != `{"devices":2}` {
			t.Errorf("node %d: %d %s", i, status, body)
		}
		want = append(want, fmt.Sprint("http ", i))
	}
	for _, device := range []*listener{phone, tablet} {
		for _, w := range want {
			device.heard(w)
		}
		got := device.soFar()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("a device heard %q, want %q", got, want)
		}
	}
	if got := older.soFar(); len(got) > 0 {
		t.Errorf("the older connection of the phone heard %q", got)
	}
}
