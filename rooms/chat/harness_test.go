package chat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/chat"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// each runs a test with a room that stays awake and with one that sleeps after every turn.
func each(t *testing.T, f func(t *testing.T, h *host)) {
	t.Helper()
	for _, sleep := range []bool{false, true} {
		t.Run(fmt.Sprintf("sleep=%v", sleep), func(t *testing.T) { f(t, newHost(t, nil, sleep)) })
	}
}

// host is a chat room under test.
type host struct {
	*roomtest.Host
	t *testing.T
}

func newHost(t *testing.T, m *rooms.Module, sleep bool) *host {
	return &host{roomtest.New(t, roomtest.Options{Module: m, Kind: "chat", SleepEachTurn: sleep}), t}
}

// short is a module whose chat keeps few events.
func short(events int) *rooms.Module {
	m := &rooms.Module{}
	o := chat.Options()
	o.History = events
	session.RegisterIn(m, "chat", func() session.Kind { return chat.New() }, o)
	return m
}

// person is a client that speaks the session protocol in JSON.
type person struct {
	*roomtest.Client
	h       *host
	welcome *protocol.Welcome
	seq, id uint64
	heard   []string // what others would see, see render
}

const moderator = `{"role":"moderator"}`

func (h *host) join(user string, claims ...string) *person {
	h.t.Helper()
	options := []roomtest.ConnectOption{roomtest.WithProtocol(protocol.SubprotocolJSON)}
	for _, c := range claims {
		options = append(options, roomtest.WithClaims(c))
	}
	p := &person{Client: h.Connect(user, options...), h: h}
	p.Send(`{"type":"hello"}`)
	for _, m := range p.messages() {
		if w, ok := m.(*protocol.Welcome); ok {
			p.welcome = w
		}
	}
	if p.welcome == nil {
		code, reason, _ := p.Closed()
		h.t.Fatalf("%s is not welcome: %v %s", user, code, reason)
	}
	return p
}

func (p *person) messages() (list []protocol.RoomMessage) {
	p.h.t.Helper()
	for _, m := range p.Messages() {
		msg, err := protocol.DecodeRoom(protocol.JSON, m.Data)
		if err != nil {
			p.h.t.Fatalf("%v: %s", err, m.Data)
		}
		list = append(list, msg)
	}
	return list
}

// listen reads what has arrived; what is not the answer to a publish or request goes to heard.
func (p *person) listen() (answer string, retry time.Duration) {
	p.h.t.Helper()
	for _, m := range p.messages() {
		switch m := m.(type) {
		case *protocol.Ack:
			answer = fmt.Sprint("ack ", m.Offset)
		case *protocol.ErrorMessage:
			answer, retry = m.Code, time.Duration(m.Retry)*time.Millisecond
			if m.Retryable {
				answer += " again"
			}
		case *protocol.Response:
			answer = string(m.Payload.Data)
		case *protocol.Event:
			p.heard = append(p.heard, fmt.Sprintf("%d %s %s %s", m.Offset, m.From, m.Name, m.Payload.Data))
		case *protocol.Signal:
			p.heard = append(p.heard, fmt.Sprintf("%s %s %s", m.From, m.Name, m.Payload.Data))
		}
	}
	return answer, retry
}

// publish publishes and returns the answer: "ack 7", "invalid", or "rate_limited again".
func (p *person) publish(event, data string) string {
	p.h.t.Helper()
	answer, _ := p.try(event, data)
	return answer
}

func (p *person) try(event, data string) (answer string, retry time.Duration) {
	p.h.t.Helper()
	p.Send(fmt.Sprintf(`{"type":"publish","seq":%d,"event":"%s","data":%s}`, p.seq+1, event, data))
	answer, retry = p.listen()
	if !strings.HasSuffix(answer, " again") {
		p.seq++
	}
	return answer, retry
}

// must publishes what has to be accepted, and returns its offset.
func (p *person) must(event, data string) (offset uint64) {
	p.h.t.Helper()
	answer := p.publish(event, data)
	if _, err := fmt.Sscanf(answer, "ack %d", &offset); err != nil || offset == 0 {
		p.h.t.Fatalf("%s %s: %s", event, data, answer)
	}
	return offset
}

// refuse publishes what has to be refused.
func (p *person) refuse(event, data, want string) {
	p.h.t.Helper()
	if got := p.publish(event, data); got != want {
		p.h.t.Errorf("%s: %s %.80s: %s, want %s", p.User, event, data, got, want)
	}
}

func (p *person) request(event, data string) string {
	p.h.t.Helper()
	p.id++
	p.Send(fmt.Sprintf(`{"type":"request","id":%d,"event":"%s","data":%s}`, p.id, event, data))
	answer, _ := p.listen()
	return answer
}

func (p *person) signal(name, data string) string {
	p.h.t.Helper()
	p.Send(fmt.Sprintf(`{"type":"signal","event":"%s","data":%s}`, name, data))
	answer, _ := p.listen()
	return answer
}

// history is what a newcomer can read: "offset name data" of each event.
func (h *host) history() (list []string) {
	h.t.Helper()
	p := h.join("historian", moderator)
	defer p.Drop(abi.CodeNormal)
	p.id++
	p.Send(`{"type":"request","id":1,"event":"history","data":{"limit":200}}`)
	for _, m := range p.messages() {
		r, ok := m.(*protocol.Response)
		if !ok {
			continue
		}
		page, err := protocol.DecodeHistoryPage(r.Payload, protocol.JSON)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range page.Events {
			list = append(list, fmt.Sprintf("%d %s %s", e.Offset, e.Name, e.Payload.Data))
		}
	}
	return list
}

// stored reports whether a text is anywhere in the room's storage.
func (h *host) stored(text string) bool {
	for key, value := range h.Storage().Rows() {
		if strings.Contains(key, text) || strings.Contains(string(value), text) {
			return true
		}
	}
	return false
}
