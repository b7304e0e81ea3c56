package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// An attendance is who should be connected: each user once, to one room.
type attendance struct {
	client map[string]*client.Client // by user
	in     map[string]string         // room by user
	// users and members are the longest times until presence was right, of users and in rooms.
	users, members time.Duration
}

func (a *attendance) add(user, room string, c *client.Client) { a.client[user], a.in[user] = c, room }

// ghosts is how long a room keeps the connections of a gateway that it has lost sight of.
const ghosts = 6 * time.Second

// check waits until everybody is connected, and then, a lease and not more, until every user is found
// exactly where the user is. Rooms know by themselves who is in them; they have longer.
func (a *attendance) check(t *testing.T, n *node, after string, lease time.Duration) {
	t.Helper()
	for _, c := range a.client {
		ready(t, c)
	}
	began := time.Now()
	within := func(limit time.Duration, wrong func() string) time.Duration {
		for {
			asked := time.Now()
			why := wrong()
			switch took := asked.Sub(began); {
			case why == "":
				return took
			case took > limit+2*slack(t):
				t.Errorf("%s after %q and its end, presence is wrong: %s", took, after, why)
				return took
			}
			<-time.After(300 * time.Millisecond) // no event tells of it, and nodes bound the attempts of an address
		}
	}
	a.users = max(a.users, within(lease, func() string {
		for user, room := range a.in {
			var u presence.User
			if status := n.json("/v1/presence/"+user, token(t, user), &u); status != http.StatusOK {
				return fmt.Sprintf("of %s: %d", user, status)
			}
			if !u.Online || u.Connections != 1 || len(u.Rooms) != 1 || u.Rooms[0].Kind+"/"+u.Rooms[0].Room != room || u.Rooms[0].Connections != 1 {
				return fmt.Sprintf("%s is in %s and said to be %+v", user, room, u)
			}
		}
		return ""
	}))
	a.members = max(a.members, within(max(lease, ghosts), func() string {
		for _, room := range slices.Compact(slices.Sorted(maps.Values(a.in))) {
			var page struct {
				Members []struct {
					User        string `json:"user"`
					Connections int    `json:"connections"`
				} `json:"members"`
			}
			if status := n.json("/v1/rooms/"+room+"/presence", token(t, "auditor of "+room), &page); status != http.StatusOK {
				return fmt.Sprintf("in %s: %d", room, status)
			}
			want := 0
			for _, in := range a.in {
				if in == room {
					want++
				}
			}
			for _, m := range page.Members {
				if a.in[m.User] != room || m.Connections != 1 {
					return fmt.Sprintf("%+v in %s", m, room)
				}
			}
			if len(page.Members) != want {
				return fmt.Sprintf("%d members in %s, not %d", len(page.Members), room, want)
			}
		}
		return ""
	}))
}

// json asks, and decodes the answer. 0: there was none.
func (n *node) json(path, token string, v any) (status int) {
	r, err := http.NewRequestWithContext(limited(n.t), http.MethodGet, "http://"+n.addr+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := n.http.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(v) != nil {
		return 0
	}
	return res.StatusCode
}
