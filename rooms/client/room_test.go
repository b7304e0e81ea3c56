package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// parrot says what it hears.
type parrot struct{}

func (parrot) Publish(_ *session.Room, _ *session.Member, p session.Publish) (session.Event, error) {
	return p.Accept(), nil
}

// nodes are a real room behind a gateway that keeps its sockets when the room's node dies.
type nodes struct {
	s *server
	r *rand.Rand

	mu    sync.Mutex // guards the fields below
	h     *roomtest.Host
	ends  []*end
	term  int
	lost  int // frames of clients
	again int // resyncs
}

// end is one client's connection in the gateway.
type end struct {
	p    *peer
	room *roomtest.Client
	wait []abi.Event // heard, and not yet handed to the room
}

func newNodes(s *server, seed uint64) *nodes {
	m := &rooms.Module{}
	session.RegisterIn(m, "parrot", func() session.Kind { return parrot{} }, session.Options{
		History: 100_000, Room: rooms.Options{MessagesPerSecond: 100_000, MessageBurst: 100_000, QueueBytes: 4096}})
	return &nodes{s: s, r: rand.New(rand.NewPCG(seed, 3)), h: roomtest.New(s.t, roomtest.Options{Module: m, Kind: "parrot", Seed: seed + 1})}
}

// serve takes connections until stop is closed.
func (n *nodes) serve(wg *sync.WaitGroup, stop <-chan struct{}) {
	for {
		select {
		case p := <-n.s.peers:
			n.mu.Lock()
			e := &end{p: p, room: n.h.Connect("", roomtest.WithProtocol(n.s.form.Subprotocol()))}
			n.ends = append(n.ends, e)
			n.mu.Unlock()
			wg.Go(func() { n.pump(e) })
		case <-stop:
			return
		}
	}
}

// pump hands the room what a client says.
func (n *nodes) pump(e *end) {
	for f := range e.p.in {
		n.mu.Lock()
		e.hear(f)
		if n.r.IntN(8) == 0 { // else it waits
			n.h.Run(e.take(len(e.wait))...)
			n.flush()
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e.room.Drop(abi.CodeAbnormal)
	n.ends = slices.DeleteFunc(n.ends, func(x *end) bool { return x == e })
	n.flush()
}

func (e *end) hear(f frame) {
	m := &abi.MessageEvent{Connection: e.room.ID, Encoding: abi.Text, Data: f.b}
	if f.typ == websocket.MessageBinary {
		m.Encoding = abi.Binary
	}
	e.wait = append(e.wait, m)
}

func (e *end) take(n int) []abi.Event {
	out := e.wait[:n]
	e.wait = e.wait[n:]
	return out
}

// flush writes what the room has said.
func (n *nodes) flush() {
	for _, e := range n.ends {
		for _, m := range e.room.Messages() {
			e.p.raw(m.Data)
		}
		if code, reason, closed := e.room.Closed(); closed {
			n.s.t.Errorf("the room closed with %v %s", code, reason)
		}
	}
}

// tick hands over what waits.
func (n *nodes) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.ends {
		if len(e.wait) > 0 {
			n.h.Run(e.take(len(e.wait))...)
		}
	}
	n.flush()
}

// fail lets the room's node die: of what each client has said some messages were heard, the next are lost, and
// the last are for the next node; what the room answered to the later of the heard ones is lost too.
func (n *nodes) fail() {
	n.mu.Lock()
	defer n.mu.Unlock()
	var cut []*roomtest.Client
	for _, e := range n.ends {
		for len(e.p.in) > 0 {
			f, ok := <-e.p.in
			if !ok {
				break
			}
			e.hear(f)
		}
		n.h.Run(e.take(n.r.IntN(len(e.wait)/2 + 1))...)
		cut = append(cut, e.room)
	}
	n.flush()
	n.h.Cut(cut...)
	for _, e := range n.ends {
		n.h.Run(e.take(n.r.IntN(len(e.wait)/2 + 1))...)
		if len(e.wait) > 0 {
			n.lost += len(e.take(1 + n.r.IntN(len(e.wait))))
		}
	}
	n.term++
	n.h.Move(fmt.Sprint("term-", n.term+1))
	for _, e := range n.ends {
		e.p.resync()
		n.again++
	}
}

// TestNodesFail: clients of a real room whose nodes die all the time keep their sockets; what was
// acknowledged is in history once, and each hears everything once, in order.
func TestNodesFail(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				n, r := newNodes(s, seed), rand.New(rand.NewPCG(seed, 4))
				stop := make(chan struct{})
				var serving, pumps sync.WaitGroup
				serving.Go(func() { n.serve(&pumps, stop) })
				t.Cleanup(func() { // after the clients' own
					close(stop)
					serving.Wait()
					pumps.Wait()
				})
				const clients, each, burst = 3, 40, 31 * time.Millisecond
				var all []*Client
				heard := make([][]string, clients)
				type claim struct {
					offset uint64
					data   string
				}
				claims := make(chan claim, clients*each)
				var publishing sync.WaitGroup
				for i := range clients {
					c := s.client(func(o *Options) {
						o.Resume.Known = true // from the beginning
						o.Event = func(e *protocol.Event) { heard[i] = append(heard[i], string(e.Payload.Data)) }
						o.Gap = func(r protocol.Reason) { t.Errorf("client %d has a gap: %v", i, r) }
						o.State = func(st State) {
							if st.Phase == Waiting {
								t.Errorf("client %d lost its socket: %v", i, st.Err)
							}
						}
					})
					all = append(all, c)
					for k := range each {
						publishing.Go(func() {
							data := fmt.Sprintf(`"%d/%d"`, i, k)
							time.Sleep(time.Duration(k/4) * burst)
							offset, err := c.Publish(context.Background(), "message", protocol.JSONPayload(data))
							if err != nil {
								t.Errorf("%s: %v", data, err)
							}
							claims <- claim{offset, data}
						})
					}
				}
				done := make(chan struct{})
				go func() { publishing.Wait(); close(done) }()
				serving.Go(func() {
					for {
						select {
						case <-time.After(13 * time.Millisecond):
							n.tick()
						case <-stop:
							return
						}
					}
				})
				for open, began := true, time.Now(); open; {
					wait := time.Duration(r.IntN(70)) * time.Millisecond
					if r.IntN(2) == 0 { // when much is on its way
						wait = burst - time.Since(began)%burst + time.Millisecond
					}
					select {
					case <-done:
						open = false
					case <-time.After(wait):
						n.fail()
					}
				}
				n.fail()
				time.Sleep(time.Second)
				for _, c := range all {
					_ = c.Ready(t.Context())
					for c.Place().Offset < clients*each {
						time.Sleep(time.Second)
					}
				}
				page, err := all[0].History(t.Context(), protocol.HistoryQuery{Limit: protocol.MaxPage})
				if err != nil || len(page.Events) != clients*each {
					t.Fatalf("history has %d events, %v", len(page.Events), err)
				}
				var history []string
				for _, e := range page.Events {
					history = append(history, string(e.Payload.Data))
				}
				close(claims)
				for x := range claims {
					if got := history[x.offset-1]; got != x.data {
						t.Errorf("%s was acknowledged at %d, which is %s", x.data, x.offset, got)
					}
				}
				for i, c := range all {
					if c.Abandon(); !slices.Equal(heard[i], history) {
						t.Errorf("client %d heard\n%v\nhistory\n%v", i, heard[i], history)
					}
				}
				if n.lost == 0 || n.again == 0 {
					t.Errorf("%d frames were lost, %d resyncs", n.lost, n.again)
				}
			})
		})
	}
}
