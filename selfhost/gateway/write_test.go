package gateway

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// paths runs a test on every way that bytes can take to a client.
func paths(t *testing.T, f func(t *testing.T, s setup)) {
	t.Run("raw", func(t *testing.T) { f(t, setup{}) })
	t.Run("portable", func(t *testing.T) { f(t, setup{options: Options{PortableWrites: true}}) })
	t.Run("tls", func(t *testing.T) { f(t, setup{tls: true}) })
}

// message is a frame whose length on the wire is exactly n.
func message(t testing.TB, n int) *Frame {
	t.Helper()
	for _, head := range []int{2, 4, 10} {
		if n >= head {
			if f := NewFrame(abi.Binary, "", make([]byte, n-head)); f.Len() == n {
				return f
			}
		}
	}
	t.Fatalf("no frame has %d bytes", n)
	return nil
}

// fill sends to a client that does not read until its queue holds exactly limit bytes.
// While the kernel still takes some, it goes on.
func fill(t testing.TB, c *Connection, limit int) {
	t.Helper()
	const step = 16 << 10
	for full := 0; full < 20; full++ {
		rest := limit - c.Queued()
		if rest == 0 {
			// The kernel may still take a little. Looks are counted, not time: in a machine's
			// long pause the flusher does not run either.
			receive(t, time.After(time.Millisecond))
			continue
		}
		full = 0
		n := min(rest, step)
		if rest-n == 1 || n == 1 {
			n-- // no frame has one byte
		}
		if n == 128 || n == 129 || n > 65538 && n < 65546 {
			n -= 2 // nor these
		}
		if n <= 0 {
			t.Fatalf("%d of %d bytes wait; start again", c.Queued(), limit)
		}
		if r := c.Send(message(t, n)); r > Queued {
			t.Fatalf("%v with %d of %d bytes", r, c.Queued(), limit)
		}
	}
}

// overfill fills the queue and sends the smallest frame there is. If the kernel took bytes in
// between, the queue was not full, and it begins again.
func overfill(t testing.TB, c *Connection, limit int) (r Result) {
	t.Helper()
	for range 100 {
		fill(t, c, limit)
		if r = c.Send(message(t, 2)); r > Queued {
			break
		}
	}
	return r
}

const testQueue = 32 << 10

var slowKinds = []abi.KindOptions{
	{Name: "close", QueueBytes: testQueue},
	{Name: "drop", QueueBytes: testQueue, Overflow: abi.OverflowDrop},
	{Name: "deep", QueueBytes: 16 * testQueue},
}

// TestQueueBound fills a queue to its last byte, and then sends the smallest frame there is.
func TestQueueBound(t *testing.T) {
	paths(t, func(t *testing.T, s setup) {
		s.kinds, s.options.SendBuffer = slowKinds, 4096
		srv := start(t, s)
		w := srv.witness()

		r, c := srv.openRaw("/v1/rooms/close/room")
		if got := overfill(t, c, testQueue); got != Overflowed {
			t.Fatalf("two bytes beyond the bound: %v", got)
		}
		// What had begun to leave is finished, at most one frame of fill or one chunk.
		if n := c.Queued(); n > 17<<10 {
			t.Errorf("after the overflow %d bytes are kept", n)
		}
		if got := c.Send(message(t, 2)); got != Gone {
			t.Fatalf("after the overflow: %v", got)
		}
		// The room hears at once; the client learns why if it reads again.
		srv.closedAs(abi.CodeSlowConsumer, false)
		r.expectClose(abi.CodeSlowConsumer)

		_, c = srv.openRaw("/v1/rooms/drop/room")
		if got := overfill(t, c, testQueue); got != Dropped {
			t.Fatalf("two bytes beyond the bound: %v", got)
		}
		if got := c.Queued(); got != testQueue {
			t.Fatalf("%d bytes wait after a drop", got)
		}
		st := srv.g.Stats()
		if st.SlowCloses != 1 || st.Dropped != 1 {
			t.Errorf("counted %d slow closes, %d drops", st.SlowCloses, st.Dropped)
		}
		w.check()
	})
}

// TestPongsCountAgainstTheBound: a client that sends pings and reads nothing cannot make us
// keep its answers.
func TestPongsCountAgainstTheBound(t *testing.T) {
	rooms, heard := newFakeRooms(slowKinds...), make(chan struct{}, 1)
	rooms.onMessage = func(*Connection, abi.Encoding, []byte) error { heard <- struct{}{}; return nil }
	srv := start(t, setup{rooms: rooms, options: Options{SendBuffer: 4096}})
	r, c := srv.openRaw("/v1/rooms/deep/room")
	for range controlBurst - 1 {
		fill(t, c, 16*testQueue)
		r.write(append(frame(fin|opPing, make([]byte, 125)), frame(fin|opText, []byte("x"))...))
		select {
		case <-heard:
			// A frame of the client brings news of its window, and the kernel takes more: there
			// was place for the pong.
		case end := <-rooms.closed:
			if end.code != abi.CodeSlowConsumer || end.clean {
				t.Errorf("the room was told %v clean=%v", end.code, end.clean)
			}
			return
		case <-time.After(patience):
			t.Fatal("nothing came")
		}
	}
	t.Error("there is place for every pong")
}

