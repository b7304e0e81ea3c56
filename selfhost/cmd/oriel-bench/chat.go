package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/runtime"
)

// A chat is one room of the kind "chat" over a storage in memory, without a server.
type chat struct {
	room    *runtime.Room
	model   *host.Room
	rows    roomtest.Storage
	members []uint64
	seq     uint64        // of the first member's session
	first   time.Duration // from nothing to the first member's welcome: three events, a mapping, its page faults
}

var handles atomic.Uint64

func newChat(ctx context.Context, m *runtime.Module, name string, members int) (*chat, error) {
	kind, ok := m.Manifest().Kind("chat")
	if !ok {
		return nil, fmt.Errorf("the module has no kind chat")
	}
	began := time.Now()
	room, err := m.NewRoom("chat/" + name)
	if err != nil {
		return nil, err
	}
	c := &chat{room: room}
	c.model = host.New(host.Config{
		Kind: kind, Name: name, Term: "bench", Guest: room, Storage: &c.rows, Now: time.Now,
		Seed:   func(b *[abi.SeedSize]byte) { _, _ = rand.Read(b[:]) },
		Handle: func() uint64 { return handles.Add(1) },
	})
	for i := range members {
		id := uint64(i + 1)
		c.members = append(c.members, id)
		hello := protocol.ClientMessage{Type: protocol.TypeHello}
		err := c.run(ctx,
			&abi.ConnectEvent{Connection: abi.Connection{ID: id, User: fmt.Sprintf("user-%d", i), Protocol: protocol.SubprotocolJSON}},
			c.message(id, &hello))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			c.first = time.Since(began)
		}
	}
	return c, nil
}

func (c *chat) message(id uint64, m *protocol.ClientMessage) *abi.MessageEvent {
	return &abi.MessageEvent{Connection: id, Encoding: abi.Text, Data: m.Append(nil, protocol.JSON)}
}

// next is the first member's next publish.
func (c *chat) next() *abi.MessageEvent {
	c.seq++
	return c.message(c.members[0], &protocol.ClientMessage{
		Type: protocol.TypePublish, Seq: c.seq, Event: "message",
		Payload: protocol.JSONPayload(`{"text":"a message of about the length that people write"}`),
	})
}

func (c *chat) run(ctx context.Context, events ...abi.Event) error {
	r := c.model.Run(ctx, false, events)
	if r.Err != nil {
		return r.Err
	}
	for _, x := range r.Rejections {
		return x.Trap
	}
	for _, t := range r.Turns {
		c.rows.Apply(t.Writes)
	}
	return nil
}
