package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// bystander publishes in a room, one publish after the other, and notices what it can: an ack
// that takes long, a lost connection, a gap.
type bystander struct {
	c      *client.Client
	room   string
	stop   context.CancelFunc
	done   chan struct{}
	acked  atomic.Int64
	broken atomic.Int64 // connections lost

	mu      sync.Mutex // guards the fields below
	worst   time.Duration
	err     error
	waiters chan struct{} // closed at the next ack
}

// bound is how long an ack may take while somebody else misbehaves. An ack is a commit and
// takes milliseconds; machines that run tests may stall for much longer.
const bound = patience / 4

func newBystander(n *node, room string) *bystander {
	n.t.Helper()
	b := &bystander{room: room, done: make(chan struct{}), waiters: make(chan struct{})}
	b.c = n.client(room, "bystander", func(o *client.Options) {
		o.State = func(s client.State) {
			if s.Phase == client.Waiting {
				b.broken.Add(1)
			}
		}
	})
	ready(n.t, b.c)
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() {
		defer close(b.done)
		for ctx.Err() == nil {
			began := time.Now()
			_, err := b.c.Publish(ctx, "message", protocol.JSONPayload(`{"text":"still here"}`))
			if ctx.Err() != nil {
				return
			}
			b.mu.Lock()
			b.worst = max(b.worst, time.Since(began))
			if err != nil && b.err == nil {
				b.err = err
			}
			close(b.waiters)
			b.waiters = make(chan struct{})
			b.mu.Unlock()
			b.acked.Add(1)
			if err != nil {
				return
			}
			select { // within the rate of its kind
			case <-ctx.Done():
			case <-time.After(30 * time.Millisecond):
			}
		}
	}()
	n.t.Cleanup(func() { cancel(); <-b.done })
	return b
}

// goesOn waits until two more of its publishes are acknowledged, so one was sent after the call.
func (b *bystander) goesOn(t testing.TB) {
	t.Helper()
	timeout := time.After(patience)
	for range 2 {
		b.mu.Lock()
		next := b.waiters
		b.mu.Unlock()
		select {
		case <-next:
		case <-timeout:
			t.Fatalf("the bystander in %s gets no answer any more: %+v", b.room, b.c.State())
		}
	}
}

// check ends it.
func (b *bystander) check(t testing.TB) {
	t.Helper()
	b.stop()
	<-b.done
	if b.err != nil || b.broken.Load() > 0 || b.worst > bound || b.acked.Load() == 0 {
		t.Errorf("the bystander in %s noticed: %v, %d lost connections, the worst of %d acks took %v",
			b.room, b.err, b.broken.Load(), b.acked.Load(), b.worst)
	}
}

