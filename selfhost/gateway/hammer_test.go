package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// TestHammer lets many goroutines send, batch, close and cut the same connections while their
// clients read at their own pace, ping, and leave. What a client reads must be whole
// frames, in each sender's order, up to a clean end or a cut; and every connection must
// be reported closed exactly once.
func TestHammer(t *testing.T) {
	paths(t, func(t *testing.T, s setup) {
		s.kinds = []abi.KindOptions{
			{Name: "close", QueueBytes: 256 << 10},
			{Name: "drop", QueueBytes: 8 << 10, Overflow: abi.OverflowDrop},
		}
		s.options.SendBuffer, s.options.CloseTimeout = 4096, 200*time.Millisecond
		srv := start(t, s)
		const clients, senders, messages = 24, 3, 60
		var wg sync.WaitGroup
		for i := range clients {
			kind := s.kinds[i%2].Name
			client, c := srv.open("/v1/rooms/"+kind+"/room", nil)
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			end, size := i%5, 1+rng.IntN(6000)
			for sender := range senders {
				wg.Go(func() {
					for n := 0; n < messages; n += 2 {
						a, b := hammerFrame(sender, n, size), hammerFrame(sender, n+1, size)
						if n%4 == 0 {
							c.SendBatch(NewBatch(a, b))
						} else {
							c.Send(a)
							c.Send(b)
						}
						if sender == 0 && n == messages/2 {
							switch end {
							case 0:
								c.Close(abi.CodeKicked, "in the middle")
							case 1:
								c.socket.mu.Lock()
								c.socket.cut()
								c.socket.mu.Unlock()
							case 2:
								_ = client.CloseNow()
							}
						}
					}
					if sender == 0 {
						c.Close(abi.CodeNormal, "")
					}
				})
			}
			wg.Go(func() { hammerRead(t, client, senders, i%3 == 0) })
		}
		wg.Wait()
		for range clients {
			receive(t, srv.rooms.closed)
		}
	})
}

func hammerFrame(sender, n, size int) *Frame {
	key := ""
	if n%7 == 0 {
		key = fmt.Sprint(sender) // the newer one may overtake what lies between
	}
	b := make([]byte, 12+size)
	b[0] = byte(sender)
	if key != "" {
		b[1] = 1
	}
	binary.BigEndian.PutUint32(b[4:], uint32(n))
	for i := 12; i < len(b); i++ {
		b[i] = byte(n)
	}
	return NewFrame(abi.Binary, key, b)
}

func hammerRead(t *testing.T, client *websocket.Conn, senders int, pings bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	last := make([]int, senders)
	for i := range last {
		last[i] = -1
	}
	for count := 0; ; count++ {
		_, b, err := client.Read(ctx)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error("a client was left hanging")
			}
			return
		}
		if string(b) == "x" {
			continue // the echo of what we said below
		}
		if len(b) < 13 || int(b[0]) >= senders {
			t.Errorf("a broken frame of %d bytes", len(b))
			return
		}
		n := int(binary.BigEndian.Uint32(b[4:]))
		for _, c := range b[12:] {
			if c != byte(n) {
				t.Errorf("frame %d of sender %d is mixed with another", n, b[0])
				return
			}
		}
		if b[1] == 0 {
			if n <= last[b[0]] {
				t.Errorf("sender %d: %d came after %d", b[0], n, last[b[0]])
				return
			}
			last[b[0]] = n
		}
		if pings && count%20 == 0 {
			// It ends with the connection, which is fine.
			_ = client.Write(ctx, websocket.MessageText, []byte("x"))
		}
	}
}

// TestHammerConnects opens and ends connections in every way while the gateway drains.
func TestHammerConnects(t *testing.T) {
	srv := start(t, setup{options: Options{CloseTimeout: 100 * time.Millisecond, MaxSocketsPerAddress: 40}})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				c, _, err := websocket.Dial(ctx, srv.url("/v1/rooms/echo/room"), nil)
				if err == nil {
					switch (i + n) % 3 {
					case 0:
						_ = c.CloseNow()
					case 1:
						_ = c.Write(ctx, websocket.MessageText, []byte("x"))
						_ = c.Close(websocket.StatusNormalClosure, "")
					case 2:
						_ = c.Write(ctx, websocket.MessageText, []byte("x"))
						_, _, _ = c.Read(ctx)
						_ = c.CloseNow()
					}
				}
				cancel()
			}
		})
	}
	for range 100 {
		receive(t, srv.rooms.closed)
		srv.g.tick()
		_ = srv.g.Stats()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := srv.g.Drain(ctx, time.Second); err != nil {
		t.Errorf("Drain: %v", err)
	}
	close(stop)
	wg.Wait()
}
