package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
)

// echo runs rooms that say everything back. Real ones put the events into a mailbox.
type echo struct{}

func (echo) Kind(name string) (abi.KindOptions, bool) {
	return abi.KindOptions{Name: name}.WithDefaults(), name == "echo"
}

func (echo) Connect(context.Context, *gateway.Connection, *abi.ConnectEvent) error { return nil }

func (echo) Message(c *gateway.Connection, enc abi.Encoding, data []byte) error {
	c.Send(gateway.NewFrame(enc, "", append([]byte(c.User+" said "), data...)))
	return nil
}

func (echo) Space(*gateway.Connection) <-chan struct{} { return nil } // never full

func (echo) Closed(*gateway.Connection, abi.Code, string, bool) {}

func (echo) Request(context.Context, string, string, *abi.RequestEvent) (*abi.RespondEffect, error) {
	return nil, abi.CodeMethodNotAllowed
}

func ExampleGateway() {
	admit := gateway.AdmitFunc(func(_ context.Context, r *http.Request, _ abi.KindOptions, _ string) (gateway.Identity, error) {
		user, _, ok := r.BasicAuth()
		if !ok {
			return gateway.Identity{}, abi.CodeUnauthenticated
		}
		return gateway.Identity{User: user}, nil
	})
	g, err := gateway.New(gateway.Options{Rooms: echo{}, Admitter: admit})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer g.Close()
	mux := http.NewServeMux()
	mux.Handle(gateway.Prefix, g)
	server := httptest.NewUnstartedServer(nil)
	server.Config = gateway.NewHTTPServer(gateway.ServerOptions{Handler: mux, Gateway: g})
	server.Start()
	defer server.Close()

	ctx := context.Background()
	url := "ws://ann:secret@" + strings.TrimPrefix(server.URL, "http://") + "/v1/rooms/echo/lobby"
	client, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = client.Write(ctx, websocket.MessageText, []byte("hello"))
	_, data, _ := client.Read(ctx)
	fmt.Println(string(data))

	go func() { _ = g.Drain(ctx, 10*time.Second) }()
	_, _, err = client.Read(ctx)
	fmt.Println(websocket.CloseStatus(err) == websocket.StatusCode(abi.CodeRestarting))

	// Output:
	// ann said hello
	// true
}
