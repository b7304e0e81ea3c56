package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

func TestHelloAndWelcome(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var log []string
		c := s.client(func(o *Options) {
			o.Hello = protocol.JSONPayload(`{"name":"Ann"}`)
			o.Credential = func(context.Context) (string, error) { return "tok", nil }
			o.Welcome = func(w *protocol.Welcome) { log = append(log, "welcome "+w.Session) }
			o.Presence = func(p *protocol.Presence) { log = append(log, fmt.Sprint("presence ", p.Whole, len(p.Members))) }
			o.Gap = func(r protocol.Reason) { log = append(log, "gap "+r.String()) }
			o.State = func(s State) { log = append(log, string(s.Phase)) }
		})
		p := s.accept()
		if got := (<-s.asked).Get("Authorization"); got != "Bearer tok" {
			t.Errorf("Authorization %q", got)
		}
		m := p.want(protocol.TypeHello)
		if m.HasOffset || m.Session != "" || string(m.Payload.Data) != `{"name":"Ann"}` {
			t.Errorf("hello %+v", m)
		}
		p.say(welcome(func(w *protocol.Welcome) {
			w.Incarnation, w.Offset = "i1", 7
			w.Members = []protocol.Member{{User: "ann", Connections: 1}}
		}))
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := c.Place(), (Place{"s1", "i1", 7, true}); got != want {
			t.Errorf("place %+v, want %+v", got, want)
		}
		synctest.Wait()
		if want := []string{"connecting", "welcome s1", "presence true 1", "open"}; !slices.Equal(log, want) {
			t.Errorf("told %v, want %v", log, want)
		}
		c.Close()
		if code := p.gone(); code != abi.CodeNormal {
			t.Errorf("closed with %v", code)
		}
		if err := c.Ready(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Ready after Close: %v", err)
		}
	})
}

// TestCloseCodes holds the client to the table, row by row.
func TestCloseCodes(t *testing.T) {
	for _, info := range abi.Codes() {
		if !info.Code.Sendable() {
			continue
		}
		t.Run(info.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, protocol.JSON)
				asked := 0
				c := s.client(func(o *Options) {
					o.Credential = func(context.Context) (string, error) { asked++; return "tok", nil }
				})
				p, _ := s.greet(welcome())
				_ = c.Ready(t.Context())
				p.close(info.Code, abi.CloseReason(info.Code, 3*time.Second, ""))
				if info.Action == abi.ActionStop {
					<-c.Done()
					var stop *StopError
					if err := c.State().Err; !errors.As(err, &stop) || stop.Code != info.Code || !errors.Is(err, info.Code) {
						t.Errorf("ended with %v", err)
					}
					return
				}
				s.none(3*time.Second - time.Millisecond) // the hint
				s.accept()
				if asked != 2 {
					t.Errorf("the credential was asked for %d times", asked)
				}
			})
		})
	}
}

// TestRefusals are answers in place of the upgrade.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, body string
		wait       time.Duration // 0: the client stops
	}{
		{"overloaded", `{"code":"overloaded","message":"m","retry":90000}`, 90 * time.Second},
		{"absurd", `{"code":"overloaded","retry":9223372036854775807}`, time.Hour},
		{"negative", `{"code":"overloaded","retry":-5}`, time.Nanosecond},
		{"forbidden", `{"code":"forbidden","message":"no"}`, 0},
		{"unknown", `{"code":"who_knows"}`, time.Nanosecond},
		{"html", `<html>`, time.Nanosecond},
		{"empty", ``, time.Nanosecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, protocol.JSON)
				s.refuse = func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusServiceUnavailable)
					_, _ = w.Write([]byte(c.body))
				}
				cl := s.client()
				<-s.asked
				began := time.Now()
				if c.wait == 0 {
					<-cl.Done()
					return
				}
				select {
				case <-s.asked:
					if d := time.Since(began); d < c.wait || d > c.wait*5/4+time.Minute {
						t.Errorf("came back after %v, want about %v", d, c.wait)
					}
				case <-time.After(2 * time.Hour):
					t.Error("does not come back")
				}
			})
		})
	}
}

func TestCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, protocol.JSON)
		n := 0
		s.client(func(o *Options) {
			o.Credential = func(context.Context) (string, error) {
				if n++; n == 1 {
					return "", errors.New("not yet")
				}
				return fmt.Sprint("tok", n), nil
			}
		})
		p := s.accept() // the failure was retried
		if got := (<-s.asked).Get("Authorization"); got != "Bearer tok2" {
			t.Errorf("Authorization %q", got)
		}
		p.close(abi.CodeTokenExpired, "")
		s.accept()
		if got := (<-s.asked).Get("Authorization"); got != "Bearer tok3" {
			t.Errorf("Authorization %q after token_expired", got)
		}
	})
}

