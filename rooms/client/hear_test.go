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

// TestResume: every event once, in order, across connections.
func TestResume(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var got []string
		c, p := s.opened(func(o *Options) {
			o.Event = func(e *protocol.Event) { got = append(got, fmt.Sprint(e.Offset, " ", string(e.Payload.Data))) }
			o.Gap = func(protocol.Reason) { t.Error("a gap was told") }
		})
		first := event(1, "1")
		first.Incarnation = "i1"
		p.say(first, event(2, "2"), event(0, `"ephemeral"`))
		synctest.Wait()
		if want := (Place{"s1", "i1", 2, true}); c.Place() != want {
			t.Errorf("place %+v", c.Place())
		}
		p.drop()
		p, hello := s.greet(resumed(0))
		if hello.Incarnation != "i1" || hello.Offset != 2 {
			t.Errorf("hello %+v", hello)
		}
		third := event(3, "3")
		third.Incarnation = "i2"
		p.say(third, &protocol.Part{Offset: 3})
		p.want(protocol.TypeMore)
		p.say(event(4, "4"))
		synctest.Wait()
		if want := []string{"1 1", "2 2", `0 "ephemeral"`, "3 3", "4 4"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if want := (Place{"s1", "i2", 4, true}); c.Place() != want {
			t.Errorf("place %+v", c.Place())
		}
		p.silent(time.Second) // one more for each part
	})
}

func TestGap(t *testing.T) {
	for _, reason := range []protocol.Reason{protocol.ReasonHistory, protocol.ReasonIncarnation, protocol.ReasonAhead} {
		each(t, func(t *testing.T, s *server) {
			var told []protocol.Reason
			c, p := s.opened(func(o *Options) { o.Gap = func(r protocol.Reason) { told = append(told, r) } })
			p.drop()
			p, _ = s.greet(welcome(func(w *protocol.Welcome) { w.Reason, w.Incarnation, w.Offset = reason, "i9", 100 }))
			_ = c.Ready(t.Context())
			p.say(event(101, "1"))
			synctest.Wait()
			if !slices.Equal(told, []protocol.Reason{reason}) {
				t.Errorf("told %v", told)
			}
			if want := (Place{"s1", "i9", 101, true}); c.Place() != want {
				t.Errorf("place %+v", c.Place())
			}
		})
	}
}

// TestBrokenProtocol: whatever the server says, the client closes without ending its session and
// goes on from where it was.
func TestBrokenProtocol(t *testing.T) {
	other := func(s *server, p *peer, b []byte) {
		typ := websocket.MessageBinary
		if s.form == protocol.Binary {
			typ = websocket.MessageText
		}
		_ = p.ws.Write(p.ctx, typ, b)
	}
	for name, say := range map[string]func(s *server, p *peer){
		"not a message":  func(s *server, p *peer) { p.raw([]byte("{}")) },
		"empty":          func(s *server, p *peer) { p.raw(nil) },
		"other sort":     func(s *server, p *peer) { other(s, p, event(2, "2").Append(nil, s.form)) },
		"second welcome": func(s *server, p *peer) { p.say(resumed(0)) },
		"ack of nothing": func(s *server, p *peer) { p.say(&protocol.Ack{Seq: 1, Offset: 1}) },
		"error of nothing": func(s *server, p *peer) {
			p.say(&protocol.ErrorMessage{Seq: 1, Code: "rate_limited", Retryable: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				n := 0
				c, p := s.opened(func(o *Options) { o.Event = func(*protocol.Event) { n++ } })
				p.say(event(1, "1"))
				synctest.Wait()
				say(s, p)
				if code := p.gone(); code != abi.CodeRestarting {
					t.Errorf("closed with %v", code)
				}
				_, hello := s.greet(resumed(0))
				if hello.Session != "s1" || hello.Offset != 1 {
					t.Errorf("hello %+v", hello)
				}
				if err := c.Ready(t.Context()); err != nil || n != 1 {
					t.Errorf("%d events, %v", n, err)
				}
			})
		})
	}
}

func TestBrokenWelcome(t *testing.T) {
	for name, w := range map[string]*protocol.Welcome{
		"no session":         welcome(func(w *protocol.Welcome) { w.Session = "" }),
		"resumed from where": resumed(0),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				s.client(func(o *Options) { o.Welcome = func(*protocol.Welcome) { t.Error("it was believed") } })
				p := s.accept()
				p.want(protocol.TypeHello)
				p.say(event(1, "1"), w) // and nothing before a welcome counts
				if code := p.gone(); code != abi.CodeRestarting {
					t.Errorf("closed with %v", code)
				}
				s.accept()
			})
		})
	}
}

