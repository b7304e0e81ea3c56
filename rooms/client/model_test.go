package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// model is a room that follows PROTOCOL.md, sections 5 and 6, to the letter, and behaves as
// badly as it may: it drops connections between any two messages, before or after it has
// acted, loses what the client says, its own answers or both and says so with a resync, and refuses
// what it likes for a while.
type model struct {
	s       *server
	r       *rand.Rand
	wg      sync.WaitGroup
	session string
	history []string
	seq     uint64
	answers map[uint64]uint64 // seq -> offset
	drops   int
	resyncs int
	lost    bool // what it says does not arrive
}

func (m *model) serve(p *peer) {
	m.lost = false
	first := p.want(protocol.TypeHello)
	m.welcome(p, &first)
	for f := range p.in {
		if m.chance(40) {
			m.drop(p)
			return
		}
		m.hear(p, f)
		if m.chance(25) || m.resyncs == 0 && m.seq >= 50 { // once at least, whatever its luck
			m.losing(p)
		}
		if m.chance(40) || m.drops == 0 && m.seq >= 100 {
			m.drop(p)
			return
		}
	}
}

func (m *model) drop(p *peer) {
	p.drop()
	m.drops++
}

// losing breaks the way between the two for some messages, and then says so.
func (m *model) losing(p *peer) {
	m.resyncs++
	m.lost = true
	for range m.r.IntN(8) {
		select {
		case f, ok := <-p.in:
			if ok && m.chance(2) {
				m.hear(p, f)
			}
		case <-time.After(time.Second): // it waits for an answer that was lost
		}
	}
	m.lost = false
	p.resync()
}

func (m *model) say(p *peer, list ...protocol.RoomMessage) {
	if !m.lost {
		p.say(list...)
	}
}

func (m *model) hear(p *peer, f frame) {
	var d protocol.Decoder
	var msg protocol.ClientMessage
	err := d.Decode(&msg, m.s.form, f.b)
	switch {
	case err == nil && msg.Type == protocol.TypeHello:
		m.welcome(p, &msg)
	case err == nil && msg.Type == protocol.TypePublish:
		m.publish(p, &msg)
	default:
		m.s.t.Errorf("%+v %v", msg, err)
	}
}

func (m *model) welcome(p *peer, hello *protocol.ClientMessage) {
	w := resumed(m.seq)
	w.ID, w.HasID = hello.ID, hello.HasID
	if m.session != "" && hello.Session != m.session && hello.Session != "" {
		m.s.t.Errorf("hello names session %q", hello.Session)
	}
	m.session, w.Session = "s1", "s1"
	at := hello.Offset
	if !hello.HasOffset {
		w.Resumed, w.Reason = false, protocol.ReasonNew
		at = uint64(len(m.history))
	}
	w.Offset = uint64(len(m.history))
	m.say(p, w)
	for ; at < uint64(len(m.history)); at++ {
		m.say(p, event(at+1, m.history[at]))
	}
}

// chance is true once in n times.
func (m *model) chance(n int) bool { return m.r.IntN(n) == 0 }

func (m *model) publish(p *peer, msg *protocol.ClientMessage) {
	switch {
	case msg.Seq <= m.seq:
		m.say(p, &protocol.Ack{Seq: msg.Seq, Offset: m.answers[msg.Seq]})
	case msg.Seq > m.seq+1:
		m.say(p, &protocol.ErrorMessage{Seq: msg.Seq, Code: "out_of_order", Retryable: true, Expected: m.seq + 1})
	case m.chance(20):
		m.say(p, &protocol.ErrorMessage{Seq: msg.Seq, Code: "overloaded", Retryable: true, Retry: uint64(m.r.IntN(3)) * 10})
	default:
		m.seq++
		m.history = append(m.history, string(msg.Payload.Data))
		m.answers[m.seq] = uint64(len(m.history))
		e := event(uint64(len(m.history)), string(msg.Payload.Data))
		ack := &protocol.Ack{Seq: m.seq, Offset: m.answers[m.seq]}
		if m.chance(2) {
			m.say(p, e, ack)
		} else {
			m.say(p, ack, e)
		}
	}
}

// TestExactlyOnce: publishes from several callers, through a room that does what it may.
func TestExactlyOnce(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				m := &model{s: s, r: rand.New(rand.NewPCG(seed, 1)), answers: map[uint64]uint64{}}
				stop := make(chan struct{})
				m.wg.Go(func() {
					for {
						select {
						case p := <-s.peers:
							m.serve(p)
						case <-stop:
							return
						}
					}
				})
				var heard []string
				c := s.client(func(o *Options) {
					o.BackoffMax = time.Second
					o.Event = func(e *protocol.Event) { heard = append(heard, string(e.Payload.Data)) }
				})
				const callers, each = 5, 40
				type claim struct {
					offset uint64
					data   string
				}
				claims := make(chan claim, callers*each)
				var wg sync.WaitGroup
				for i := range callers {
					wg.Go(func() {
						for k := range each {
							data := fmt.Sprintf(`"%d/%d"`, i, k)
							offset, err := c.Publish(context.Background(), "message", protocol.JSONPayload(data))
							if err != nil {
								t.Errorf("%s: %v", data, err)
							}
							claims <- claim{offset, data}
						}
					})
				}
				wg.Wait()
				for c.Place().Offset < callers*each {
					time.Sleep(time.Second) // virtual: the last connection may have been dropped
				}
				c.Abandon()
				close(stop)
				m.wg.Wait()
				close(claims)
				if len(m.history) != callers*each || m.drops == 0 || m.resyncs == 0 {
					t.Fatalf("history has %d events after %d drops and %d resyncs", len(m.history), m.drops, m.resyncs)
				}
				for x := range claims {
					if got := m.history[x.offset-1]; got != x.data {
						t.Errorf("%s was acknowledged at %d, which is %s", x.data, x.offset, got)
					}
				}
				// What was there at the first welcome is not replayed; there was nothing.
				if fmt.Sprint(heard) != fmt.Sprint(m.history) {
					t.Errorf("heard\n%v\nhistory\n%v", heard, m.history)
				}
			})
		})
	}
}

// FuzzServer: a server that says anything never makes a client panic or hang.
func FuzzServer(f *testing.F) {
	f.Add([]byte(`{"type":"ack","seq":1}`), false, uint16(3))
	f.Add([]byte(`{"type":"error","seq":1,"code":"rate_limited","retry":0}`), false, uint16(0))
	f.Add([]byte(`{"type":"event","event":"m","offset":1,"time":1}`), false, uint16(9))
	f.Add([]byte(`{"type":"welcome","session":"x"}`), false, uint16(1))
	f.Add([]byte(protocol.ResyncFrame), false, uint16(17))
	f.Add([]byte{0x12, 1, 1, 0x14, 0, 1}, true, uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, binary bool, cut uint16) {
		synctest.Test(t, func(t *testing.T) {
			form := protocol.JSON
			if binary {
				form = protocol.Binary
			}
			s := newServer(t, form)
			c := s.client(func(o *Options) { o.BackoffMax = time.Second })
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			done := publishing(ctx, c, "message", "1")
			at := min(int(cut), len(data))
			for _, before := range []bool{false, true} {
				select {
				case p := <-s.peers:
					if before {
						p.raw(data[:at])
					}
					p.say(welcome())
					p.raw(data[:at])
					p.raw(data[at:])
					p.raw(data)
				case <-time.After(time.Minute): // it was told to stop, or to wait
				}
			}
			synctest.Wait()
			began := time.Now()
			c.Close()
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("Close took %v", d)
			}
			s.result(done)
		})
	})
}
