package e2e

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

var sample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)( \d+)?$`)

// prometheus reads the text format, strictly, and returns the values by name with labels.
func prometheus(t *testing.T, body string) (values map[string]float64, types map[string]string) {
	t.Helper()
	values, types = map[string]float64{}, map[string]string{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, typ, _ := strings.Cut(rest, " ")
			if types[name] != "" {
				t.Errorf("%s has two types", name)
			}
			types[name] = typ
			continue
		}
		if strings.HasPrefix(line, "# HELP ") || line == "" {
			continue
		}
		m := sample.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("not a sample: %q", line)
			continue
		}
		v, err := strconv.ParseFloat(m[4], 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if _, twice := values[m[1]+m[2]]; twice {
			t.Errorf("twice: %s%s", m[1], m[2])
		}
		values[m[1]+m[2]] = v
	}
	return values, types
}

func TestMetricsAndHealth(t *testing.T) {
	n := newNode(t, "--module", built.kinds)
	p := n.start()
	for _, url := range []string{"/healthz", "/readyz", p.metrics + "/healthz", p.metrics + "/readyz"} {
		if status, body := n.get(url); status != http.StatusOK || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s", url, status, body)
		}
	}
	if status, _ := n.get("/metrics"); status == http.StatusOK {
		t.Error("clients can read /metrics")
	}
	c := n.client("journal/metrics", "ann")
	for range 10 {
		if _, err := c.Publish(limited(t), "message", protocol.JSONPayload("1")); err != nil {
			t.Fatal(err)
		}
	}
	if x, err := tryRaw(n, "journal/metrics", nil, "oriel.v1.json"); err == nil {
		x.closed() // no credential
	}
	status, body := n.get(p.metrics + "/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	values, types := prometheus(t, body)
	for name, least := range map[string]float64{
		"oriel_connections": 1, "oriel_sockets": 1, "oriel_rooms": 1, "oriel_rooms_awake": 1,
		"oriel_connects_total": 1, "oriel_messages_received_total": 11, "oriel_messages_sent_total": 20,
		"oriel_turns_total": 11, "oriel_turn_seconds_total": 1e-9, "oriel_commits_total": 10, "oriel_commit_groups_total": 1,
		"oriel_broadcasts_total": 10, "oriel_deliveries_total": 10, "oriel_fuel_total": 1, "oriel_instances": 1,
		"oriel_void_turns_total": 0, "oriel_commits_failed_total": 0, "oriel_slow_closes_total": 0, "oriel_heartbeat_timeouts_total": 0,
		`oriel_refused_total{code="unauthenticated"}`: 1,
		"go_goroutines": 1,
	} {
		if v, ok := values[name]; !ok || v < least {
			t.Errorf("%s = %v, %v; want at least %v", name, v, ok, least)
		}
	}
	for name, typ := range types {
		if strings.HasPrefix(name, "oriel_") && (typ == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, typ)
		}
	}
	if strings.Contains(body, "ann") && strings.Contains(body, "metrics\"") {
		t.Error("users or rooms are in the metrics")
	}
}

func TestDevToken(t *testing.T) {
	ask := func(n *node, host, path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(limited(t), http.MethodGet, "http://"+n.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		res, err := n.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var said struct{ Token, Code string }
		_ = json.NewDecoder(res.Body).Decode(&said)
		return res.StatusCode, said.Token + said.Code
	}
	const path = "/v1/dev/token?user=ann"
	n := newNode(t, "--module", built.kinds)
	n.start()
	if status, said := ask(n, "", path); status != http.StatusNotFound || said != "not_found" {
		t.Errorf("without --dev: %d %s", status, said)
	}
	dev := newNode(t, "--module", built.kinds, "--dev")
	dev.start()
	status, tok := ask(dev, "", path)
	if status != http.StatusOK || strings.Count(tok, ".") != 2 {
		t.Fatalf("%d %s", status, tok)
	}
	c, err := tryRaw(dev, "journal/dev", http.Header{"Authorization": {"Bearer " + tok}}, "oriel.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	c.hello()
	for _, host := range []string{"evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1"} {
		for _, path := range []string{path, "/"} {
			if status, said := ask(dev, host, path); status != http.StatusForbidden || said != "forbidden" {
				t.Errorf("Host %s: %s: %d %s", host, path, status, said)
			}
		}
	}
	if status, said := ask(dev, "localhost", path); status != http.StatusOK || said == "" {
		t.Errorf("Host localhost: %d", status)
	}
	if status, said := ask(dev, "", "/v1/dev/token"); status == http.StatusOK {
		t.Errorf("no user: %d %s", status, said)
	}
	open := newNode(t, "--module", built.kinds, "--dev", "--listen", "0.0.0.0:0")
	p := open.launch()
	if code := p.wait(t); code != 2 || !strings.Contains(p.log.String(), "loopback") {
		t.Errorf("--dev beyond loopback: exit code %d, %s", code, p.log.String())
	}
}
