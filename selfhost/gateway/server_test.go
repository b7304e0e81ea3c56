package gateway

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestEndlessHandshake: a client that never ends its request's head is cut, whether it is
// silent or sends on and on.
func TestEndlessHandshake(t *testing.T) {
	srv := start(t, setup{server: ServerOptions{HeaderTimeout: 2 * time.Second, MaxHeaderBytes: 1024}})
	w := srv.witness()
	t.Run("silence", func(t *testing.T) {
		for name, said := range map[string]string{"after a line": "GET /v1/rooms/echo/room HTTP/1.1\r\nHost: x\r\n", "from the first": ""} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				nc := srv.in(t).dialTCP()
				if _, err := io.WriteString(nc, said); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
					t.Error("the connection is still open")
				}
			})
		}
	})
	t.Run("too long", func(t *testing.T) {
		nc := srv.in(t).dialTCP()
		head := "GET /v1/rooms/echo/room HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1024+4096+4096)
		if _, err := io.WriteString(nc, head); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v, %v", res, err)
		}
	})
	w.check()
}

// TestPeersPerAddress: somebody who opens connections and says nothing takes no more than the
// share of one address, and WebSockets do not count against it.
func TestPeersPerAddress(t *testing.T) {
	srv := start(t, setup{server: ServerOptions{MaxPeersPerAddress: 2}})
	w := srv.witness()
	first := srv.dialTCP()
	// An answered request shows that the server has seen the connection.
	get := func(c io.ReadWriter) error {
		if _, err := io.WriteString(c, "GET /v1/rooms/echo/room HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return err
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, res.Body)
		return errors.Join(err, res.Body.Close())
	}
	second := srv.dialTCP()
	for _, nc := range []io.ReadWriter{first, second} {
		if err := get(nc); err != nil {
			t.Fatalf("within the bound: %v", err)
		}
	}
	third := srv.dialTCP()
	if err := get(third); err == nil || isTimeout(err) {
		t.Errorf("one past the bound: %v", err)
	}
	w.check()
	_ = first.Close()
	deadline := time.Now().Add(patience)
	for get(srv.dialTCP()) != nil {
		if time.Now().After(deadline) {
			t.Fatal("a closed connection still counts")
		}
	}
}

// TestTrustedPeersAreNotBounded: behind a proxy all clients share one transport address.
func TestTrustedPeersAreNotBounded(t *testing.T) {
	srv := start(t, setup{
		options: Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		server:  ServerOptions{MaxPeersPerAddress: 1},
	})
	for range 3 {
		nc := srv.dialTCP()
		if _, err := io.WriteString(nc, "GET /v1/rooms/echo/room HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil {
			t.Fatal(err)
		}
	}
}
