package gateway

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// beat makes n beats pass on a gateway that has none of its own. Ten beats are one
// heartbeat.
func (s *server) beat(n int) {
	for range n {
		s.g.tick()
	}
}

// noBeats is a ticker that never ticks.
var noBeats = make(<-chan time.Time)

const tenBeats = 100 * time.Millisecond // as Options.Heartbeat

// TestSilence walks one client through two and a half silent heartbeats.
func TestSilence(t *testing.T) {
	srv := start(t, setup{options: Options{Heartbeat: tenBeats, beats: noBeats}})
	r, _ := srv.openRaw("/v1/rooms/echo/room")

	srv.beat(10)
	r.expect(opPing, "")
	r.write(frame(fin|0xA, nil)) // it is alive
	r.write(frame(fin|opText, []byte("x")))
	r.expect(opText, "x") // so the pong has been read as well
	srv.beat(10)
	r.expect(opPing, "")
	srv.beat(10)
	r.expect(opPing, "") // and again, in case the first was lost
	srv.beat(5)          // 25 beats of silence: not more than two and a half heartbeats
	if n := srv.g.Stats().HeartbeatTimeouts; n != 0 {
		t.Fatal("cut too early")
	}
	srv.beat(1)
	reason := r.expectClose(abi.CodeHeartbeatTimeout)
	if abi.RetryHint(reason) == 0 {
		t.Errorf("reason %q has no hint", reason)
	}
	srv.closedAs(abi.CodeHeartbeatTimeout, false)
	if st := srv.g.Stats(); st.HeartbeatTimeouts != 1 || st.Pings != 3 {
		t.Errorf("%d timeouts, %d pings", st.HeartbeatTimeouts, st.Pings)
	}
}

// TestHalfOpen: a client that went without a word is found, though its kernel still takes our
// bytes; dribbling single bytes does not help it, and a talking one is left alone.
func TestHalfOpen(t *testing.T) {
	srv := start(t, setup{options: Options{Heartbeat: tenBeats, beats: noBeats}})
	w := srv.witness()
	srv.openRaw("/v1/rooms/echo/gone")
	dribbler, _ := srv.openRaw("/v1/rooms/echo/dribble")
	endless := frame(fin|opText, make([]byte, 100))
	for i := range 27 {
		dribbler.write(endless[i : i+1])
		srv.beat(1)
		if i%5 == 0 {
			w.check()
		}
	}
	srv.closedAs(abi.CodeHeartbeatTimeout, false)
	srv.closedAs(abi.CodeHeartbeatTimeout, false)
	w.check()
}

// TestAutoResponse: the exact bytes get their answer without the room; anything else, and the
// same bytes under another subprotocol or in another encoding, reach it.
func TestAutoResponse(t *testing.T) {
	rooms := newFakeRooms(abi.KindOptions{Name: "chat", Protocols: []string{"oriel.v1.json", "oriel.v1.bin", "raw"}})
	srv := start(t, setup{rooms: rooms, options: Options{Protocols: map[string]Protocol{
		"oriel.v1.json": DefaultProtocols()["oriel.v1.json"],
		"oriel.v1.bin":  {Request: []byte{0x0c}, Response: []byte{0x0d}, Encoding: abi.Binary},
	}}})
	const ping, pong = `{"type":"ping"}`, `{"type":"pong"}`
	tests := []struct {
		protocol string
		typ      websocket.MessageType
		send     string
		want     string
	}{
		{"oriel.v1.json", websocket.MessageText, ping, pong},
		{"oriel.v1.json", websocket.MessageText, `{"type": "ping"}`, `{"type": "ping"}`},
		{"oriel.v1.json", websocket.MessageBinary, ping, ping},
		{"oriel.v1.bin", websocket.MessageBinary, "\x0c", "\x0d"},
		{"oriel.v1.bin", websocket.MessageText, "\x0c", "\x0c"},
		{"raw", websocket.MessageText, ping, ping},
	}
	for _, tt := range tests {
		c, _ := srv.open("/v1/rooms/chat/room", &websocket.DialOptions{Subprotocols: []string{tt.protocol}})
		before := srv.g.Stats().MessagesIn
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := c.Write(ctx, tt.typ, []byte(tt.send)); err != nil {
			t.Fatal(err)
		}
		typ, got, err := c.Read(ctx)
		cancel()
		if err != nil || typ != tt.typ || string(got) != tt.want {
			t.Errorf("%s: %q was answered with %v %q, %v; want %q", tt.protocol, tt.send, typ, got, err, tt.want)
		}
		if reached := srv.g.Stats().MessagesIn > before; reached != (tt.send == tt.want) {
			t.Errorf("%s: %q reached the room: %v", tt.protocol, tt.send, reached)
		}
	}
}

