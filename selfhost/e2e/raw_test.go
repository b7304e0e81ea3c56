package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func asError[E error](err error, target *E) bool { return errors.As(err, target) }

// rawClient is a plain WebSocket that says what it likes.
type rawClient struct {
	t  testing.TB
	ws *websocket.Conn
}

// dialRaw connects as a user; an empty one has no credential.
func dialRaw(t testing.TB, n *node, room, user string, protocols ...string) *rawClient {
	t.Helper()
	h := http.Header{}
	if user != "" {
		h.Set("Authorization", "Bearer "+token(t, user))
	}
	c, err := tryRaw(n, room, h, protocols...)
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	return c
}

func tryRaw(n *node, room string, h http.Header, protocols ...string) (*rawClient, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+n.addr+"/v1/rooms/"+room, &websocket.DialOptions{
		HTTPClient: n.http, HTTPHeader: h, Subprotocols: protocols,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(4 << 20)
	n.t.Cleanup(func() { _ = ws.CloseNow() })
	return &rawClient{t: n.t, ws: ws}, nil
}

func (c *rawClient) send(text string) {
	c.t.Helper()
	if err := c.ws.Write(limited(c.t), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// trySend is send to a server that may have closed already.
func (c *rawClient) trySend(text string) {
	_ = c.ws.Write(limited(c.t), websocket.MessageText, []byte(text))
}

// await reads until a message holds s, and returns it.
func (c *rawClient) await(s string) string {
	c.t.Helper()
	for {
		_, b, err := c.ws.Read(limited(c.t))
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", s, err)
		}
		if strings.Contains(string(b), s) {
			return string(b)
		}
	}
}

// closed reads until the server closes, and returns its code and reason.
func (c *rawClient) closed() (abi.Code, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, _, err := c.ws.Read(ctx)
		if err == nil {
			continue
		}
		var e websocket.CloseError
		if asError(err, &e) {
			return abi.Code(e.Code), e.Reason
		}
		if ctx.Err() != nil {
			c.t.Fatal("the server does not close")
		}
		return abi.CodeAbnormal, err.Error()
	}
}

// hello joins a session room.
func (c *rawClient) hello() *rawClient {
	c.t.Helper()
	c.send(`{"type":"hello"}`)
	c.await(`"type":"welcome"`)
	return c
}

// percentile of what is sorted.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