// TestFirstMessage: the credential is a message, and hello comes right behind it.
func TestFirstMessage(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.client(func(o *Options) {
			o.Credential = func(context.Context) (string, error) { return "tok", nil }
			o.FirstMessage = true
		})
		p := s.accept()
		if got := (<-s.asked).Get("Authorization"); got != "" {
			t.Errorf("Authorization %q", got)
		}
		if f := <-p.in; f.typ != websocket.MessageText || string(f.b) != `{"type":"auth","token":"tok"}` {
			t.Errorf("the client said %s", f.b)
		}
		p.want(protocol.TypeHello)
	})
}

// TestAnonymousStops: without a credential there is no other to come back with.
func TestAnonymousStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, protocol.JSON)
		c := s.client()
		s.accept().close(abi.CodeUnauthenticated, "")
		<-c.Done()
		if err := c.State().Err; !errors.Is(err, abi.CodeUnauthenticated) {
			t.Error(err)
		}
	})
}

// TestBackoffGrowsAndResets watches the waits between attempts.
func TestBackoffGrowsAndResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, protocol.JSON)
		var waits []time.Duration
		s.client(func(o *Options) {
			o.State = func(st State) {
				if st.Phase == Waiting {
					waits = append(waits, time.Until(st.Until))
					if st.Err == nil {
						t.Error("waiting without a reason")
					}
				}
			}
		})
		for range 12 {
			s.accept().drop()
		}
		p, _ := s.greet(welcome())
		time.Sleep(stableAfter + time.Second)
		p.drop()
		s.accept()
		for i, w := range waits[:12] {
			if most := min(250*time.Millisecond<<i, 30*time.Second); w < 0 || w > most {
				t.Errorf("wait %d is %v, at most %v", i, w, most)
			}
		}
		if w := waits[12]; w > 250*time.Millisecond {
			t.Errorf("after a stable connection the wait is %v", w)
		}
		if slices.Max(waits) < 2*time.Second {
			t.Errorf("the waits do not grow: %v", waits)
		}
	})
}

func TestBackoffBounds(t *testing.T) {
	o, err := Options{URL: "ws://a"}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 70 {
		for range 50 {
			if w := o.backoff(n, 0); w < 0 || w > o.BackoffMax {
				t.Fatalf("backoff(%d) = %v", n, w)
			}
			if w := o.backoff(n, time.Hour); w < time.Hour || w > time.Hour*5/4+time.Second {
				t.Fatalf("backoff(%d, 1h) = %v", n, w)
			}
		}
	}
}

func TestReconnectEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, protocol.JSON)
		c := s.client()
		p, _ := s.greet(welcome())
		_ = c.Ready(t.Context())
		c.Reconnect() // of no use now, and not saved up
		p.close(abi.CodeRestarting, "restarting; retry=60000")
		s.none(30 * time.Second)
		began := time.Now()
		c.Reconnect()
		s.accept()
		if d := time.Since(began); d > 0 {
			t.Errorf("came back after %v", d)
		}
	})
}

// TestDeadConnection: a server that reads and says nothing.
func TestDeadConnection(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		const beat = 10 * time.Second
		c := s.client()
		p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.Heartbeat = uint64(beat.Milliseconds()) }))
		_ = c.Ready(t.Context())
		began := time.Now()
		var pings int
		for f := range p.in {
			if string(f.b) == protocol.PingText {
				pings++
			}
		}
		if d := time.Since(began); pings < 2 || d <= 2*beat || d > 3*beat {
			t.Errorf("given up after %v and %d pings", d, pings)
		}
		s.accept()
	})
}

// TestStuckWrite: the line takes no bytes any more while a publish is being written.
func TestStuckWrite(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		s.greet(welcome(func(w *protocol.Welcome) { w.Heartbeat = 1000 }))
		_ = c.Ready(t.Context())
		s.stick()
		done := publishing(t.Context(), c, "message", "1")
		began := time.Now()
		p, _ := s.greet(resumed(0))
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("the dead line was given up after %v", d)
		}
		p.publishes(1)
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		s.acked(done, 1)
	})
}

func TestHeartbeatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, protocol.JSON)
		c := s.client()
		p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.Heartbeat = 1000 }))
		_ = c.Ready(t.Context())
		for range 30 {
			if f := <-p.in; string(f.b) != protocol.PingText {
				t.Fatalf("%q", f.b)
			}
			_ = p.ws.Write(p.ctx, websocket.MessageText, []byte(protocol.PongText))
		}
		if c.State().Phase != Open {
			t.Error("a connection with pongs was given up")
		}
	})
}

