package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/coder/websocket"
)

// entry is one event of a room's history, as the independent reader sees it.
type entry struct {
	Offset uint64          `json:"offset"`
	Event  string          `json:"event"`
	From   string          `json:"from"`
	Time   uint64          `json:"time"`
	Data   json.RawMessage `json:"data"`
}

// claim is what a publisher was told.
type claim struct {
	offset uint64
	data   string // the payload, unique in its room
	from   string // publisher
	n      int    // its number, rising
}

// history reads a room from its first event to its last, without any of this project's code.
func history(t testing.TB, addr, room, token string) []entry {
	t.Helper()
	ctx := limited(t)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	ws, _, err := websocket.Dial(ctx, "ws://"+addr+"/v1/rooms/"+room, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: transport},
		HTTPHeader:   http.Header{"Authorization": {"Bearer " + token}},
		Subprotocols: []string{"oriel.v1.json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close(websocket.StatusNormalClosure, "")
	ws.SetReadLimit(4 << 20)
	send := func(v any) {
		b, _ := json.Marshal(v)
		if err := ws.Write(ctx, websocket.MessageText, b); err != nil {
			t.Fatal(err)
		}
	}
	type message struct {
		Type string `json:"type"`
		ID   int    `json:"id"`
		Code string `json:"code"`
		Data struct {
			Events []entry `json:"events"`
			More   bool    `json:"more"`
		} `json:"data"`
	}
	await := func(typ string, id int) message {
		for {
			_, b, err := ws.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				Type string `json:"type"`
				ID   int    `json:"id"`
				Code string `json:"code"`
			}
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatalf("%v: %q", err, b)
			}
			if m.Type == "error" {
				t.Fatalf("error: %s", b)
			}
			if m.Type == typ && m.ID == id {
				var full message
				if typ == "response" {
					if err := json.Unmarshal(b, &full); err != nil {
						t.Fatalf("%v: %q", err, b)
					}
				}
				return full
			}
		}
	}
	send(map[string]any{"type": "hello"})
	await("welcome", 0)
	var all []entry
	for id := 1; ; id++ {
		after := uint64(0)
		if len(all) > 0 {
			after = all[len(all)-1].Offset
		}
		send(map[string]any{"type": "request", "id": id, "event": "history", "data": map[string]any{"after": after, "limit": 200}})
		page := await("response", id).Data
		all = append(all, page.Events...)
		if !page.More || len(page.Events) == 0 {
			return all
		}
	}
}

