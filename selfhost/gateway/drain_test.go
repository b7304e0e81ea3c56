package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// TestDrain tells every client another time to come back, and lets nobody in any more.
func TestDrain(t *testing.T) {
	const n, spread = 50, 10 * time.Second
	paths(t, func(t *testing.T, s setup) {
		srv := start(t, s)
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			hints = make(map[time.Duration]int)
		)
		for range n {
			client, c := srv.open("/v1/rooms/echo/room", nil)
			c.Send(NewFrame(abi.Text, "", []byte("last words")))
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if _, b, err := client.Read(ctx); err != nil || string(b) != "last words" {
					t.Errorf("before the close: %q, %v", b, err)
					return
				}
				_, _, err := client.Read(ctx)
				var ce websocket.CloseError
				if !errors.As(err, &ce) || abi.Code(ce.Code) != abi.CodeRestarting {
					t.Errorf("ended with %v", err)
					return
				}
				mu.Lock()
				hints[abi.RetryHint(ce.Reason)]++
				mu.Unlock()
			})
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.g.Drain(ctx, spread); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for i := 1; i <= n; i++ {
			if h := spread * time.Duration(i) / n; hints[h] != 1 {
				t.Errorf("%d clients were told %v", hints[h], h)
			}
		}
		for range n {
			srv.closedAs(abi.CodeRestarting, true)
		}
		reason := readClose(t, srv.dial("/v1/rooms/echo/room", nil), abi.CodeRestarting)
		if h := abi.RetryHint(reason); h <= 0 || h > spread {
			t.Errorf("a late client was told %v", h)
		}
		res, err := srv.http.Client().Get(srv.http.URL + "/v1/rooms/echo/room")
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("a late request: %v, %v", res, err)
		}
		_ = res.Body.Close()
	})
}

// TestDrainDeadline cuts those who do not answer.
func TestDrainDeadline(t *testing.T) {
	srv := start(t, setup{options: Options{SendBuffer: 4096}})
	r, c := srv.openRaw("/v1/rooms/echo/room")
	c.Send(NewFrame(abi.Binary, "", make([]byte, 300<<10)))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.g.Drain(ctx, time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	srv.closedAs(abi.CodeRestarting, false)
	r.hurry()
	for {
		if _, _, err := r.next(); isTimeout(err) {
			t.Fatal("the connection is still open")
		} else if err != nil {
			break
		}
	}
}
