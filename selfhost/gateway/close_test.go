package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// TestCloseOrders walks through every order of a closing handshake.
func TestCloseOrders(t *testing.T) {
	paths(t, func(t *testing.T, s setup) {
		srv := start(t, s)
		w := srv.witness()
		impatient := s
		impatient.options.CloseTimeout = 100 * time.Millisecond
		quick := start(t, impatient)
		t.Run("client first", func(t *testing.T) {
			srv := srv.in(t)
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			r.write(closeFrame(4321, "bye"))
			if got := r.expectClose(4321); got != "bye" {
				t.Errorf("the answer says %q", got)
			}
			r.expectEnd()
			if c := srv.closedAs(4321, true); c.reason != "bye" {
				t.Errorf("the room was told %q", c.reason)
			}
		})
		t.Run("client first, no code", func(t *testing.T) {
			srv := srv.in(t)
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			r.write(frame(fin|opClose, nil))
			r.expect(opClose, "")
			r.expectEnd()
			srv.closedAs(abi.CodeNoStatus, true)
		})
		t.Run("client first, reason is not UTF-8", func(t *testing.T) {
			srv := srv.in(t)
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			r.write(closeFrame(abi.CodeNormal, strings.Repeat("\xff", abi.MaxCloseReason)))
			r.expectEndAfterClose()
			if c := srv.closedAs(abi.CodeNormal, true); len(c.reason) > abi.MaxCloseReason || strings.ContainsRune(c.reason, 0xff) {
				t.Errorf("the room was told %q", c.reason)
			}
		})
		t.Run("client first, behind messages", func(t *testing.T) {
			srv := srv.in(t)
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			r.write(append(frame(fin|opText, []byte("one")), closeFrame(abi.CodeNormal, "")...))
			r.expect(opText, "one")
			r.expectClose(abi.CodeNormal)
			r.expectEnd()
			srv.closedAs(abi.CodeNormal, true)
		})
		t.Run("server first", func(t *testing.T) {
			srv := srv.in(t)
			r, c := srv.openRaw("/v1/rooms/echo/room")
			c.Close(abi.CodeKicked, "out")
			c.Close(abi.CodeNormal, "too late")
			if got := r.expectClose(abi.CodeKicked); got != "out" {
				t.Errorf("the reason is %q", got)
			}
			r.write(frame(fin|opText, []byte("not for the room")))
			r.write(frame(fin|opPing, nil)) // and no answer to this
			r.write(closeFrame(abi.CodeKicked, ""))
			r.expectEnd()
			srv.closedAs(abi.CodeKicked, true)
		})
		t.Run("both at once", func(t *testing.T) {
			srv := srv.in(t)
			r, c := srv.openRaw("/v1/rooms/echo/room")
			done := make(chan struct{})
			go func() { c.Close(abi.CodeKicked, ""); close(done) }()
			r.write(closeFrame(abi.CodeNormal, ""))
			<-done
			op, p, err := r.next()
			if err != nil || op != opClose {
				t.Fatalf("frame %x %q, %v", op, p, err)
			}
			r.expectEnd()
			if c := receive(t, srv.rooms.closed); !c.clean || c.code != abi.CodeKicked && c.code != abi.CodeNormal {
				t.Errorf("the room was told %+v", c)
			}
		})
		t.Run("server first, client never answers", func(t *testing.T) {
			srv := quick.in(t)
			r, c := srv.openRaw("/v1/rooms/echo/room")
			c.Close(abi.CodeKicked, "")
			r.expectClose(abi.CodeKicked)
			r.expectEnd()
			srv.closedAs(abi.CodeKicked, false)
		})
		t.Run("server first, client leaves", func(t *testing.T) {
			srv := srv.in(t)
			r, c := srv.openRaw("/v1/rooms/echo/room")
			c.Close(abi.CodeKicked, "")
			r.expectClose(abi.CodeKicked)
			_ = r.nc.Close()
			srv.closedAs(abi.CodeKicked, false)
		})
		t.Run("client leaves", func(t *testing.T) {
			srv := srv.in(t)
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			_ = r.nc.Close()
			srv.closedAs(abi.CodeAbnormal, false)
		})
		t.Run("client leaves inside a message", func(t *testing.T) {
			srv := srv.in(t)
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			r.write(frame(fin|opText, []byte("a whole message"))[:9])
			_ = r.nc.Close()
			srv.closedAs(abi.CodeAbnormal, false)
		})
		t.Run("a code that may not travel", func(t *testing.T) {
			srv := srv.in(t)
			r, c := srv.openRaw("/v1/rooms/echo/room")
			c.Close(abi.CodeAbnormal, strings.Repeat("é", 200))
			if got := r.expectClose(abi.CodeInternal); len(got) > abi.MaxCloseReason || strings.ContainsRune(got, 0xfffd) {
				t.Errorf("the reason is %q", got)
			}
			r.write(closeFrame(abi.CodeInternal, ""))
			srv.closedAs(abi.CodeInternal, true)
		})
		t.Run("no code", func(t *testing.T) {
			srv := srv.in(t)
			r, c := srv.openRaw("/v1/rooms/echo/room")
			c.Close(abi.CodeNoStatus, "ignored")
			r.expect(opClose, "")
			r.write(frame(fin|opClose, nil))
			srv.closedAs(abi.CodeNoStatus, true)
		})
		w.check()
	})
}

