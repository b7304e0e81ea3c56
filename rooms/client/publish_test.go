package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// opened is a client that is open, and its peer.
func (s *server) opened(change ...func(*Options)) (*Client, *peer) {
	s.t.Helper()
	c := s.client(change...)
	p, _ := s.greet(welcome())
	if err := c.Ready(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return c, p
}

func many(s *server, c *Client, n int) (list []<-chan outcome) {
	for i := range n {
		list = append(list, publishing(s.t.Context(), c, "message", fmt.Sprint(i+1)))
	}
	return list
}

func TestPublish(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		early := publishing(t.Context(), c, "message", `"early"`) // before the client is open
		p, _ := s.greet(welcome())
		if m := p.publishes(1)[0]; m.Event != "message" || string(m.Payload.Data) != `"early"` {
			t.Errorf("%+v", m)
		}
		p.say(&protocol.Ack{Seq: 1, Offset: 9})
		s.acked(early, 9)
		second := publishing(t.Context(), c, "note", `2`)
		p.publishes(2)
		p.say(&protocol.ErrorMessage{Seq: 2, Code: "invalid", Text: "no"})
		var e *RoomError
		if o := s.result(second); !errors.As(o.err, &e) || e.Code != "invalid" || e.Text != "no" || e.Retryable {
			t.Errorf("%+v", o)
		}
		third := publishing(t.Context(), c, "note", `3`)
		p.publishes(3) // a final error has consumed its number
		p.say(&protocol.Ack{Seq: 3})
		s.acked(third, 0)
	})
}

// TestResend: what has no answer is sent again after a reconnect, in order, with its numbers.
func TestResend(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, p := s.opened()
		list := many(s, c, 4)
		p.publishes(1, 2, 3, 4)
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		s.acked(list[0], 1)
		p.drop()
		list = append(list, publishing(t.Context(), c, "message", "5"))
		p, hello := s.greet(resumed(3))
		if hello.Session != "s1" || !hello.HasOffset {
			t.Errorf("hello %+v", hello)
		}
		for i, m := range p.publishes(2, 3, 4, 5) {
			if want := fmt.Sprint(i + 2); string(m.Payload.Data) != want {
				t.Errorf("publish %d carries %s", m.Seq, m.Payload.Data)
			}
		}
		for seq := range uint64(4) {
			p.say(&protocol.Ack{Seq: seq + 2, Offset: seq + 2})
			s.acked(list[seq+1], seq+2)
		}
	})
}

func TestOpenLimit(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.LimitOpen = 3 }))
		list := many(s, c, 5)
		p.publishes(1, 2, 3)
		p.silent(time.Second)
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		p.publishes(4)
		p.silent(time.Second)
		s.acked(list[0], 1)
	})
}

// TestRetry: a refused number is sent again after the wait, then all after it, each once.
func TestRetry(t *testing.T) {
	for _, wait := range []uint64{0, 700} {
		each(t, func(t *testing.T, s *server) {
			c, p := s.opened()
			list := many(s, c, 70)
			for seq := range uint64(64) {
				p.publishes(seq + 1)
			}
			began := time.Now()
			p.say(&protocol.ErrorMessage{Seq: 1, Code: "rate_limited", Retryable: true, Retry: wait})
			for seq := uint64(2); seq <= 64; seq++ {
				p.say(&protocol.ErrorMessage{Seq: seq, Code: "out_of_order", Retryable: true, Expected: 1})
			}
			for seq := range uint64(64) {
				p.publishes(seq + 1)
			}
			if d := time.Since(began); d < time.Duration(wait)*time.Millisecond || d > time.Second {
				t.Errorf("sent again after %v", d)
			}
			for seq := range uint64(64) {
				p.say(&protocol.Ack{Seq: seq + 1, Offset: seq + 1})
				s.acked(list[seq], seq+1)
			}
			p.publishes(65, 66, 67, 68, 69, 70)
			p.silent(time.Second)
		})
	}
}

// TestRetryKeepsTheOpenLimit: what the room has not answered yet counts, sent again or not.
func TestRetryKeepsTheOpenLimit(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.LimitOpen = 3 }))
		many(s, c, 4)
		p.publishes(1, 2, 3)
		p.say(&protocol.ErrorMessage{Seq: 1, Code: "rate_limited", Retryable: true})
		p.publishes(1)
		p.silent(time.Second)
		p.say(&protocol.ErrorMessage{Seq: 2, Code: "out_of_order", Retryable: true, Expected: 1})
		p.publishes(2)
		p.silent(time.Second)
	})
}

