// Package client is the Go client of rooms that speak the session protocol. It keeps one room
// open for as long as its user wants: it reconnects with back-off and jitter, obeys what
// the server says of when to come back, resumes where it was, and publishes exactly once.
//
//	c, err := client.New(client.Options{
//		URL:        "wss://example.com/v1/rooms/chat/lobby",
//		Credential: func(context.Context) (string, error) { return token, nil },
//		Event:      func(e *protocol.Event) { fmt.Println(e.From, string(e.Payload.Data)) },
//	})
//	...
//	offset, err := c.Publish(ctx, "message", protocol.JSONPayload(`{"text":"hi"}`))
//
// # Lifecycle
//
// New starts one goroutine, which connects, reads and reconnects until Close, or until the
// server says that coming back is of no use; State and Done tell. The functions in Options are
// called on that goroutine, one at a time, in the order of the room's messages: they must
// not block for long, and must not call what waits for it: Publish, Request, Close, Abandon.
//
// A cluster's node may die while its clients keep their sockets to another. The server then says that
// something may have been lost, and the client says hello on the connection it has: it is Connecting for
// the time of that answer, and then as after a reconnect, without a wait in between.
//
// The TypeScript client in ts/ behaves in the same way.
package client
