package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// ledger collects the claims of one room's publishers.
type ledger struct {
	mu     sync.Mutex // guards claims
	claims []claim
	// acks gets a token for each claim, when somebody waits for one.
	acks chan struct{}
}

func (l *ledger) add(c claim) {
	l.mu.Lock()
	l.claims = append(l.claims, c)
	l.mu.Unlock()
	select {
	case l.acks <- struct{}{}:
	default:
	}
}

// publisher publishes through a client until ctx ends, a few at a time, and then waits for
// what is open.
type publisher struct {
	name  string
	event string
	text  bool // as a chat takes it
	open  int
	every time.Duration // between two publishes of one worker; 0: as fast as the acks come
}

func (p publisher) data(n int) string {
	id := p.name + "/" + strconv.Itoa(n)
	if p.text {
		return `{"text":"` + id + `"}`
	}
	return `{"id":"` + id + `","pad":"` + string(bytes.Repeat([]byte("x"), n*37%600)) + `"}`
}

func (p publisher) run(ctx context.Context, t *testing.T, c *client.Client, l *ledger) {
	// The client numbers publishes in the order of the calls, so one goroutine makes them
	// in order and the answers are awaited aside.
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, p.open)
	var pace <-chan time.Time
	if p.every > 0 {
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		pace = tick.C
	}
	for n := 0; ; n++ {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if pace != nil {
			<-pace
		}
		data := p.data(n)
		if p.open > 1 {
			// Several at once: only each one's own fate is checked, not their order.
			wg.Go(func() {
				defer func() { <-slots }()
				p.publish(t, c, l, data, n, p.name+"#"+strconv.Itoa(n))
			})
			continue
		}
		p.publish(t, c, l, data, n, p.name)
		<-slots
	}
}

func (p publisher) publish(t *testing.T, c *client.Client, l *ledger, data string, n int, from string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	offset, err := c.Publish(ctx, p.event, protocol.JSONPayload(data))
	if err != nil {
		t.Errorf("publish %s: %v", data, err)
		return
	}
	l.add(claim{offset: offset, data: data, from: from, n: n})
}