// TestAbsurdHeartbeat: no number of the protocol makes a timer fail.
func TestAbsurdHeartbeat(t *testing.T) {
	for _, ms := range []uint64{0, 1, 9_223_372_036_855, 18_446_744_073_710, protocol.MaxInteger} { // in nanoseconds too many for 63 bits
		each(t, func(t *testing.T, s *server) {
			c := s.client()
			p, _ := s.greet(welcome(func(w *protocol.Welcome) { w.Heartbeat = ms }))
			_ = c.Ready(t.Context())
			done := publishing(t.Context(), c, "message", "1")
			p.publishes(1)
			p.say(&protocol.ErrorMessage{Seq: 1, Code: "overloaded", Retryable: true, Retry: protocol.MaxInteger})
			synctest.Wait()
			c.Close()
			s.failed(done, ErrOutcomeUnknown)
		})
	}
}

func TestConnectTimeout(t *testing.T) {
	for name, hold := range map[string]http.HandlerFunc{
		"no upgrade": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"no welcome": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, protocol.JSON)
				s.refuse = hold
				var errs []error
				s.client(func(o *Options) {
					o.ConnectTimeout = 2 * time.Second
					o.State = func(st State) { errs = append(errs, st.Err) }
				})
				<-s.asked
				began := time.Now()
				<-s.asked
				if d := time.Since(began); d < 2*time.Second || d > 3*time.Second {
					t.Errorf("the next attempt came after %v", d)
				}
				if errs[1] == nil || strings.Contains(errs[1].Error(), "canceled") {
					t.Errorf("the reason is %v", errs[1])
				}
			})
		})
	}
}

// TestCloseReallyEnds in every phase, and within its timeout whatever the server does.
func TestCloseReallyEnds(t *testing.T) {
	for name, until := range map[string]func(s *server, c *Client){
		"at once":  func(*server, *Client) {},
		"dialing":  func(s *server, c *Client) { synctest.Wait() },
		"greeting": func(s *server, c *Client) { s.accept().want(protocol.TypeHello) },
		"open": func(s *server, c *Client) {
			s.greet(welcome())
			_ = c.Ready(context.Background())
		},
		"deaf": func(s *server, c *Client) {
			s.greet(welcome())
			_ = c.Ready(context.Background())
			s.stick() // the closing handshake never comes to an end
		},
		"waiting": func(s *server, c *Client) {
			p := s.accept()
			s.setDown(true)
			p.drop()
			synctest.Wait()
		},
	} {
		for _, abandon := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, abandon=%v", name, abandon), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newServer(t, protocol.JSON)
					c := s.client()
					until(s, c)
					began := time.Now()
					if abandon {
						c.Abandon()
					} else {
						c.Close()
					}
					if d := time.Since(began); d > 3*time.Second {
						t.Errorf("it took %v", d)
					}
					if st := c.State(); st.Phase != Closed || !errors.Is(st.Err, ErrClosed) {
						t.Errorf("state %+v", st)
					}
					if _, err := c.Publish(t.Context(), "message", protocol.Payload{}); !errors.Is(err, ErrClosed) {
						t.Errorf("publish: %v", err)
					}
					if _, err := c.Request(t.Context(), "x", protocol.Payload{}); !errors.Is(err, ErrDisconnected) {
						t.Errorf("request: %v", err)
					}
					if err := c.Signal("x", protocol.Payload{}); !errors.Is(err, ErrDisconnected) {
						t.Errorf("signal: %v", err)
					}
					c.Close() // again
				})
			})
		}
	}
}

func TestAbandonKeepsTheSession(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c := s.client()
		p, _ := s.greet(welcome())
		_ = c.Ready(t.Context())
		c.Abandon()
		if code := p.gone(); code != abi.CodeAbnormal {
			t.Errorf("the server was told %v", code)
		}
		next := s.client(func(o *Options) { o.Resume = c.Place() })
		_, hello := s.greet(resumed(5))
		if hello.Session != "s1" || !hello.HasOffset {
			t.Errorf("hello %+v", hello)
		}
		_ = next.Ready(t.Context())
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"no URL":      {},
		"other":       {URL: "ftp://a"},
		"bad URL":     {URL: "ws://a b\x00"},
		"hello":       {URL: "ws://a", Hello: protocol.JSONPayload("{")},
		"session":     {URL: "ws://a", Resume: Place{Session: "a b"}},
		"incarnation": {URL: "ws://a", Resume: Place{Incarnation: strings.Repeat("x", 65)}},
		"queue":       {URL: "ws://a", QueueLength: -1},
		"back-off":    {URL: "ws://a", BackoffBase: -1},
	} {
		if c, err := New(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
			c.Abandon()
		}
	}
}

// TestWrongSubprotocol: a server that chooses another is not believed.
func TestWrongSubprotocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, protocol.JSON)
		s.proto = "chat"
		c := s.client()
		s.accept()
		synctest.Wait()
		if st := c.State(); st.Phase != Waiting || !strings.Contains(st.Err.Error(), "speaks") {
			t.Errorf("%+v", st)
		}
	})
}
