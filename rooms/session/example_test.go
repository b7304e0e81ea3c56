package session_test

import (
	"fmt"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// wall is a room where people write on a wall that everybody reads.
type wall struct{}

// Publish takes messages of 1 to 280 bytes.
func (wall) Publish(_ *session.Room, _ *session.Member, p session.Publish) (session.Event, error) {
	if p.Event != "message" {
		return session.Event{}, abi.CodeUnknownEvent
	}
	var text string
	r := jsonx.NewReader(p.Payload.Data)
	for key := range r.Object() {
		if string(key) == "text" {
			text = r.String()
		}
	}
	if r.End() != nil || len(text) == 0 || len(text) > 280 {
		return session.Event{}, session.Refuse(abi.CodeInvalid, "text: 1 to 280 bytes")
	}
	return p.Accept(), nil
}

func Example() {
	var m rooms.Module // a real module uses session.Register in an init function
	session.RegisterIn(&m, "wall", func() session.Kind { return wall{} }, session.Options{History: 500})

	h := roomtest.New(&testing.T{}, roomtest.Options{Module: &m, Kind: "wall"})
	ann := h.Connect("ann", roomtest.WithProtocol(protocol.SubprotocolJSON))
	ann.Send(`{"type":"hello"}`)
	ann.Texts() // the welcome
	ann.Send(`{"type":"publish","seq":1,"event":"message","data":{"text":"hi"}}`)
	ann.Send(`{"type":"publish","seq":1,"event":"message","data":{"text":"hi"}}`) // again: is it there?
	ann.Send(`{"type":"publish","seq":2,"event":"message","data":{"text":""}}`)
	for _, s := range ann.Texts() {
		fmt.Println(s)
	}
	// Output:
	// {"type":"event","event":"message","offset":1,"incarnation":"term-1","from":"ann","time":1767225600000,"data":{"text":"hi"}}
	// {"type":"ack","seq":1,"offset":1}
	// {"type":"ack","seq":1,"offset":1}
	// {"type":"error","seq":2,"code":"invalid","message":"text: 1 to 280 bytes"}
}