// TestConflation replaces what waits, at the place where it waits, and nothing that has left.
func TestConflation(t *testing.T) {
	paths(t, func(t *testing.T, s setup) {
		s.kinds, s.options.SendBuffer = slowKinds, 4096
		srv := start(t, s)
		client, c := srv.openRaw("/v1/rooms/deep/room")
		fill(t, c, 15*testQueue) // so much that none of what follows can leave yet
		for i := range 50 {
			c.Send(NewFrame(abi.Text, "score", fmt.Appendf(nil, "score %d", i)))
			c.Send(NewFrame(abi.Text, "clock", fmt.Appendf(nil, "clock %d", i)))
			if i == 0 {
				c.Send(NewFrame(abi.Text, "", []byte("fixed")))
			}
		}
		c.Close(abi.CodeNormal, "done")
		client.hurry()
		var got []string
		for {
			op, p, err := client.next()
			if err != nil {
				t.Fatal(err)
			}
			if op == opClose {
				break
			}
			if op == opText {
				got = append(got, string(p))
			}
		}
		if want := []string{"score 49", "clock 49", "fixed"}; !slices.Equal(got, want) {
			t.Errorf("the client read %q, want %q", got, want)
		}
		if n := srv.g.Stats().Conflated; n != 98 {
			t.Errorf("%d conflated", n)
		}
	})
}

// TestConflationAtTheBound: a newer frame that fits only in place of the older one fits.
func TestConflationAtTheBound(t *testing.T) {
	srv := start(t, setup{kinds: slowKinds, options: Options{SendBuffer: 4096}})
	_, c := srv.openRaw("/v1/rooms/drop/room")
	fill(t, c, testQueue-400)
	if r := c.Send(NewFrame(abi.Binary, "k", make([]byte, 396))); r != Queued || c.Queued() != testQueue {
		t.Fatalf("%v, %d bytes", r, c.Queued())
	}
	if r := c.Send(NewFrame(abi.Binary, "k", make([]byte, 396))); r != Queued || c.Queued() != testQueue {
		t.Errorf("as long as the older one: %v, %d bytes", r, c.Queued())
	}
	if r := c.Send(NewFrame(abi.Binary, "k", make([]byte, 397))); r != Dropped || c.Queued() != testQueue {
		t.Errorf("one byte longer: %v, %d bytes", r, c.Queued())
	}
}

// TestBatch sends several messages at once to a client that reads and to one that stalls.
func TestBatch(t *testing.T) {
	paths(t, func(t *testing.T, s setup) {
		s.kinds, s.options.SendBuffer = slowKinds, 4096
		srv := start(t, s)
		for _, size := range []int{1, 3000, 40_000} {
			client, c := srv.open("/v1/rooms/echo/room", nil)
			var frames []*Frame
			for i := range 4 {
				frames = append(frames, NewFrame(abi.Binary, "", append([]byte{byte(i)}, make([]byte, size)...)))
			}
			if r := c.SendBatch(NewBatch(frames...)); r > Queued {
				t.Fatalf("size %d: %v", size, r)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			for i := range 4 {
				_, got, err := client.Read(ctx)
				if err != nil || len(got) != size+1 || got[0] != byte(i) {
					t.Fatalf("size %d, message %d: %d bytes, %v", size, i, len(got), err)
				}
			}
			cancel()
			if r := c.SendBatch(NewBatch()); r != Sent {
				t.Errorf("an empty batch: %v", r)
			}
		}
	})
}

// TestStalledClientsDelayNobody lets 20 of 200 clients read nothing while a room broadcasts.
// The others get everything, about as fast as without them; the 20 are cut.
func TestStalledClientsDelayNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 200 connections")
	}
	const all, stalled, rounds, size = 200, 20, 60, 4096
	srv := start(t, setup{kinds: slowKinds, options: Options{SendBuffer: 8192}})
	clients := make([]*websocket.Conn, all-stalled)
	conns := make([]*Connection, 0, all)
	for i := range clients {
		var c *Connection
		clients[i], c = srv.open("/v1/rooms/close/room", nil)
		conns = append(conns, c)
	}
	broadcast := func() (slowest time.Duration) {
		var wg sync.WaitGroup
		took := make([]time.Duration, len(clients))
		first := time.Now()
		for i, c := range clients {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				for n := range rounds {
					_, b, err := c.Read(ctx)
					if err != nil || len(b) != size || binary.BigEndian.Uint64(b) != uint64(n) {
						t.Errorf("client %d, message %d: %v", i, n, err)
						return
					}
				}
				took[i] = time.Since(first)
			})
		}
		for n := range rounds {
			b := make([]byte, size)
			binary.BigEndian.PutUint64(b, uint64(n))
			f := NewFrame(abi.Binary, "", b)
			for _, c := range conns {
				c.Send(f)
			}
			// Wait for the readers, so that only a stalled one can fill its queue.
			for i := range clients {
				for conns[i].Queued() > 0 {
					runtime.Gosched()
				}
			}
		}
		wg.Wait()
		return slices.Max(took)
	}
	calm := broadcast()
	for range stalled {
		_, c := srv.openRaw("/v1/rooms/close/room")
		conns = append(conns, c)
	}
	with := broadcast()
	t.Logf("%d rounds: %v without stalled clients, %v with", rounds, calm, with)
	if with > 10*calm+patience/4 { // far less than a wait for each of the stalled
		t.Errorf("%d rounds took %v without stalled clients and %v with", rounds, calm, with)
	}
	for range stalled {
		srv.closedAs(abi.CodeSlowConsumer, false)
	}
	if n := srv.g.Stats().SlowCloses; n != stalled {
		t.Errorf("%d were cut, want %d", n, stalled)
	}
}