// post publishes over HTTP with an idempotency key, and asks again until it is told.
func post(ctx context.Context, t *testing.T, n *node, room, name string, l *ledger) {
	tok := token(t, name)
	for i := 0; ctx.Err() == nil; i++ {
		data := fmt.Sprintf(`{"id":"%s/%d"}`, name, i)
		for began := time.Now(); ; {
			if time.Since(began) > patience {
				t.Errorf("%s: no answer", data)
				return
			}
			offset, ok, fault := postOnce(n, room, tok, fmt.Sprintf("%s-%d", name, i), data)
			if fault != "" {
				t.Errorf("%s: %s", data, fault)
				return
			}
			if ok {
				l.add(claim{offset: offset, data: data, from: name, n: i})
				break
			}
			select { // the server is away: not too fast
			case <-time.After(20 * time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
	}
}

func postOnce(n *node, room, tok, key, data string) (offset uint64, ok bool, fault string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.addr+"/v1/rooms/"+room+"/publish",
		bytes.NewReader([]byte(`{"event":"message","data":`+data+`}`)))
	if err != nil {
		return 0, false, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+tok)
	req.Header.Set("Idempotency-Key", key)
	res, err := n.http.Do(req)
	if err != nil {
		return 0, false, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, false, ""
	}
	switch {
	case res.StatusCode == http.StatusOK:
		var said struct {
			Offset uint64 `json:"offset"`
		}
		if err := json.Unmarshal(b, &said); err != nil {
			return 0, false, err.Error()
		}
		return said.Offset, true, ""
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable:
		return 0, false, "" // and no other: an internal error is a fault
	}
	return 0, false, fmt.Sprintf("%d %s", res.StatusCode, b)
}

// reader hears everything that happens in a room from its beginning.
type reader struct {
	mu    sync.Mutex // guards the fields below
	heard []entry
	gaps  []protocol.Reason
}

func (r *reader) options(o *client.Options) {
	o.Event = func(e *protocol.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.heard = append(r.heard, entry{Offset: e.Offset, Data: bytes.Clone(e.Payload.Data)})
	}
	o.Gap = func(reason protocol.Reason) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.gaps = append(r.gaps, reason)
	}
}

// await waits until the reader's client has come to an offset.
func (r *reader) await(t *testing.T, c *client.Client, offset uint64) {
	t.Helper()
	for deadline := time.Now().Add(patience); c.Place().Offset < offset; {
		if time.Now().After(deadline) {
			t.Errorf("a reader stays at %d of %d: %+v", c.Place().Offset, offset, c.State())
			return
		}
		select {
		case <-c.Done():
			t.Errorf("a reader has ended: %v", c.State().Err)
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (r *reader) check(t *testing.T, name string, got []entry) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range unheard(r.heard, got) {
		t.Errorf("%s: %s", name, f)
	}
	if len(r.gaps) > 0 {
		t.Errorf("%s was told of gaps: %v", name, r.gaps)
	}
}

func crashSeed(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("ORIEL_CRASH_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("ORIEL_CRASH_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func crashCycles(t *testing.T) int {
	cycles := 25
	if testing.Short() {
		cycles = 8
	}
	if s := os.Getenv("ORIEL_CRASH_CYCLES"); s != "" {
		var err error
		if cycles, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return cycles
}

// TestCrash kills the server with -9 at random moments while people publish and read. What was
// acknowledged is there, once, in order, where it was acknowledged.
func TestCrash(t *testing.T) {
	r := crashSeed(t)
	cycles := crashCycles(t)
	n := newNode(t, "--module", built.kinds, "--module", built.chat)
	n.start()

	const journal, chat = "journal/crash", "chat/crash"
	ledgers := map[string]*ledger{journal: {acks: make(chan struct{}, 4096)}, chat: {acks: make(chan struct{}, 4096)}}
	binary := func(o *client.Options) { o.Binary = true }

	// Readers come first, so that they hear everything.
	type watched struct {
		room   string
		user   string
		reader *reader
		client *client.Client
	}
	var readers []*watched
	for i, room := range []string{journal, journal, chat, chat} {
		w := &watched{room: room, user: fmt.Sprint("reader", i), reader: &reader{}}
		w.client = n.client(room, w.user, w.reader.options, func(o *client.Options) { o.Binary = i%2 == 1 })
		readers = append(readers, w)
		ready(t, w.client)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	publish := func(room string, p publisher, change ...func(*client.Options)) {
		c := n.client(room, p.name, change...)
		wg.Go(func() { p.run(ctx, t, c, ledgers[room]) })
	}
	publish(journal, publisher{name: "ann", event: "message", open: 1})
	publish(journal, publisher{name: "bob", event: "message", open: 1}, binary)
	publish(journal, publisher{name: "cyd", event: "message", open: 16})
	publish(journal, publisher{name: "dan", event: "message", open: 16}, binary)
	publish(chat, publisher{name: "eve", event: "message", text: true, open: 1, every: 30 * time.Millisecond})
	publish(chat, publisher{name: "fay", event: "message", text: true, open: 1, every: 30 * time.Millisecond}, binary)
	wg.Go(func() { post(ctx, t, n, journal, "gus", ledgers[journal]) })

	for range cycles {
		switch r.IntN(10) {
		case 0: // while it starts
			n.kill()
			p := n.launch()
			until := time.After(time.Duration(r.Int64N(int64(100 * time.Millisecond))))
			select {
			case <-p.ready:
			case <-until:
			}
		case 1: // as soon as it is there
		default: // in the middle
			l := ledgers[journal]
			if r.IntN(4) == 0 {
				l = ledgers[chat]
			}
			after := r.IntN(30)
			if l == ledgers[journal] {
				after = r.IntN(300)
			}
			for range after {
				select {
				case <-l.acks:
				case <-time.After(patience):
					t.Fatal("nothing is acknowledged any more")
				}
			}
			until := time.After(time.Duration(r.Int64N(int64(3 * time.Millisecond))))
			<-until
		}
		n.kill()
		n.start()
		if w := readers[r.IntN(len(readers))]; r.IntN(2) == 0 {
			// A reader's process crashes too, and goes on from what it had written down.
			w.client.Abandon()
			place := w.client.Place()
			w.client = n.client(w.room, w.user, w.reader.options,
				func(o *client.Options) { o.Resume, o.Binary = place, r.IntN(2) == 0 })
		}
	}
	stop()
	wg.Wait()
	if t.Failed() {
		return
	}
	for room, l := range ledgers {
		got := history(t, n.addr, room, token(t, "auditor"))
		t.Logf("%s: %d events, %d claims, %d cycles", room, len(got), len(l.claims), cycles)
		if room == chat {
			for i := range got { // the owner's entrance is no event; edits were not made
				if got[i].Event != "message" {
					t.Errorf("%s at %d", got[i].Event, got[i].Offset)
				}
			}
		}
		for _, f := range faults(got, l.claims) {
			t.Errorf("%s: %s", room, f)
		}
		for _, w := range readers {
			if w.room == room {
				w.reader.await(t, w.client, uint64(len(got)))
				w.client.Abandon()
				w.reader.check(t, w.user, got)
			}
		}
	}
}
