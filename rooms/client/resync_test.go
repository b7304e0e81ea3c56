package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// resync says that something may have been lost.
func (p *peer) resync() {
	_ = p.ws.Write(p.ctx, websocket.MessageText, []byte(protocol.ResyncFrame))
}

// again hears a hello with an id.
func (p *peer) again(id uint64) protocol.ClientMessage {
	p.s.t.Helper()
	m := p.want(protocol.TypeHello)
	if !m.HasID || m.ID != id {
		p.s.t.Fatalf("hello %d %v, want %d", m.ID, m.HasID, id)
	}
	return m
}

// answering is a welcome to a hello with an id.
func answering(id uint64, w *protocol.Welcome) *protocol.Welcome {
	w.ID, w.HasID = id, true
	return w
}

// TestResync: the client says hello on the same connection, believes nothing until it is welcomed,
// and goes on as after a reconnect.
func TestResync(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var told []string
		c, p := s.opened(func(o *Options) {
			o.State = func(st State) { told = append(told, string(st.Phase)) }
			o.Welcome = func(w *protocol.Welcome) { told = append(told, fmt.Sprint("welcome ", w.Seq)) }
			o.Event = func(e *protocol.Event) { told = append(told, fmt.Sprint("event ", e.Offset)) }
			o.Signal = func(*protocol.Signal) { told = append(told, "signal") }
			o.Presence = func(p *protocol.Presence) { told = append(told, fmt.Sprint("presence ", p.Whole)) }
			o.Gap = func(protocol.Reason) { told = append(told, "gap") }
		})
		list := many(s, c, 3)
		p.publishes(1, 2, 3)
		p.say(&protocol.Ack{Seq: 1, Offset: 1}, event(1, "1"), event(2, "2"))
		s.acked(list[0], 1)
		asked := make(chan error, 1)
		go func() {
			_, err := c.Request(t.Context(), "state", protocol.Payload{})
			asked <- err
		}()
		request := p.want(protocol.TypeRequest)
		p.resync()
		if hello := p.again(1); hello.Session != "s1" || !hello.HasOffset || hello.Offset != 2 {
			t.Errorf("hello %+v", hello)
		}
		if err := <-asked; !errors.Is(err, ErrDisconnected) {
			t.Errorf("the request came to %v", err)
		}
		if got := c.State().Phase; got != Connecting {
			t.Errorf("the client is %s", got)
		}
		if err := c.Signal("typing", protocol.Payload{}); !errors.Is(err, ErrDisconnected) {
			t.Errorf("a signal: %v", err)
		}
		later := publishing(t.Context(), c, "message", "4")
		p.say(event(3, "3"), event(9, "9"), &protocol.Ack{Seq: 3, Offset: 9}, &protocol.Ack{Seq: 7, Offset: 9},
			&protocol.Presence{Leave: []string{"ann"}}, &protocol.Signal{Name: "typing"}, &protocol.Part{Offset: 3},
			&protocol.Response{ID: request.ID}, &protocol.ErrorMessage{Seq: 2, Code: "session_lost"},
			&protocol.ErrorMessage{Code: "invalid"}, resumed(0), answering(2, resumed(0)), &protocol.Pong{})
		p.silent(time.Second)
		synctest.Wait()
		if want := []string{"welcome 0", "presence true", "open", "event 1", "event 2", "connecting"}; !slices.Equal(told[1:], want) {
			t.Errorf("told %q, want %q", told[1:], want)
		}
		told = told[:0]
		p.say(answering(1, resumed(2)), event(3, "3"))
		for i, m := range p.publishes(2, 3, 4) {
			if want := fmt.Sprint(i + 2); string(m.Payload.Data) != want {
				t.Errorf("publish %d carries %s", m.Seq, m.Payload.Data)
			}
		}
		for seq := uint64(2); seq <= 4; seq++ {
			p.say(&protocol.Ack{Seq: seq, Offset: seq + 1})
		}
		s.acked(list[1], 3)
		s.acked(list[2], 4)
		s.acked(later, 5)
		p.say(event(4, "4"), event(5, "5"))
		p.silent(time.Second) // no request, and no more
		synctest.Wait()
		if want := []string{"welcome 2", "presence true", "open", "event 3", "event 4", "event 5"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		s.none(time.Minute)
	})
}

// TestResyncBeforeWelcome: the first hello may be lost, or may not.
func TestResyncBeforeWelcome(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		heard := 0
		c := s.client(func(o *Options) {
			o.Welcome = func(*protocol.Welcome) { heard++ }
			o.State = func(st State) {
				if st.Phase == Waiting {
					t.Error("it waits")
				}
			}
		})
		done := publishing(t.Context(), c, "message", "1")
		p := s.accept()
		p.want(protocol.TypeHello)
		p.resync()
		p.say(welcome(func(w *protocol.Welcome) { w.Session = "s0" }), event(1, "1"))
		if hello := p.again(1); hello.Session != "" || hello.HasOffset {
			t.Errorf("hello %+v", hello)
		}
		p.silent(time.Second)
		p.say(answering(1, welcome()))
		p.publishes(1)
		p.say(&protocol.Ack{Seq: 1, Offset: 1})
		s.acked(done, 1)
		synctest.Wait()
		if heard != 1 || c.Place().Session != "s1" {
			t.Errorf("%d welcomes, %+v", heard, c.Place())
		}
		c.Abandon()
	})
}

