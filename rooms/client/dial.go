package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// ending is how a connection, or the attempt at one, ended.
type ending struct {
	err    error
	code   abi.Code // 0: the network's fault
	reason string
	retry  time.Duration
}

func (e ending) action() abi.Action {
	if e.code == 0 {
		return abi.ActionRetry
	}
	return e.code.Action()
}

// dial asks for a credential and opens a WebSocket.
func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	want := c.o.form().Subprotocol()
	o := &websocket.DialOptions{HTTPClient: c.o.HTTP, Subprotocols: []string{want}}
	token := ""
	if c.o.Credential != nil {
		var err error
		if token, err = c.o.Credential(ctx); err != nil {
			return nil, fmt.Errorf("client: credential: %w", err)
		}
		if token != "" && !c.o.FirstMessage {
			o.HTTPHeader = http.Header{"Authorization": {"Bearer " + token}}
		}
	}
	ws, res, err := websocket.Dial(ctx, c.o.URL, o)
	if err != nil {
		return nil, refusal(res, err)
	}
	if got := ws.Subprotocol(); got != want {
		_ = ws.CloseNow()
		return nil, fmt.Errorf("client: the server speaks %q and not %q", got, want)
	}
	ws.SetReadLimit(maxRead)
	if token != "" && c.o.FirstMessage {
		if err := ws.Write(ctx, websocket.MessageText, firstMessage(token)); err != nil {
			_ = ws.CloseNow()
			return nil, err
		}
	}
	return ws, nil
}

// firstMessage is the credential as a message (PROTOCOL.md, section 1).
func firstMessage(token string) []byte {
	b, _ := json.Marshal(struct { // strings always have a form
		Type  string `json:"type"`
		Token string `json:"token"`
	}{"auth", token})
	return b
}

// refusal reads what a server says that did not take the upgrade.
func refusal(res *http.Response, err error) error {
	if res == nil || res.Body == nil {
		return err
	}
	defer res.Body.Close()
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Retry   int64  `json:"retry"`
	}
	b, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	if json.Unmarshal(b, &said) == nil {
		if code, ok := abi.CodeByName(said.Code); ok {
			return &refused{err: err, end: ending{err: err, code: code, reason: said.Message, retry: milliseconds(said.Retry, maxHint)}}
		}
	}
	return err
}

type refused struct {
	err error
	end ending
}

func (e *refused) Error() string { return e.err.Error() }
func (e *refused) Unwrap() error { return e.err }

// endingOf reads an ending out of an error of dial or read.
func endingOf(err error) ending {
	var r *refused
	if errors.As(err, &r) {
		return r.end
	}
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return ending{err: err, code: abi.Code(closed.Code), reason: closed.Reason, retry: abi.RetryHint(closed.Reason)}
	}
	return ending{err: err}
}
