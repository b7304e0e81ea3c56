package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// TestRequest: what a room sees of an HTTP request, and what the client sees of its answer.
func TestRequest(t *testing.T) {
	events := make(chan *abi.RequestEvent, 1)
	rooms := newFakeRooms()
	rooms.onRequest = func(_ context.Context, kind, room string, ev *abi.RequestEvent) (*abi.RespondEffect, error) {
		if kind != "echo" || room != "room" {
			t.Errorf("for %s/%s", kind, room)
		}
		events <- ev
		return &abi.RespondEffect{Request: ev.ID, Status: 201, Body: []byte("made"), Headers: []abi.Header{
			{Name: "Content-Type", Value: "text/plain"}, {Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"},
			{Name: "Content-Length", Value: "9999"}, {Name: "connection", Value: "close"},
		}}, nil
	}
	srv := start(t, setup{rooms: rooms})
	req, err := http.NewRequest("PUT", srv.http.URL+"/v1/rooms/echo/room/a%20b/c?x=1&user=ann&token=secret", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Content-Type": {"text/x"}, "Idempotency-Key": {"k1"}, "Accept": {"a/b", "c/d"},
		"Authorization": {"Bearer secret"}, "Cookie": {"s=secret"}, "X-Other": {"y"},
	}
	res, err := srv.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != 201 || string(body) != "made" {
		t.Errorf("%s %q %v", res.Status, body, err)
	}
	if h := res.Header; h.Get("Content-Type") != "text/plain" || len(h.Values("X-A")) != 2 || h.Get("Connection") != "" ||
		h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	ev := receive(t, events)
	if ev.ID == 0 || ev.Method != "PUT" || ev.Path != "/a%20b/c" || ev.Query != "x=1&user=ann" || ev.User != "ann" || string(ev.Body) != "body" {
		t.Errorf("event %+v", ev)
	}
	want := []abi.Header{{Name: "accept", Value: "a/b, c/d"}, {Name: "content-type", Value: "text/x"}, {Name: "idempotency-key", Value: "k1"}}
	if len(ev.Headers) != len(want) {
		t.Fatalf("headers %v", ev.Headers)
	}
	for i, h := range want {
		if ev.Headers[i] != h {
			t.Errorf("header %v, want %v", ev.Headers[i], h)
		}
	}
	if _, err := abi.DecodeEvent(abi.AppendEvent(nil, ev)); err != nil {
		t.Errorf("the event is not valid: %v", err)
	}
}

// TestRequestLimits goes to each limit and one past it.
func TestRequestLimits(t *testing.T) {
	srv := start(t, setup{})
	chunked := func(n int) io.Reader { return io.LimitReader(strings.NewReader(strings.Repeat("x", n)), int64(n)) }
	room := "/v1/rooms/echo/room"
	tests := []struct {
		name, method, path string
		body               io.Reader
		header             string
		status             int
	}{
		{"largest body", "POST", room, strings.NewReader(strings.Repeat("x", abi.MaxBody)), "", 200},
		{"body too large", "POST", room, strings.NewReader(strings.Repeat("x", abi.MaxBody+1)), "", 413},
		{"largest body, chunked", "POST", room, chunked(abi.MaxBody), "", 200},
		{"body too large, chunked", "POST", room, chunked(abi.MaxBody + 1), "", 413},
		{"longest path", "GET", room + "/" + strings.Repeat("x", abi.MaxPath-1), nil, "", 200},
		{"path too long", "GET", room + "/" + strings.Repeat("x", abi.MaxPath), nil, "", 413},
		{"longest query", "GET", room + "?" + strings.Repeat("x", abi.MaxQuery), nil, "", 200},
		{"query too long", "GET", room + "?" + strings.Repeat("x", abi.MaxQuery+1), nil, "", 413},
		{"longest header", "GET", room, nil, strings.Repeat("x", abi.MaxHeader), 200},
		{"header too long", "GET", room, nil, strings.Repeat("x", abi.MaxHeader+1), 413},
		{"longest method", strings.Repeat("M", abi.MaxMethod), room, nil, "", 200},
		{"method too long", strings.Repeat("M", abi.MaxMethod+1), room, nil, "", 405},
		{"trace", "TRACE", room, nil, "", 405},
		{"long poll", "POST", room + "/connections", nil, "", 404},
		{"long poll of one", "GET", room + "/connections/7", nil, "", 404},
		{"presence", "GET", room + "/presence", nil, "", 200},
		{"much like it", "GET", room + "/presences", nil, "", 200},
	}
	for _, tt := range tests {
		req, err := http.NewRequest(tt.method, srv.http.URL+tt.path, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		if tt.header != "" {
			req.Header.Set("Content-Type", tt.header)
		}
		res, err := srv.http.Client().Do(req)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != tt.status {
			t.Errorf("%s: %s, want %d", tt.name, res.Status, tt.status)
		}
	}
	req, _ := http.NewRequest("GET", srv.http.URL+room, nil)
	req.Header.Set("Accept", "text/html, text/event-stream;q=0.9")
	res, err := srv.http.Client().Do(req)
	if err != nil || res.StatusCode != 404 {
		t.Errorf("SSE: %v, %v", res, err)
	}
	_ = res.Body.Close()
}

// TestRequestTimeout: a room that does not answer, and a client that does not send.
func TestRequestTimeout(t *testing.T) {
	rooms := newFakeRooms()
	rooms.onRequest = func(ctx context.Context, _, _ string, _ *abi.RequestEvent) (*abi.RespondEffect, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	srv := start(t, setup{rooms: rooms, options: Options{RequestTimeout: 50 * time.Millisecond}})
	srv.checkHTTPRefusal("/v1/rooms/echo/room", "", abi.CodeTimeout, time.Second)

	nc := srv.dialTCP()
	if _, err := io.WriteString(nc, "POST /v1/rooms/echo/room HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfive!"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(nc, answer); err != nil || string(answer) != "HTTP/1.1 400" {
		t.Errorf("a body that never ends: %q, %v", answer, err)
	}
}

// TestRequestsPerAddress goes one past the requests that may run at one time.
func TestRequestsPerAddress(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	rooms := newFakeRooms()
	rooms.onRequest = func(context.Context, string, string, *abi.RequestEvent) (*abi.RespondEffect, error) {
		started <- struct{}{}
		<-finish
		return &abi.RespondEffect{Status: 200}, nil
	}
	srv := start(t, setup{rooms: rooms, options: Options{MaxRequestsPerAddress: 2}})
	done := make(chan int, 2)
	for range 2 {
		go func() {
			res, err := srv.http.Client().Get(srv.http.URL + "/v1/rooms/echo/room")
			if err != nil {
				done <- 0
				return
			}
			_ = res.Body.Close()
			done <- res.StatusCode
		}()
		receive(t, started)
	}
	srv.checkHTTPRefusal("/v1/rooms/echo/room", "", abi.CodeTooManyConnections, 5*time.Second)
	close(finish)
	for range 2 {
		if got := receive(t, done); got != 200 {
			t.Errorf("status %d", got)
		}
	}
}