// TestRetryInTheMiddle: what was answered before stays answered.
func TestRetryInTheMiddle(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, p := s.opened()
		list := many(s, c, 3)
		p.publishes(1, 2, 3)
		p.say(
			&protocol.Ack{Seq: 1, Offset: 1},
			&protocol.ErrorMessage{Seq: 2, Code: "storage_unavailable", Retryable: true, Retry: 1000},
			&protocol.ErrorMessage{Seq: 3, Code: "storage_unavailable", Retryable: true, Retry: 3000},
		)
		s.acked(list[0], 1)
		p.silent(2900 * time.Millisecond) // the longest of the waits
		p.publishes(2, 3)
		p.say(&protocol.Ack{Seq: 2, Offset: 2}, &protocol.Ack{Seq: 3, Offset: 3})
		s.acked(list[1], 2)
		s.acked(list[2], 3)
	})
}

// TestWaitEndsWithTheConnection: a new connection begins without the old one's wait.
func TestWaitEndsWithTheConnection(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, p := s.opened()
		done := publishing(t.Context(), c, "message", "1")
		p.publishes(1)
		p.say(&protocol.ErrorMessage{Seq: 1, Code: "rate_limited", Retryable: true, Retry: 3_600_000})
		synctest.Wait()
		p.drop()
		p, _ = s.greet(resumed(0))
		p.publishes(1)
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		s.acked(done, 1)
	})
}

// TestSessionLost is every way in which a session ends: what was sent is unknown, what was not
// goes into the next session from number 1.
func TestSessionLost(t *testing.T) {
	other := welcome(func(w *protocol.Welcome) { w.Session = "s2" })
	for _, c := range []struct {
		name string
		// end makes the session end; answered has its ack, pending has been sent.
		end  func(s *server, p *peer) *peer
		keep bool // hello names the session until the room says otherwise
	}{
		{"another session in the welcome", func(s *server, p *peer) *peer {
			p.drop()
			p, hello := s.greet(other)
			if hello.Session != "s1" {
				s.t.Errorf("hello %+v", hello)
			}
			return p
		}, true},
		{"session_lost", func(s *server, p *peer) *peer {
			p.say(&protocol.ErrorMessage{Seq: 2, Code: "session_lost"})
			return nil
		}, false},
		{"the room is behind", func(s *server, p *peer) *peer {
			p.drop()
			s.greet(resumed(0))
			return nil
		}, false},
		{"somebody else has published in it", func(s *server, p *peer) *peer {
			p.drop()
			s.greet(resumed(4))
			return nil
		}, false},
		{"it expects what was answered", func(s *server, p *peer) *peer {
			p.say(&protocol.ErrorMessage{Seq: 2, Code: "out_of_order", Retryable: true, Expected: 1})
			return nil
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				cl := s.client()
				p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.LimitOpen = 2 }))
				list := many(s, cl, 4)
				p.publishes(1, 2)
				p.say(&protocol.Ack{Seq: 1, Offset: 1})
				s.acked(list[0], 1)
				p.publishes(3)
				next := c.end(s, p)
				s.failed(list[1], ErrOutcomeUnknown)
				s.failed(list[2], ErrOutcomeUnknown)
				if next == nil {
					var hello protocol.ClientMessage
					if next, hello = s.greet(other); hello.Session != "" || !hello.HasOffset {
						t.Errorf("hello %+v", hello)
					}
				}
				if m := next.publishes(1)[0]; string(m.Payload.Data) != "4" {
					t.Errorf("into the new session went %s", m.Payload.Data)
				}
				next.say(&protocol.Ack{Seq: 1, Offset: 2})
				s.acked(list[3], 2)
				if got := cl.Place().Session; got != "s2" {
					t.Errorf("session %q", got)
				}
			})
		})
	}
}

// TestTooLarge: what the server would close for, for good, is refused here, without a number.
func TestTooLarge(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.LimitMessage = 200 }))
		_ = c.Ready(t.Context())
		size := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
		frame := func(n int) int {
			m := protocol.ClientMessage{Type: protocol.TypePublish, Seq: 1, Event: "m", Payload: protocol.JSONPayload(size(n))}
			return len(m.Append(nil, s.form))
		}
		fits := 200 - (frame(100) - 100)
		var e *RoomError
		if o := s.result(publishing(t.Context(), c, "m", size(fits+1))); !errors.As(o.err, &e) || e.Code != "too_large" {
			t.Errorf("one past the limit: %+v", o)
		}
		at := publishing(t.Context(), c, "m", size(fits))
		p.publishes(1)
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		s.acked(at, 1)
		if _, err := c.Request(t.Context(), "m", protocol.JSONPayload(size(300))); !errors.As(err, &e) {
			t.Errorf("request: %v", err)
		}
		if err := c.Signal("m", protocol.JSONPayload(size(300))); !errors.As(err, &e) {
			t.Errorf("signal: %v", err)
		}
	})
}