func TestHostileClients(t *testing.T) {
	n := newNode(t, "--module", built.kinds, "--module", built.chat,
		// Short, as the test waits for them, and long enough for honest clients on a slow machine.
		"--heartbeat", "1500ms", "--hello-timeout", "2s", "--handshake-timeout", "2s",
		"--connects-per-second-per-address", "10000", "--connect-burst-per-address", "10000")
	n.start()
	standing := []*bystander{newBystander(n, "journal/room"), newBystander(n, "chat/room"), newBystander(n, "stream/room")}

	joined := func(room string) *rawClient { return dialRaw(t, n, room, "mallory", "oriel.v1.json").hello() }
	type attack struct {
		name string
		// do returns what the server closed with, 0 if it closed nothing.
		do   func(t *testing.T) (abi.Code, string)
		want abi.Code
	}
	binary := func(c *rawClient, b []byte) { _ = c.ws.Write(limited(t), websocket.MessageBinary, b) }
	refused := func(room string, h http.Header, protocols ...string) func(t *testing.T) (abi.Code, string) {
		return func(t *testing.T) (abi.Code, string) {
			c, err := tryRaw(n, room, h, protocols...)
			if err != nil {
				t.Fatal(err)
			}
			c.t = t
			return c.closed()
		}
	}
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	good := bearer(token(t, "mallory"))
	says := func(room string, messages ...string) func(t *testing.T) (abi.Code, string) {
		return func(t *testing.T) (abi.Code, string) {
			c := dialRaw(t, n, room, "mallory", "oriel.v1.json")
			for _, m := range messages {
				c.trySend(m)
			}
			return c.closed()
		}
	}
	answered := func(message, want string) func(t *testing.T) (abi.Code, string) {
		return func(t *testing.T) (abi.Code, string) {
			c := joined("journal/room")
			c.send(message)
			c.await(want)
			c.send(`{"type":"publish","seq":1,"event":"message","data":1}`)
			c.await(`"seq":1`) // the connection stays
			return 0, ""
		}
	}
	const hello = `{"type":"hello"}`
	for _, a := range []attack{
		{"oversized frame", says("journal/room", hello, `{"type":"signal","event":"x","data":"`+strings.Repeat("x", 70_000)+`"}`), abi.CodeTooBig},
		{"oversized frame before hello", says("journal/room", strings.Repeat("x", 70_000)), abi.CodeTooBig},
		{"one byte over a small limit", func(t *testing.T) (abi.Code, string) {
			c := joined("tiny/over")
			frame := func(size int) string {
				const head, end = `{"type":"signal","event":"x","data":"`, `"}`
				return head + strings.Repeat("x", size-len(head)-len(end)) + end
			}
			c.send(frame(512))
			c.await(`"code":"unknown_event"`) // it was heard
			c.send(frame(513))
			return c.closed()
		}, abi.CodeTooBig},
		{"invalid UTF-8", says("journal/room", hello, "{\"type\":\"signal\",\"event\":\"x\",\"data\":\"\xff\xfe\"}"), abi.CodeInvalidUTF8},
		{"invalid UTF-8 before hello", says("journal/room", "\xc3\x28"), abi.CodeInvalidUTF8},
		{"no envelope at first", says("journal/room", `hello`), abi.CodeMalformed},
		{"empty message at first", says("journal/room", ``), abi.CodeMalformed},
		{"deep nesting at first", says("journal/room", strings.Repeat("[", 30_000)), abi.CodeMalformed},
		{"unknown type at first", says("journal/room", `{"type":"greetings"}`), abi.CodeMalformed},
		{"no envelope later", answered(`{"type":`, `"code":"malformed"`), 0},
		{"unknown type later", answered(`{"type":"greetings"}`, `"code":"malformed"`), 0},
		{"deep nesting later", answered(`{"type":"signal","event":"x","data":`+strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000)+`}`, `"code":"malformed"`), 0},
		{"reserved field", answered(`{"type":"signal","event":"x","room":"other"}`, `"code":"malformed"`), 0},
		{"absurd number", answered(`{"type":"request","id":1e400,"event":"x"}`, `"code":"malformed"`), 0},
		{"unknown event", answered(`{"type":"request","id":9,"event":"oriel.nothing"}`, `"code":"unknown_event"`), 0},
		{"gap in the numbers", answered(`{"type":"publish","seq":9,"event":"message"}`, `"code":"out_of_order"`), 0},
		{"numbers far ahead", answered(`{"type":"publish","seq":9007199254740991,"event":"message"}`, `"code":"too_many_open"`), 0},
		{"more unasked", answered(`{"type":"more"}`, `"code":"wrong_order"`), 0},
		{"publish before hello", says("journal/room", `{"type":"publish","seq":1,"event":"message"}`), abi.CodeWrongOrder},
		{"second hello", answered(hello, `"type":"welcome"`), 0},
		{"nothing but hello", says("tiny/again", slices.Repeat([]string{hello}, 100)...), abi.CodeRateLimited},
		{"a frame of the other sort at first", func(t *testing.T) (abi.Code, string) {
			c := dialRaw(t, n, "journal/room", "mallory", "oriel.v1.json")
			binary(c, []byte(hello))
			return c.closed()
		}, abi.CodeUnsupportedEncoding},
		{"a frame of the other sort later", func(t *testing.T) (abi.Code, string) {
			c := joined("journal/room")
			binary(c, []byte(hello))
			c.await(`"code":"unsupported_encoding"`)
			return 0, ""
		}, 0},
		{"binary nonsense", func(t *testing.T) (abi.Code, string) {
			c := dialRaw(t, n, "journal/room", "mallory", "oriel.v1.bin")
			binary(c, []byte{0xff, 0xff, 0xff, 0xff, 0xff})
			return c.closed()
		}, abi.CodeMalformed},
		{"somebody else's session", func(t *testing.T) (abi.Code, string) {
			other := n.client("journal/room", "victim")
			ready(t, other)
			c := dialRaw(t, n, "journal/room", "mallory", "oriel.v1.json")
			c.send(`{"type":"hello","session":"` + other.Place().Session + `"}`)
			if w := c.await(`"type":"welcome"`); strings.Contains(w, other.Place().Session) {
				t.Error("mallory got the victim's session")
			}
			if other.State().Phase != client.Open {
				t.Error("the victim was disconnected")
			}
			return 0, ""
		}, 0},

		{"unknown kind", refused("casino/room", good, "oriel.v1.json"), abi.CodeUnknownKind},
		{"bad room name", refused("journal/a%20b", good, "oriel.v1.json"), abi.CodeBadName},
		{"dots for a room name", refused("journal/%2e%2e", good, "oriel.v1.json"), abi.CodeBadName},
		{"long room name", refused("journal/"+strings.Repeat("x", 129), good, "oriel.v1.json"), abi.CodeBadName},
		{"unknown subprotocol", refused("journal/room", good, "mqtt"), abi.CodeUnknownProtocol},
		{"no subprotocol", refused("journal/room", good), abi.CodeUnknownProtocol},
		{"no token", refused("journal/room", nil, "oriel.v1.json"), abi.CodeUnauthenticated},
		{"nonsense for a token", refused("journal/room", bearer("nonsense"), "oriel.v1.json"), abi.CodeUnauthenticated},
		{"a token of another secret", refused("journal/room", bearer(forged(t)), "oriel.v1.json"), abi.CodeUnauthenticated},
		{"a token without a signature", refused("journal/room", bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYWxsb3J5IiwiZXhwIjo0MTAyNDQ0ODAwfQ."), "oriel.v1.json"), abi.CodeUnauthenticated},
		{"an expired token", refused("journal/room", bearer(token(t, "mallory", func(c *admission.Claims) {
			c.IssuedAt, c.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		})), "oriel.v1.json"), abi.CodeTokenExpired},
		{"a token for other rooms", refused("journal/room", bearer(token(t, "mallory", func(c *admission.Claims) { c.Rooms = []string{"chat/*"} })), "oriel.v1.json"), abi.CodeForbidden},
		{"a token in the URL", refused("journal/room?token="+token(t, "mallory"), nil, "oriel.v1.json"), 0},
		{"an origin that is not listed", func(t *testing.T) (abi.Code, string) {
			h := good.Clone()
			h.Set("Origin", "https://evil.example")
			return refused("journal/room", h, "oriel.v1.json")(t)
		}, abi.CodeForbidden},

		{"too many members", func(t *testing.T) (abi.Code, string) {
			joined("tiny/full")
			joined("tiny/full") // at the limit
			return says("tiny/full", hello)(t)
		}, abi.CodeRoomFull},
		{"too fast", func(t *testing.T) (abi.Code, string) {
			began := time.Now()
			c := joined("tiny/fast") // hello is the first of ten messages
			for range 9 {
				c.send(`{"type":"signal","event":"x"}`)
				c.await(`"code":"unknown_event"`)
			}
			for range 100 {
				c.trySend(`{"type":"signal","event":"x"}`)
			}
			heard := 0
			for {
				_, b, err := c.ws.Read(limited(t))
				var e websocket.CloseError
				switch {
				case err == nil && strings.Contains(string(b), `"code":"unknown_event"`):
					heard++
				case asError(err, &e):
					// The gateway's bound is twice the kind's burst of ten and rate of five.
					if most := 10 + int(time.Since(began).Seconds()*10) + 1; heard > most {
						t.Errorf("%d messages beyond the burst were heard, at most %d may be", heard, most)
					}
					return abi.Code(e.Code), e.Reason
				case err != nil:
					t.Fatal(err)
				}
			}
		}, abi.CodeRateLimited},
		{"no hello", says("journal/room"), abi.CodeHelloTimeout},
		{"pings and no hello", func(t *testing.T) (abi.Code, string) {
			c := dialRaw(t, n, "journal/room", "mallory", "oriel.v1.json")
			c.send(`{"type":"ping"}`)
			c.await(`{"type":"pong"}`)
			return c.closed()
		}, abi.CodeHelloTimeout},
	} {
		t.Run(a.name, func(t *testing.T) {
			code, reason := a.do(t)
			if a.name == "a token in the URL" { // whatever it is called: it is not let in
				if code == 0 || code == abi.CodeAbnormal {
					t.Errorf("closed with %v %q", code, reason)
				}
				return
			}
			if code != a.want {
				t.Errorf("closed with %d %v %q, want %v", code, code, reason, a.want)
			}
			if code >= 4000 && !strings.HasPrefix(reason, code.String()) {
				t.Errorf("the reason is %q", reason)
			}
		})
		for _, b := range standing {
			b.goesOn(t)
		}
	}

	t.Run("broken frames", func(t *testing.T) {
		var wg sync.WaitGroup
		defer wg.Wait()
		for _, frame := range []string{
			"\x81\x05hello",                                            // not masked
			"\xf1\x80\x00\x00\x00\x00",                                 // reserved bits
			"\x83\x80\x00\x00\x00\x00",                                 // reserved opcode
			"\x09\x80\x00\x00\x00\x00",                                 // a fragmented ping
			"\x89\xfe\x01\x00\x00\x00\x00\x00",                         // a ping of 256 bytes
			"\x80\x80\x00\x00\x00\x00",                                 // a continuation of nothing
			"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", // a length with the top bit
			"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00xxx",
		} {
			c := dialTCP(t, n)
			upgradeTCP(t, n, c, "journal/room")
			if _, err := c.Write([]byte(frame)); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() { drained(t, c, fmt.Sprintf("%q", frame)) })
		}
	})
	t.Run("handshake that never ends", func(t *testing.T) {
		c := dialTCP(t, n)
		if _, err := io.WriteString(c, "GET /v1/rooms/journal/room HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
			t.Fatal(err)
		}
		drained(t, c, "half a request")
		c = dialTCP(t, n)
		drained(t, c, "a silent connection")
		c = dialTCP(t, n)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 1<<20)); err == nil {
			drained(t, c, "a head of a megabyte")
		}
	})
	t.Run("half-open connection", func(t *testing.T) {
		c := dialTCP(t, n)
		upgradeTCP(t, n, c, "journal/room")
		// A hello, and then nothing, not even an answer to a ping.
		if _, err := c.Write(masked(hello)); err != nil {
			t.Fatal(err)
		}
		if b := drained(t, c, "a silent member"); !strings.Contains(b, "welcome") || !strings.Contains(b, "heartbeat_timeout; retry=") {
			t.Errorf("it was told %q", tail(b, 200))
		}
	})
	t.Run("a client that never reads", func(t *testing.T) {
		c := dialTCP(t, n)
		upgradeTCP(t, n, c, "stream/room")
		if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(masked(hello)); err != nil {
			t.Fatal(err)
		}
		// It answers pings blindly, so that only its queue speaks against it.
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := c.Write([]byte("\x8a\x80\x00\x00\x00\x00")); err != nil {
						return
					}
				case <-stop:
					return
				}
			}
		}()
		slow := func() float64 {
			_, body := n.get(n.process.metrics + "/metrics")
			values, _ := prometheus(t, body)
			return values["oriel_slow_closes_total"]
		}
		before := slow()
		loud := n.client("stream/room", "loud")
		pad := `"` + strings.Repeat("x", 30_000) + `"`
		for i := 0; ; i++ {
			if _, err := loud.Publish(limited(t), "message", protocol.JSONPayload(pad)); err != nil {
				t.Fatal(err)
			}
			if slow() > before {
				break
			}
			if i > 2000 {
				t.Fatal("a client that never reads is kept for ever")
			}
		}
		loud.Abandon()
	})
	t.Run("requests", func(t *testing.T) {
		for _, c := range []struct {
			name, method, path, body string
			h                        http.Header
			status                   int
		}{
			{"no token", "POST", "/v1/rooms/journal/room/publish", `{"event":"x"}`, nil, 401},
			{"unknown kind", "GET", "/v1/rooms/casino/room/history", "", good, 404},
			{"bad name", "GET", "/v1/rooms/journal/%00/history", "", good, 400},
			{"malformed", "POST", "/v1/rooms/journal/room/publish", `{"event":`, good, 400},
			{"too large", "POST", "/v1/rooms/journal/room/publish", `{"event":"x","data":"` + strings.Repeat("x", 2<<20) + `"}`, good, 413},
			{"method", "DELETE", "/v1/rooms/journal/room/history", "", good, 405},
			{"elsewhere", "GET", "/v1/nothing", "", good, 404},
		} {
			req, err := http.NewRequestWithContext(limited(t), c.method, "http://"+n.addr+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = c.h.Clone()
			res, err := n.http.Do(req)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != c.status || !strings.Contains(string(b), `"code":"`) {
				t.Errorf("%s: %d %s, want %d", c.name, res.StatusCode, b, c.status)
			}
		}
	})
	for _, b := range standing {
		b.goesOn(t)
		b.check(t)
	}
}

// forged is a token of a secret that the server does not have.
func forged(t testing.TB) string {
	s, err := admission.NewSecret("", []byte(strings.Repeat("f", 32)))
	if err != nil {
		t.Fatal(err)
	}
	tok, err := admission.Mint(s, admission.Claims{User: "mallory", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func dialTCP(t testing.TB, n *node) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", n.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// upgradeTCP makes a WebSocket of a connection, by hand.
func upgradeTCP(t testing.TB, n *node, c net.Conn, room string) {
	t.Helper()
	_, err := fmt.Fprintf(c, "GET /v1/rooms/%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: oriel.v1.json\r\n"+
		"Authorization: Bearer %s\r\n\r\n", room, n.addr, token(t, "mallory"))
	if err != nil {
		t.Fatal(err)
	}
	var head []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101") {
		t.Fatalf("%q", head)
	}
}

// masked is a text frame of a client, with a mask of zeros.
func masked(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// drained reads until the server closes.
func drained(t testing.TB, c net.Conn, what string) string {
	t.Helper()
	b, err := io.ReadAll(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("%s: the server does not close", what)
	}
	return string(b)
}