// faults compares a room's history with what its publishers were told. Every publisher's claims
// are all its publishes, in their order.
func faults(got []entry, claims []claim) (list []string) {
	say := func(format string, args ...any) {
		if len(list) < 20 {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	at := make(map[string]uint64)
	var time uint64
	for i, e := range got {
		if e.Offset != uint64(i)+1 {
			say("event %d has offset %d", i+1, e.Offset)
		}
		if e.Time < time {
			say("time goes back at offset %d", e.Offset)
		}
		time = e.Time
		if first, twice := at[string(e.Data)]; twice {
			say("%s is at %d and at %d", e.Data, first, e.Offset)
			continue
		}
		at[string(e.Data)] = e.Offset
	}
	known := make(map[string]bool)
	last := make(map[string]uint64)
	slices.SortStableFunc(claims, func(a, b claim) int { return a.n - b.n })
	for _, c := range claims {
		known[c.data] = true
		offset, ok := at[c.data]
		switch {
		case !ok:
			say("%s was acknowledged at %d and is lost", c.data, c.offset)
		case offset != c.offset:
			say("%s was acknowledged at %d and is at %d", c.data, c.offset, offset)
		case offset <= last[c.from]:
			say("%s at %d comes before what %s published before", c.data, offset, c.from)
		}
		last[c.from] = max(last[c.from], offset)
	}
	for _, e := range got {
		if !known[string(e.Data)] {
			say("%s at %d was published by nobody", e.Data, e.Offset)
		}
	}
	return list
}

// unheard compares what a reader heard since the room was empty with the history.
func unheard(heard []entry, got []entry) (list []string) {
	for i := range max(len(heard), len(got)) {
		switch {
		case i >= len(heard):
			return append(list, fmt.Sprintf("the reader heard %d of %d events", len(heard), len(got)))
		case i >= len(got):
			return append(list, fmt.Sprintf("the reader heard %s at %d, which is not in history", heard[i].Data, heard[i].Offset))
		case heard[i].Offset != got[i].Offset || string(heard[i].Data) != string(got[i].Data):
			return append(list, fmt.Sprintf("the reader heard %s at %d where history has %s at %d",
				heard[i].Data, heard[i].Offset, got[i].Data, got[i].Offset))
		}
	}
	return list
}

// TestTheCheckFindsFaults plants one fault after the other.
func TestTheCheckFindsFaults(t *testing.T) {
	world := func() ([]entry, []claim) {
		var got []entry
		var claims []claim
		for i := range 20 {
			data := fmt.Sprintf(`{"p":%d,"n":%d}`, i%2, i/2)
			got = append(got, entry{Offset: uint64(i) + 1, Time: uint64(i / 3), Data: json.RawMessage(data)})
			claims = append(claims, claim{offset: uint64(i) + 1, data: data, from: fmt.Sprint(i % 2), n: i / 2})
		}
		return got, claims
	}
	got, claims := world()
	if f := faults(got, claims); len(f) > 0 {
		t.Fatalf("a faultless history: %q", f)
	}
	if f := unheard(got, got); len(f) > 0 {
		t.Fatalf("a faultless reader: %q", f)
	}
	for name, plant := range map[string]func(got []entry, claims []claim) ([]entry, []claim){
		"lost in the middle": func(g []entry, c []claim) ([]entry, []claim) {
			g = slices.Delete(g, 7, 8)
			for i := range g {
				g[i].Offset = uint64(i) + 1
			}
			return g, c
		},
		"hole":        func(g []entry, c []claim) ([]entry, []claim) { return slices.Delete(g, 7, 8), c },
		"lost at end": func(g []entry, c []claim) ([]entry, []claim) { return g[:19], c },
		"all lost":    func(_ []entry, c []claim) ([]entry, []claim) { return nil, c },
		"twice": func(g []entry, c []claim) ([]entry, []claim) {
			return append(g, entry{Offset: 21, Time: 99, Data: g[3].Data}), c
		},
		"reordered": func(g []entry, c []claim) ([]entry, []claim) {
			g[4].Data, g[6].Data = g[6].Data, g[4].Data
			c[4].offset, c[6].offset = c[6].offset, c[4].offset
			return g, c
		},
		"at another offset":  func(g []entry, c []claim) ([]entry, []claim) { c[5].offset = 9; return g, c },
		"out of nowhere":     func(g []entry, c []claim) ([]entry, []claim) { return g, c[:19] },
		"time goes back":     func(g []entry, c []claim) ([]entry, []claim) { g[10].Time = 0; return g, c },
		"another's contents": func(g []entry, c []claim) ([]entry, []claim) { g[3].Data = json.RawMessage(`"x"`); return g, c },
	} {
		if g, c := plant(world()); len(faults(g, c)) == 0 {
			t.Errorf("%s: not found", name)
		}
	}
	for name, heard := range map[string][]entry{
		"missed":  slices.Delete(slices.Clone(got), 3, 4),
		"behind":  got[:18],
		"twice":   slices.Insert(slices.Clone(got), 3, got[3]),
		"ahead":   append(slices.Clone(got), entry{Offset: 21}),
		"swapped": slices.Insert(slices.Delete(slices.Clone(got), 3, 4), 4, got[3]),
	} {
		if len(unheard(heard, got)) == 0 {
			t.Errorf("a reader that %s: not found", name)
		}
	}
}