func TestInvalid(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, p := s.opened()
		for _, x := range []struct {
			event string
			p     protocol.Payload
		}{
			{"", protocol.Payload{}}, {"a b", protocol.Payload{}}, {strings.Repeat("x", 65), protocol.Payload{}},
			{`a"`, protocol.Payload{}}, {"a", protocol.JSONPayload("{")}, {"a", protocol.JSONPayload("1,\"seq\":2")},
			{"a", protocol.Payload{Format: 7}}, {"a", protocol.Payload{Data: []byte("x")}},
		} {
			if _, err := c.Publish(t.Context(), x.event, x.p); !errors.Is(err, ErrInvalid) {
				t.Errorf("publish %q %q: %v", x.event, x.p.Data, err)
			}
			if _, err := c.Request(t.Context(), x.event, x.p); !errors.Is(err, ErrInvalid) {
				t.Errorf("request %q %q: %v", x.event, x.p.Data, err)
			}
			if err := c.Signal(x.event, x.p); !errors.Is(err, ErrInvalid) {
				t.Errorf("signal %q %q: %v", x.event, x.p.Data, err)
			}
		}
		p.silent(time.Second)
	})
}

func TestQueueIsBounded(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client(func(o *Options) { o.QueueLength = 3 })
		many(s, c, 3)
		if _, err := c.Publish(t.Context(), "m", protocol.Payload{}); err != ErrQueueFull {
			t.Errorf("one past the length: %v", err)
		}
		c.Abandon()
		c = s.client(func(o *Options) { o.QueueBytes = 1000 })
		publishing(t.Context(), c, "m", `"`+strings.Repeat("x", 2000)+`"`) // alone it may be larger
		if _, err := c.Publish(t.Context(), "m", protocol.Payload{}); err != ErrQueueFull {
			t.Errorf("past the bytes: %v", err)
		}
		c.Abandon()
	})
}

func TestContexts(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		ctx, cancel := context.WithCancel(t.Context())
		never := publishing(ctx, c, "message", "1")
		stays := publishing(t.Context(), c, "message", "2")
		cancel()
		if o := s.result(never); !errors.Is(o.err, context.Canceled) || errors.Is(o.err, ErrOutcomeUnknown) {
			t.Errorf("never sent: %v", o.err)
		}
		p, _ := s.greet(welcome())
		if m := p.publishes(1)[0]; string(m.Payload.Data) != "2" {
			t.Errorf("sent %s", m.Payload.Data)
		}
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		s.acked(stays, 1)

		ctx, cancel = context.WithCancel(t.Context())
		data := []byte("3")
		sent := make(chan outcome, 1)
		go func() {
			_, err := c.Publish(ctx, "message", protocol.JSONPayload(data))
			sent <- outcome{err: err}
		}()
		p.publishes(2)
		cancel()
		if o := s.result(sent); !errors.Is(o.err, context.Canceled) || !errors.Is(o.err, ErrOutcomeUnknown) {
			t.Errorf("sent: %v", o.err)
		}
		data[0] = '9' // the caller's own again
		p.drop()
		p, _ = s.greet(resumed(1))
		if m := p.publishes(2)[0]; string(m.Payload.Data) != "3" {
			t.Errorf("sent again: %s", m.Payload.Data)
		}
	})
}

// TestTakenOver ends the client for good.
func TestTakenOver(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.LimitOpen = 1 }))
		list := many(s, c, 2)
		p.publishes(1)
		p.close(abi.CodeTakenOver, "taken_over")
		s.failed(list[0], ErrOutcomeUnknown)
		if o := s.result(list[1]); !errors.Is(o.err, abi.CodeTakenOver) || errors.Is(o.err, ErrOutcomeUnknown) {
			t.Errorf("never sent: %v", o.err)
		}
		<-c.Done()
		if _, err := c.Publish(t.Context(), "message", protocol.Payload{}); !errors.Is(err, abi.CodeTakenOver) {
			t.Error(err)
		}
		if err := c.Ready(t.Context()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		s.none(2 * time.Minute)
	})
}