// TestResyncAgain: a second one begins anew, and only the newest hello counts.
func TestResyncAgain(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		phases := 0
		c, p := s.opened(func(o *Options) { o.State = func(State) { phases++ } })
		list := many(s, c, 2)
		p.publishes(1, 2)
		p.resync()
		p.again(1)
		p.resync()
		p.say(answering(1, resumed(1)), &protocol.Ack{Seq: 1, Offset: 1})
		p.again(2)
		p.silent(time.Second)
		p.say(answering(2, resumed(1)))
		p.publishes(1, 2)
		p.say(&protocol.Ack{Seq: 1, Offset: 1}, &protocol.Ack{Seq: 2, Offset: 2})
		s.acked(list[0], 1)
		s.acked(list[1], 2)
		synctest.Wait()
		if phases != 4 { // connecting, open, and both once more
			t.Errorf("%d changes of state", phases)
		}
		p.resync()
		p.again(3)
		p.say(answering(3, welcome(func(w *protocol.Welcome) { w.Session = "s2" })))
		_ = c.Ready(t.Context())
		if got := c.Place().Session; got != "s2" {
			t.Errorf("session %q", got)
		}
	})
}

// TestResyncTimeout: a client that is not welcomed again comes back on another connection. What was left
// of the first attempt's time does not count.
func TestResyncTimeout(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.client(func(o *Options) { o.ConnectTimeout = 10 * time.Second })
		p := s.accept()
		p.want(protocol.TypeHello)
		time.Sleep(9 * time.Second)
		p.resync()
		p.again(1)
		time.Sleep(9 * time.Second)
		p.say(answering(1, welcome()))
		p.silent(time.Minute) // welcomed in time, and its time is over
		began := time.Now()
		p.resync()
		p.again(2)
		if code := p.gone(); code != abi.CodeAbnormal || time.Since(began) != 10*time.Second {
			t.Errorf("closed with %v after %v", code, time.Since(began))
		}
		if _, hello := s.greet(resumed(0)); hello.HasID || hello.Session != "s1" {
			t.Errorf("hello %+v", hello)
		}
	})
}

// TestResyncKeepsTheHeartbeat: a client that waits for its welcome shows that it lives, and sees whether
// the server does.
func TestResyncKeepsTheHeartbeat(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		beats := func(ms uint64) func(*protocol.Welcome) {
			return func(w *protocol.Welcome) { w.Heartbeat = ms }
		}
		c := s.client(func(o *Options) { o.ConnectTimeout = time.Hour })
		p, _ := s.greet(welcome(beats(1000)))
		_ = c.Ready(t.Context())
		p.resync()
		for id := uint64(1); ; id++ {
			p.again(id)
			for range 5 {
				if f := <-p.in; string(f.b) != protocol.PingText {
					t.Fatalf("%q", f.b)
				}
				_ = p.ws.Write(p.ctx, websocket.MessageText, []byte(protocol.PongText))
			}
			if id == 2 {
				break
			}
			w := answering(id, resumed(0))
			beats(4000)(w)
			p.say(w)
			began := time.Now()
			if f := <-p.in; string(f.b) != protocol.PingText || time.Since(began) < 3*time.Second {
				t.Errorf("%q after %v", f.b, time.Since(began))
			}
			p.resync()
		}
		began := time.Now()
		if code := p.gone(); code != abi.CodeAbnormal || time.Since(began) > 10*time.Second {
			t.Errorf("closed with %v after %v", code, time.Since(began))
		}
	})
}

// TestResyncDuringReplay: the next part of what was broken off is not asked for behind the hello.
func TestResyncDuringReplay(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.setDown(true)
		k := &conn{c: s.client(), form: s.form, welcome: welcome()}
		k.await(time.Hour)
		k.c.link = k
		_ = k.handle(&protocol.Part{Offset: 1})
		k.resync()
		k.timer.Stop()
		if batch, _ := k.collect(); len(batch) != 1 {
			t.Errorf("%q", batch)
		}
		k.c.link = k // welcomed
		if batch, _ := k.collect(); len(batch) != 0 {
			t.Errorf("%q", batch)
		}
		k.c.link = nil
	})
}

// TestHole: an event that is not the next one is not believed. Once, the connection is asked what is
// true; the second time it is given up.
func TestHole(t *testing.T) {
	for name, bad := range map[string]*protocol.Event{"ahead": event(3, "3"), "again": event(1, "1")} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				var got []uint64
				c, p := s.opened(func(o *Options) { o.Event = func(e *protocol.Event) { got = append(got, e.Offset) } })
				p.say(event(1, "1"), bad, event(2, "2"))
				if hello := p.again(1); hello.Session != "s1" || hello.Offset != 1 {
					t.Errorf("hello %+v", hello)
				}
				p.say(answering(1, resumed(0)), event(2, "2"), event(3, "3"))
				synctest.Wait()
				if want := []uint64{1, 2, 3}; !slices.Equal(got, want) {
					t.Errorf("got %d", got)
				}
				p.say(event(9, "9"))
				if code := p.gone(); code != abi.CodeRestarting {
					t.Errorf("closed with %v", code)
				}
				if _, hello := s.greet(resumed(0)); hello.Session != "s1" || hello.Offset != 3 {
					t.Errorf("hello %+v", hello)
				}
				_ = c.Ready(context.Background())
			})
		})
	}
}
