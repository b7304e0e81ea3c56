package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/rooms/admission"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a node without modules. stop ends it and returns what Serve did.
func serve(t *testing.T, o Options) (s *Server, stop func() error) {
	t.Helper()
	secret, err := admission.NewSecret("", []byte(strings.Repeat("s", admission.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	o.Data = t.TempDir()
	o.Policy.Keys, o.DevSecret = admission.Secrets{secret}, secret
	o.Log = slog.New(slog.DiscardHandler)
	if s, err = New(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	stop = func() error {
		cancel()
		err := <-ended
		ended <- err // for the next call
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return s, stop
}

// ask asks a node for a path; headers are pairs, Host among them.
func ask(t *testing.T, s *Server, path string, headers ...string) (int, string) {
	t.Helper()
	_, port, _ := strings.Cut(strings.ReplaceAll(s.Addr().String(), "[::]", "any"), ":")
	req, err := http.NewRequest("GET", "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestDevTokens: a dev server gives tokens to pages and programs of this machine and to nobody else,
// another server gives none.
func TestDevTokens(t *testing.T) {
	const path = "/v1/dev/token?user=ann"
	dev := Options{Listen: "127.0.0.1:0", Policy: admission.Policy{Dev: true}}
	for _, tc := range []struct {
		name    string
		options Options
		path    string
		headers []string
		want    int
	}{
		{"itself", dev, path, nil, 200},
		{"rebound name", dev, path, []string{"Host", "evil.example"}, 403},
		{"rebound name, page", dev, "/", []string{"Host", "evil.example"}, 403},
		{"rebound name, presence", dev, "/v1/presence/ann", []string{"Host", "evil.example"}, 403},
		{"page of another origin", dev, path, []string{"Origin", "https://evil.example"}, 403},
		{"nobody", dev, "/v1/dev/token", nil, 400},
		{"all interfaces", Options{Listen: ":0", Policy: admission.Policy{Dev: true}}, path, []string{"Host", "localhost"}, 403},
		{"not dev", Options{Listen: "127.0.0.1:0"}, path, nil, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := serve(t, tc.options)
			status, body := ask(t, s, tc.path, tc.headers...)
			var token struct{ Token string }
			_ = json.Unmarshal([]byte(body), &token) // not all bodies are JSON
			if status != tc.want || (token.Token != "") != (tc.want == 200) {
				t.Fatalf("%d %s", status, body)
			}
		})
	}
}

// TestReloadAtTheEnd: a signal to reload may come when everything is being given back.
func TestReloadAtTheEnd(t *testing.T) {
	s, stop := serve(t, Options{Listen: "127.0.0.1:0"})
	if err := s.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(context.Background()); !errors.Is(err, ErrEnding) {
		t.Fatal(err)
	}
}

func TestNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "process")
	for want := range uint64(3) {
		if n, err := nextProcess(path); n != want+1 || err != nil {
			t.Fatal(n, err)
		}
	}
	for _, tc := range []struct {
		text string
		want uint64
	}{{"16777214\n", maxProcess}, {"16777215\n", 1}, {"16777216\n", 0}, {"", 0}, {"-1", 0}, {"seven", 0}} {
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := nextProcess(path)
		if n != tc.want || (err == nil) != (tc.want != 0) {
			t.Errorf("%q: %d, %v", tc.text, n, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".process-*"))
	if len(left) > 0 || err != nil {
		t.Error(left, err)
	}
}