// in is srv for a subtest.
func (s *server) in(t *testing.T) *server {
	return &server{t: t, g: s.g, rooms: s.rooms, http: s.http, tls: s.tls}
}

func (r *raw) expectEndAfterClose() {
	r.t.Helper()
	if op, _, err := r.next(); err != nil || op != opClose {
		r.t.Fatalf("frame %x, %v", op, err)
	}
	r.expectEnd()
}

// TestCloseLingers: what was sent before a close arrives before it, however slowly the
// client reads, whichever side closes.
func TestCloseLingers(t *testing.T) {
	const size = 600 << 10
	paths(t, func(t *testing.T, s setup) {
		s.options.SendBuffer = 32 << 10
		srv := start(t, s)
		for _, who := range []string{"server", "client"} {
			t.Run(who, func(t *testing.T) {
				srv := srv.in(t)
				r, c := srv.openRaw("/v1/rooms/echo/room")
				if got := c.Send(NewFrame(abi.Binary, "", make([]byte, size))); got != Queued {
					t.Fatalf("%v", got)
				}
				if who == "server" {
					c.Close(abi.CodeNormal, "")
				} else {
					r.write(closeFrame(abi.CodeNormal, ""))
					srv.closedAs(abi.CodeNormal, true) // so the reader is done, and bytes still wait
				}
				r.hurry()
				op, p, err := r.next()
				if err != nil || op != opBinary || len(p) != size {
					t.Fatalf("frame %x of %d bytes, %v", op, len(p), err)
				}
				r.expectClose(abi.CodeNormal)
				if who == "server" {
					r.write(closeFrame(abi.CodeNormal, ""))
					srv.closedAs(abi.CodeNormal, true)
				}
				r.expectEnd()
			})
		}
	})
}

// TestLingerIsBounded: a client that closes and then never reads what waits for it is cut.
func TestLingerIsBounded(t *testing.T) {
	paths(t, func(t *testing.T, s setup) {
		s.options.SendBuffer, s.options.CloseTimeout = 4096, 50*time.Millisecond
		srv := start(t, s)
		r, c := srv.openRaw("/v1/rooms/echo/room")
		c.Send(NewFrame(abi.Binary, "", make([]byte, 600<<10)))
		r.write(closeFrame(abi.CodeNormal, ""))
		srv.closedAs(abi.CodeNormal, true)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.g.awaitEmpty(ctx); err != nil {
			t.Fatal("the socket stays open for ever")
		}
	})
}

// TestCloseWithCoderClient uses a client that is not ours for the usual case.
func TestCloseWithCoderClient(t *testing.T) {
	srv := start(t, setup{})
	client, c := srv.open("/v1/rooms/echo/room", nil)
	c.Close(abi.CodeRoomFull, abi.CloseReason(abi.CodeRoomFull, 5*time.Second, ""))
	if got := readClose(t, client, abi.CodeRoomFull); abi.RetryHint(got) != 5*time.Second {
		t.Errorf("reason %q", got)
	}
	srv.closedAs(abi.CodeRoomFull, true)

	client, _ = srv.open("/v1/rooms/echo/room", nil)
	if err := client.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("the client's handshake: %v", err)
	}
	srv.closedAs(abi.CodeNormal, true)
}

// TestMessageErrorCloses: what the room's side says about a message is told to its sender.
func TestMessageErrorCloses(t *testing.T) {
	tests := []struct {
		err  error
		code abi.Code
		hint time.Duration
	}{
		{abi.CodeMalformed, abi.CodeMalformed, 0},
		{&Refusal{Code: abi.CodeRateLimited, Retry: 3 * time.Second}, abi.CodeRateLimited, 3 * time.Second},
		{errors.New("a secret"), abi.CodeInternal, 2 * time.Second},
	}
	for _, tt := range tests {
		rooms := newFakeRooms()
		rooms.onMessage = func(*Connection, abi.Encoding, []byte) error { return tt.err }
		srv := start(t, setup{rooms: rooms})
		r, _ := srv.openRaw("/v1/rooms/echo/room")
		r.write(frame(fin|opText, []byte("x")))
		reason := r.expectClose(tt.code)
		if abi.RetryHint(reason) != tt.hint || strings.Contains(reason, "secret") {
			t.Errorf("reason %q", reason)
		}
		r.write(closeFrame(tt.code, ""))
		srv.closedAs(tt.code, true)
	}
}
