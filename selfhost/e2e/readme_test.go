package e2e

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestReadmeRoom builds the room that the README shows, has it checked, and talks to it, as the
// README says.
func TestReadmeRoom(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README shows no room")
	}
	source := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(source, m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	counter, err := module("counter", source)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(built.oriel, "check", "--cache-dir", built.cache, counter).CombinedOutput(); err != nil || !strings.Contains(string(out), `"name": "counter"`) {
		t.Fatalf("oriel check: %v\n%s", err, out)
	}
	n := newNode(t, "--module", counter)
	n.start()
	c, err := tryRaw(n, "counter/lobby", http.Header{}, "bearer."+token(t, "ann"), "oriel.raw")
	if err != nil {
		t.Fatal(err)
	}
	if p := c.ws.Subprotocol(); p != "oriel.raw" {
		t.Errorf("answered %q", p)
	}
	for _, want := range []string{"ann makes it |", "ann makes it ||"} {
		c.send("x")
		if _, b, err := c.ws.Read(limited(t)); err != nil || string(b) != want {
			t.Fatalf("%q, %v; want %q", b, err, want)
		}
	}
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
}

// TestReadmePublish publishes as a backend does, with a token of the command line, twice under one
// key.
func TestReadmePublish(t *testing.T) {
	n := newNode(t, "--module", built.chat)
	n.start()
	cmd := exec.Command(built.oriel, "token", "--user", "bot")
	cmd.Env = append(os.Environ(), "ORIEL_SECRET="+secret)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for range 2 {
		r, err := http.NewRequestWithContext(limited(t), http.MethodPost, "http://"+n.addr+"/v1/rooms/chat/lobby/publish",
			strings.NewReader(`{"event":"message","data":{"text":"order 1017 shipped"}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(out)))
		r.Header.Set("Idempotency-Key", "order-1017")
		res, err := n.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%d %s, %v", res.StatusCode, b, err)
		}
		answers = append(answers, string(b))
	}
	if answers[0] != answers[1] || !strings.Contains(answers[0], `"offset":1`) {
		t.Errorf("answers %q", answers)
	}
}