func TestRequests(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, p := s.opened()
		type reply struct {
			p   protocol.Payload
			err error
		}
		ask := func(ctx context.Context) <-chan reply {
			ch := make(chan reply, 1)
			go func() {
				got, err := c.Request(ctx, "state", protocol.JSONPayload(`1`))
				ch <- reply{got, err}
			}()
			return ch
		}
		ch := ask(t.Context())
		m := p.want(protocol.TypeRequest)
		p.say(&protocol.Response{ID: m.ID, Payload: protocol.JSONPayload(`{"a":1}`)})
		if r := <-ch; r.err != nil || string(r.p.Data) != `{"a":1}` {
			t.Errorf("%+v", r)
		}
		p.say(&protocol.Response{ID: m.ID}, &protocol.Response{ID: 999}) // nobody waits

		ch = ask(t.Context())
		m = p.want(protocol.TypeRequest)
		p.say(&protocol.ErrorMessage{ID: m.ID, HasID: true, Code: "rate_limited", Retryable: true, Retry: 50})
		var e *RoomError
		if r := <-ch; !errors.As(r.err, &e) || e.Code != "rate_limited" || !e.Retryable || e.Retry != 50*time.Millisecond {
			t.Errorf("%+v", r)
		}

		ctx, cancel := context.WithCancel(t.Context())
		ch = ask(ctx)
		m = p.want(protocol.TypeRequest)
		cancel()
		if r := <-ch; !errors.Is(r.err, context.Canceled) {
			t.Errorf("%+v", r)
		}
		p.say(&protocol.Response{ID: m.ID}) // too late

		ch = ask(t.Context())
		p.want(protocol.TypeRequest)
		p.drop()
		if r := <-ch; !errors.Is(r.err, ErrDisconnected) {
			t.Errorf("%+v", r)
		}
		if r := <-ask(t.Context()); !errors.Is(r.err, ErrDisconnected) {
			t.Errorf("without a connection: %+v", r)
		}
		p, _ = s.greet(resumed(0))
		p.silent(time.Second) // requests are not repeated
	})
}

func TestPages(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		c, p := s.opened()
		go func() {
			m := p.want(protocol.TypeRequest)
			q, err := protocol.DecodeHistoryQuery(m.Payload, s.form)
			if err != nil || m.Event != "history" || q.Before != 9 || q.Limit != 2 {
				t.Errorf("%+v %v", q, err)
			}
			page := protocol.HistoryPage{Events: []protocol.Event{*event(7, "7"), *event(8, "8")}, More: true}
			p.say(&protocol.Response{ID: m.ID, Payload: protocol.PagePayload(protocol.AppendHistoryPage(nil, &page, s.form), s.form)})
			m = p.want(protocol.TypeRequest)
			members := protocol.MembersPage{Members: []protocol.Member{{User: "bob", Connections: 2}}, Counts: protocol.Counts{Users: 1, Connections: 2}}
			p.say(&protocol.Response{ID: m.ID, Payload: protocol.PagePayload(protocol.AppendMembersPage(nil, &members, s.form), s.form)})
			m = p.want(protocol.TypeRequest)
			p.say(&protocol.Response{ID: m.ID, Payload: protocol.JSONPayload(`{"events":7}`)})
		}()
		h, err := c.History(t.Context(), protocol.HistoryQuery{Before: 9, HasBefore: true, Limit: 2})
		if err != nil || len(h.Events) != 2 || !h.More || h.Events[1].Offset != 8 {
			t.Errorf("%+v %v", h, err)
		}
		m, err := c.Members(t.Context(), protocol.MembersQuery{})
		if err != nil || len(m.Members) != 1 || m.Counts.Connections != 2 {
			t.Errorf("%+v %v", m, err)
		}
		if _, err := c.History(t.Context(), protocol.HistoryQuery{}); !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("a page that is none: %v", err)
		}
	})
}

func TestSignals(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		var got []string
		c, p := s.opened(func(o *Options) {
			o.Signal = func(m *protocol.Signal) { got = append(got, m.Name+" "+m.From) }
			o.Notify = func(event string, _ protocol.Payload) { got = append(got, "notify "+event) }
			o.Presence = func(m *protocol.Presence) { got = append(got, fmt.Sprint("presence ", m.Leave)) }
		})
		if err := c.Signal("typing", protocol.JSONPayload("true")); err != nil {
			t.Fatal(err)
		}
		if m := p.want(protocol.TypeSignal); m.Event != "typing" {
			t.Errorf("%+v", m)
		}
		p.say(&protocol.Signal{Name: "typing", From: "bob"}, &protocol.Signal{Name: "oriel.notify.mention"}, &protocol.Presence{Leave: []string{"bob"}},
			&protocol.ErrorMessage{Code: "unknown_event"}, &protocol.Pong{})
		synctest.Wait()
		if want := []string{"presence []", "typing bob", "notify mention", "presence [bob]"}; !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
		s.stick()
		var err error
		for range 2*maxOutbox + maxBatch {
			if err = c.Signal("typing", protocol.Payload{}); err != nil {
				break
			}
		}
		if err != ErrDisconnected {
			t.Errorf("the outbox has no bound: %v", err)
		}
	})
}