// TestHelloTimeout: pings alone are no hello.
func TestHelloTimeout(t *testing.T) {
	kind := abi.KindOptions{Name: "chat", Protocols: []string{"p"}}
	srv := start(t, setup{kinds: []abi.KindOptions{kind}, options: Options{
		Heartbeat: tenBeats, beats: noBeats,
		Protocols: map[string]Protocol{"p": {
			Request: []byte("ping"), Response: []byte("pong"), Encoding: abi.Text, HelloTimeout: 50 * time.Millisecond,
		}},
	}})
	quiet, c := srv.openRaw("/v1/rooms/chat/room", "Sec-WebSocket-Protocol: p")
	polite, _ := srv.openRaw("/v1/rooms/chat/room", "Sec-WebSocket-Protocol: p")
	polite.write(frame(fin|opText, []byte("hello")))
	polite.expect(opText, "hello")
	quiet.write(frame(fin|opText, []byte("ping")))
	quiet.expect(opText, "pong")
	srv.beat(5)
	if c.socket.ending.Load() {
		t.Fatal("cut too early")
	}
	srv.beat(1)
	quiet.expectClose(abi.CodeHelloTimeout)
	quiet.write(closeFrame(abi.CodeHelloTimeout, ""))
	srv.closedAs(abi.CodeHelloTimeout, true)
	polite.write(frame(fin|opText, []byte("still here")))
	polite.expect(opText, "still here")
}

// TestMessageBucket holds the clock: exactly the burst passes, then one for each refill.
func TestMessageBucket(t *testing.T) {
	var b bucket
	const rate, burst = 2, 3
	for i := range burst {
		if _, ok := b.take(time.Second, rate, burst); !ok {
			t.Fatalf("number %d of the burst was refused", i)
		}
	}
	wait, ok := b.take(time.Second, rate, burst)
	if ok || wait != 500*time.Millisecond {
		t.Errorf("one past the burst: %v, %v", wait, ok)
	}
	if wait, ok := b.take(time.Second+499*time.Millisecond, rate, burst); ok || wait > 2*time.Millisecond {
		t.Errorf("a millisecond too early: %v, %v", wait, ok)
	}
	if _, ok := b.take(time.Second+500*time.Millisecond, rate, burst); !ok {
		t.Error("after the wait it was refused")
	}
	if _, ok := b.take(time.Second, rate, burst); ok {
		t.Error("a clock that goes back fills the bucket")
	}
	for i := range burst {
		if _, ok := b.take(time.Hour, rate, burst); !ok {
			t.Errorf("number %d after a long rest was refused", i)
		}
	}
	if _, ok := b.take(time.Hour, rate, burst); ok {
		t.Error("a long rest makes the bucket larger")
	}
}

// TestRateFactor: behind a protocol that refuses softly, the gateway's bound is wider.
func TestRateFactor(t *testing.T) {
	kind := abi.KindOptions{Name: "chat", Protocols: []string{"p"}, MessagesPerSecond: 1, MessageBurst: 4}
	srv := start(t, setup{kinds: []abi.KindOptions{kind}, options: Options{
		clock:     func() time.Duration { return time.Second },
		Protocols: map[string]Protocol{"p": {RateFactor: 2}},
	}})
	r, _ := srv.openRaw("/v1/rooms/chat/room", "Sec-WebSocket-Protocol: p")
	for range 8 {
		r.write(frame(fin|opText, []byte("x")))
		r.expect(opText, "x")
	}
	r.write(frame(fin|opText, []byte("x")))
	r.expectClose(abi.CodeRateLimited)
}

// TestExpiredCredential: a connection ends with the credential that opened it, not before.
func TestExpiredCredential(t *testing.T) {
	// The beat is its longest, a second: the five that the credential lasts are counted from the
	// upgrade, which comes a while after the admission.
	admit := AdmitFunc(func(context.Context, *http.Request, abi.KindOptions, string) (Identity, error) {
		return Identity{User: "ann", Expires: time.Now().Add(5 * time.Second)}, nil
	})
	srv := start(t, setup{options: Options{Heartbeat: time.Hour, beats: noBeats, Admitter: admit}})
	r, _ := srv.openRaw("/v1/rooms/echo/room")
	srv.beat(1)
	r.write(frame(fin|opText, []byte("x")))
	r.expect(opText, "x")
	srv.beat(5)
	r.expectClose(abi.CodeTokenExpired)
}
