package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A client hears what others say and publishes; it would reconnect and resume by itself.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(room))
	defer server.Close()

	heard := make(chan string, 1)
	c, err := client.New(client.Options{
		URL:        server.URL + "/v1/rooms/chat/lobby",
		Credential: func(context.Context) (string, error) { return "a token, asked for before each connect", nil },
		Event:      func(e *protocol.Event) { heard <- e.From + " says " + string(e.Payload.Data) },
		Gap:        func(r protocol.Reason) { fmt.Println("something was missed:", r) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() // ends the session

	offset, err := c.Publish(context.Background(), "message", protocol.JSONPayload(`{"text":"hi"}`))
	fmt.Println("durable at", offset, err)
	fmt.Println(<-heard)
	// Output:
	// durable at 1 <nil>
	// ann says {"text":"hi"}
}

// room is a room in a few lines, in place of a server.
func room(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{protocol.SubprotocolJSON}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	say := func(m protocol.RoomMessage) {
		_ = ws.Write(r.Context(), websocket.MessageText, m.Append(nil, protocol.JSON))
	}
	for {
		_, b, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		var d protocol.Decoder
		var m protocol.ClientMessage
		if d.Decode(&m, protocol.JSON, b) != nil {
			return
		}
		switch m.Type {
		case protocol.TypeHello:
			say(&protocol.Welcome{Session: "s", Reason: protocol.ReasonNew, First: 1, LimitMessage: 65536, LimitOpen: 64})
		case protocol.TypePublish:
			say(&protocol.Ack{Seq: m.Seq, Offset: 1})
			say(&protocol.Event{Name: m.Event, Offset: 1, From: "ann", Payload: m.Payload})
		}
	}
}
