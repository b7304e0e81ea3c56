//go:build linux

package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// drainersEnv holds "address count" for the process that plays the clients: what they cost must
// not be counted as the server's.
const drainersEnv = "ORIEL_GATEWAY_DRAINERS"

// drainersMain opens the connections, says so, and throws away what comes until stdin ends.
func drainersMain() {
	addr, count, _ := strings.Cut(os.Getenv(drainersEnv), " ")
	n, _ := strconv.Atoi(count)
	for range n {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = io.WriteString(nc, "GET /v1/rooms/bench/room HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
		br := bufio.NewReader(nc)
		if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			fmt.Fprintln(os.Stderr, res, err)
			os.Exit(1)
		}
		go func() { _, _ = io.Copy(io.Discard, nc) }()
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// drainers starts n clients of the server at url and waits until they are connected.
func drainers(b *testing.B, url string, n int) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", drainersEnv, strings.TrimPrefix(url, "http://"), n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("clients: %q, %v", line, err)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const (
	benchClients = 1000
	benchPayload = 128
)

// fanOut measures the CPU of this process for each delivery.
func fanOut(b *testing.B, perOp int, broadcast func()) {
	b.Helper()
	broadcast()
	before := cpuTime()
	b.ResetTimer()
	for range b.N {
		broadcast()
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N*perOp), "cpu-us/delivery")
}

func benchGateway(b *testing.B, portable bool) (*server, []*Connection) {
	rooms := newFakeRooms(abi.KindOptions{Name: "bench", QueueBytes: 64 << 20})
	srv := start(b, setup{rooms: rooms, options: Options{PortableWrites: portable, MaxSocketsPerAddress: -1, SendBuffer: 1 << 20}})
	drainers(b, srv.http.URL, benchClients)
	conns := make([]*Connection, benchClients)
	for i := range conns {
		conns[i] = receive(b, rooms.connected)
	}
	return srv, conns
}

// BenchmarkFanOut sends one message of 128 bytes to 1,000 connections over loopback, in
// every way there is. "floor" is nothing but one write(2) of a prepared frame for each.
func BenchmarkFanOut(b *testing.B) {
	data := []byte(strings.Repeat("x", benchPayload))
	for _, path := range []string{"direct", "portable"} {
		b.Run(path, func(b *testing.B) {
			_, conns := benchGateway(b, path == "portable")
			fanOut(b, benchClients, func() {
				f := NewFrame(abi.Text, "", data)
				for _, c := range conns {
					if r := c.Send(f); r > Queued {
						b.Fatal(r)
					}
				}
				settle(conns)
			})
		})
	}
	b.Run("direct16", func(b *testing.B) {
		_, conns := benchGateway(b, false)
		fanOut(b, 16*benchClients, func() {
			frames := make([]*Frame, 16)
			for i := range frames {
				frames[i] = NewFrame(abi.Text, "", data)
			}
			batch := NewBatch(frames...)
			for _, c := range conns {
				if r := c.SendBatch(batch); r > Queued {
					b.Fatal(r)
				}
			}
			settle(conns)
		})
	})
	b.Run("coder", func(b *testing.B) { benchCoder(b, data) })
	b.Run("floor", func(b *testing.B) { benchFloor(b, data) })
}

// settle waits until the kernel has everything, so that each delivery is a write of its
// own on every path. Sleeping costs no CPU that would be counted.
func settle(conns []*Connection) {
	for _, c := range conns {
		for c.Queued() > 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// benchCoder is the usual way: a channel and a goroutine for each connection, and
// coder's Write.
func benchCoder(b *testing.B, data []byte) {
	var (
		mu    sync.Mutex // guards conns
		conns []chan []byte
		wg    sync.WaitGroup
		sent  sync.WaitGroup
		ready = make(chan struct{}, benchClients)
	)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ch := make(chan []byte, 16)
		mu.Lock()
		conns = append(conns, ch)
		mu.Unlock()
		ready <- struct{}{}
		wg.Go(func() {
			for p := range ch {
				_ = c.Write(context.Background(), websocket.MessageText, p)
				sent.Done()
			}
			_ = c.CloseNow()
		})
		_, _, _ = c.Read(context.Background())
	}))
	defer h.Close()
	drainers(b, h.URL, benchClients)
	for range benchClients {
		receive(b, ready)
	}
	fanOut(b, benchClients, func() {
		sent.Add(len(conns))
		for _, ch := range conns {
			ch <- data
		}
		sent.Wait()
	})
	for _, ch := range conns {
		close(ch)
	}
	wg.Wait()
}

func benchFloor(b *testing.B, data []byte) {
	var conns []*rawConn
	done := make(chan struct{})
	accepted := make(chan *rawConn, benchClients)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		accepted <- newRawConn(nc)
		<-done
		_ = nc.Close()
	}))
	defer h.Close()
	defer close(done)
	drainers(b, h.URL, benchClients)
	for range benchClients {
		conns = append(conns, receive(b, accepted))
	}
	frame := appendFrame(nil, opText, data)
	fanOut(b, benchClients, func() {
		for _, c := range conns {
			for {
				n, err := c.write(frame)
				if err != nil {
					b.Fatal(err)
				}
				if n > 0 {
					break
				}
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
}

// BenchmarkInbound reads messages of 64 bytes from one connection.
func BenchmarkInbound(b *testing.B) {
	done := make(chan struct{})
	n := 0
	rooms := newFakeRooms(abi.KindOptions{Name: "bench", MessagesPerSecond: 1e9, MessageBurst: 1e9})
	rooms.onMessage = func(*Connection, abi.Encoding, []byte) error {
		if n++; n == b.N {
			close(done)
		}
		return nil
	}
	srv := start(b, setup{rooms: rooms})
	r, _ := srv.openRaw("/v1/rooms/bench/room")
	_ = r.nc.SetDeadline(time.Time{})
	f := frame(fin|opText, []byte(strings.Repeat("x", 64)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		r.write(f)
	}
	<-done
}

// BenchmarkIdle reports what an idle connection costs this process.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	rss := func() int {
		runtime.GC()
		runtime.GC()
		data, _ := os.ReadFile("/proc/self/statm")
		var size, resident int
		_, _ = fmt.Sscan(string(data), &size, &resident)
		return resident * os.Getpagesize()
	}
	for b.Loop() {
		rooms := newFakeRooms(abi.KindOptions{Name: "bench"})
		srv := start(b, setup{rooms: rooms, options: Options{MaxSocketsPerAddress: -1}})
		var before, after runtime.MemStats
		residentBefore := rss()
		runtime.ReadMemStats(&before)
		drainers(b, srv.http.URL, n)
		for range n {
			receive(b, rooms.connected)
		}
		resident := rss() - residentBefore
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/conn")
		b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
		b.ReportMetric(float64(resident)/n, "rss-B/conn")
	}
}

// BenchmarkBeat is one look at 16,000 connections that have nothing to say.
func BenchmarkBeat(b *testing.B) {
	g, err := New(Options{Rooms: newFakeRooms(), Admitter: admitAll, beats: noBeats})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	g.beatsToPing = 1 << 30
	g.beatsToGiveUp = 1 << 30
	for range 16_000 {
		g.sockets[&Socket{g: g, protocol: g.plain}] = struct{}{}
	}
	for b.Loop() {
		g.tick()
	}
	clear(g.sockets)
}
