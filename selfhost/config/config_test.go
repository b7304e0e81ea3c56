package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
)

var testSecret = strings.Repeat("s3cr3t-", 5)

// world is a fake environment and file system.
type world struct {
	env   map[string]string
	files map[string]string
}

func (w world) parse(args ...string) (*Command, error) {
	return Parse(args, func(name string) (string, bool) {
		v, ok := w.env[name]
		return v, ok
	}, func(name string) ([]byte, error) {
		if s, ok := w.files[name]; ok {
			return []byte(s), nil
		}
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	})
}

func TestDefaults(t *testing.T) {
	cmd, err := world{}.parse("serve", "--dev")
	if err != nil {
		t.Fatal(err)
	}
	c := cmd.Config
	c.given = nil
	want := &Config{
		Listen: "127.0.0.1:8080", Data: "./data", Dev: true,
		MaxConnections: 16000, ConnectionsPerAddress: 1024, MaxRequests: 1024, RequestsPerAddress: 128,
		ConnectsPerSecondPerAddress: 100, ConnectBurstPerAddress: 400,
		Heartbeat: 25 * time.Second, HandshakeTimeout: 10 * time.Second, HelloTimeout: 10 * time.Second, RequestTimeout: 30 * time.Second,
		MemoryPerRoom: 64 << 20, TurnBudget: 20 * time.Millisecond, RoomBudget: 200 * time.Millisecond,
		RedisPrefix: "oriel", ClusterListen: "127.0.0.1:7946", ClusterAddress: "127.0.0.1:7946", ClusterLease: 5 * time.Second, ClusterWeight: 100,
		CacheDir: filepath.Join("data", "cache"), DrainTimeout: 30 * time.Second, DrainSpread: 5 * time.Second, LogFormat: LogText,
	}
	if cmd.Name != CommandServe || !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", *c, *want)
	}
}

// sample is a value of a setting that differs from its default.
type sample struct {
	text  string
	file  string   // as TOML; empty: the text in quotes
	field string   // the field of Config that it sets
	more  []string // further fields that follow
	want  any      // nil: only that it changes
}

var samples = map[string]sample{
	"listen":                          {text: "[::1]:9000", field: "Listen", want: "[::1]:9000"},
	"metrics-listen":                  {text: "10.0.0.1:9090", field: "MetricsListen", want: "10.0.0.1:9090"},
	"data":                            {text: "/srv/oriel", field: "Data", more: []string{"CacheDir"}, want: "/srv/oriel"},
	"module":                          {text: "a.wasm,b.wasm", file: `["a.wasm", "b.wasm"]`, field: "Modules", want: []string{"a.wasm", "b.wasm"}},
	"dev":                             {text: "true", file: "true", field: "Dev", want: true},
	"secret":                          {text: testSecret + "1," + testSecret + "2", file: `["` + testSecret + `1", "` + testSecret + `2"]`, field: "Secrets"},
	"secret-file":                     {text: "secrets.txt", field: "Secrets"},
	"audience":                        {text: "rooms, chat", file: `["rooms", "chat"]`, field: "Audience", want: []string{"rooms", "chat"}},
	"issuer":                          {text: "https://auth.example", field: "Issuer", want: "https://auth.example"},
	"cookie":                          {text: "__Host-oriel", field: "Cookie", want: "__Host-oriel"},
	"origins":                         {text: "https://example.com,https://*.example.com", field: "Origins"},
	"trusted-proxies":                 {text: "10.0.0.0/8,192.0.2.1", file: `["10.0.0.0/8", "192.0.2.1"]`, field: "TrustedProxies"},
	"max-connections":                 {text: "7", file: "7", field: "MaxConnections", want: 7},
	"connections-per-address":         {text: "8", file: "8", field: "ConnectionsPerAddress", want: 8},
	"max-requests":                    {text: "9", file: "9", field: "MaxRequests", want: 9},
	"requests-per-address":            {text: "10", file: "10", field: "RequestsPerAddress", want: 10},
	"connects-per-second-per-address": {text: "2.5", file: "2.5", field: "ConnectsPerSecondPerAddress", want: 2.5},
	"connect-burst-per-address":       {text: "11", file: "11", field: "ConnectBurstPerAddress", want: 11},
	"heartbeat":                       {text: "1m30s", field: "Heartbeat", want: 90 * time.Second},
	"handshake-timeout":               {text: "3s", field: "HandshakeTimeout", want: 3 * time.Second},
	"hello-timeout":                   {text: "4s", field: "HelloTimeout", want: 4 * time.Second},
	"request-timeout":                 {text: "5s", field: "RequestTimeout", want: 5 * time.Second},
	"redis":                           {text: "redis://10.0.0.1:6379,redis://10.0.0.2:6379", file: `["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"]`, field: "Redis"},
	"redis-master":                    {text: "oriel", field: "RedisMaster", want: "oriel"},
	"redis-cluster":                   {text: "true", file: "true", field: "RedisCluster", want: true},
	"redis-prefix":                    {text: "rooms.2", field: "RedisPrefix", want: "rooms.2"},
	"cluster-listen":                  {text: "10.0.0.1:7000", field: "ClusterListen", more: []string{"ClusterAddress"}, want: "10.0.0.1:7000"},
	"cluster-address":                 {text: "node1:7000", field: "ClusterAddress", want: "node1:7000"},
	"cluster-secret":                  {text: testSecret, field: "ClusterSecret"},
	"cluster-secret-file":             {text: "secret.txt", field: "ClusterSecret"},
	"cluster-cert":                    {text: "n.pem", field: "ClusterCert", want: "n.pem"},
	"cluster-key":                     {text: "n.key", field: "ClusterKey", want: "n.key"},
	"cluster-ca":                      {text: "ca.pem", field: "ClusterCA", want: "ca.pem"},
	"cluster-lease":                   {text: "10s", field: "ClusterLease", want: 10 * time.Second},
	"cluster-weight":                  {text: "50", file: "50", field: "ClusterWeight", want: 50},
	"workers":                         {text: "3", file: "3", field: "Workers", want: 3},
	"memory-per-room":                 {text: "32MiB", field: "MemoryPerRoom", want: uint64(32 << 20)},
	"turn-budget":                     {text: "5ms", field: "TurnBudget", more: []string{"RoomBudget"}, want: 5 * time.Millisecond},
	"room-budget":                     {text: "300ms", field: "RoomBudget", want: 300 * time.Millisecond},
	"cache-dir":                       {text: "/var/cache/oriel", field: "CacheDir", want: "/var/cache/oriel"},
	"drain-timeout":                   {text: "1m", field: "DrainTimeout", want: time.Minute},
	"drain-spread":                    {text: "0s", field: "DrainSpread", want: time.Duration(0)},
	"log-level":                       {text: "debug", field: "LogLevel", want: slog.LevelDebug},
	"log-format":                      {text: "json", field: "LogFormat", want: LogJSON},
}

// sameField compares secrets by what they are.
func sameField(a, b any) bool {
	x, ok := a.([]admission.Secret)
	if !ok {
		return reflect.DeepEqual(a, b)
	}
	return slices.EqualFunc(x, b.([]admission.Secret), admission.Secret.Equal)
}

// Every setting sets its field from every source, and every field has a setting.
func TestEverySourceSetsEveryField(t *testing.T) {
	typ := reflect.TypeFor[Config]()
	set := map[string]bool{}
	files := map[string]string{"secrets.txt": "# first signs\n\n" + testSecret + "3\r\n" + testSecret + "4", "secret.txt": testSecret + "\n"}
	for i := range settings {
		s := &settings[i]
		sample, ok := samples[s.name]
		if !ok {
			t.Errorf("%s: no sample", s.name)
			continue
		}
		set[sample.field] = true
		base := world{files: files, env: map[string]string{"ORIEL_SECRET": testSecret}}
		if sample.field == "Secrets" {
			base.env = map[string]string{"ORIEL_DEV": "1"}
		}
		if sample.field == "Redis" {
			base.env["ORIEL_CLUSTER_SECRET"] = testSecret
		}
		before, err := base.parse("serve")
		if err != nil {
			t.Fatal(err)
		}
		toml := sample.file
		if toml == "" {
			toml = `"` + sample.text + `"`
		}
		flag := world{env: base.env, files: files}
		env := world{env: map[string]string{s.env(): sample.text}, files: files}
		file := world{env: map[string]string{configEnv: "oriel.toml"}, files: map[string]string{"oriel.toml": s.name + " = " + toml, "secrets.txt": files["secrets.txt"], "secret.txt": files["secret.txt"]}}
		for k, v := range base.env {
			env.env[k], file.env[k] = v, v
		}
		for _, source := range []struct {
			name  string
			world world
			args  []string
		}{
			{"--" + s.name, flag, []string{"serve", "--" + s.name + "=" + sample.text}},
			{s.env(), env, []string{"serve"}},
			{"oriel.toml", file, []string{"serve"}},
		} {
			after, err := source.world.parse(source.args...)
			if err != nil {
				t.Errorf("%s: %v", source.name, err)
				continue
			}
			if got := after.Config.Source(s.name); got != source.name {
				t.Errorf("%s: the source is %q, not %q", s.name, got, source.name)
			}
			for i := range typ.NumField() {
				f := typ.Field(i)
				if !f.IsExported() {
					continue
				}
				old, now := reflect.ValueOf(*before.Config).Field(i).Interface(), reflect.ValueOf(*after.Config).Field(i).Interface()
				mine := f.Name == sample.field
				switch {
				case mine && sameField(old, now):
					t.Errorf("%s by %s: %s stays %v", s.name, source.name, f.Name, now)
				case mine && sample.want != nil && !reflect.DeepEqual(now, sample.want):
					t.Errorf("%s by %s: %s is %v, not %v", s.name, source.name, f.Name, now, sample.want)
				case !mine && !slices.Contains(sample.more, f.Name) && !sameField(old, now):
					t.Errorf("%s by %s: %s changes too", s.name, source.name, f.Name)
				}
			}
		}
	}
	for i := range typ.NumField() {
		if f := typ.Field(i); f.IsExported() && !set[f.Name] {
			t.Errorf("no setting sets %s", f.Name)
		}
	}
	for name := range samples {
		if find(name) == nil {
			t.Errorf("sample of no setting: %s", name)
		}
	}
}

func TestPrecedence(t *testing.T) {
	w := world{
		env:   map[string]string{"ORIEL_DEV": "true", "ORIEL_HEARTBEAT": "2s", "ORIEL_HELLO_TIMEOUT": "2s", "ORIEL_ORIGINS": "https://env.example", "ORIEL_DATA": ""},
		files: map[string]string{"f.toml": "heartbeat = '3s'\nhello-timeout = '3s'\nrequest-timeout = '3s'\norigins = ['https://file.example']\ndata = 'file'"},
	}
	cmd, err := w.parse("serve", "--config", "f.toml", "--heartbeat=1s", "--heartbeat", "4s", "--module=a", "--module=b,c")
	if err != nil {
		t.Fatal(err)
	}
	c := cmd.Config
	if c.Heartbeat != 4*time.Second || c.HelloTimeout != 2*time.Second || c.RequestTimeout != 3*time.Second || c.HandshakeTimeout != 10*time.Second {
		t.Errorf("got %v %v %v %v", c.Heartbeat, c.HelloTimeout, c.RequestTimeout, c.HandshakeTimeout)
	}
	if c.Data != "file" {
		t.Errorf("an empty variable counts: %q", c.Data)
	}
	if want, _ := admission.ParseOrigins("https://env.example"); !reflect.DeepEqual(c.Origins, want) {
		t.Errorf("lists of two sources are mixed: %v", c.Origins)
	}
	if !slices.Equal(c.Modules, []string{"a", "b", "c"}) {
		t.Errorf("got %q", c.Modules)
	}
	for name, want := range map[string]string{"heartbeat": "--heartbeat", "hello-timeout": "ORIEL_HELLO_TIMEOUT", "request-timeout": "f.toml", "listen": "default"} {
		if got := c.Source(name); got != want {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if s := c.String(); !strings.Contains(s, "heartbeat = 4s (--heartbeat)\n") || strings.Contains(s, "listen") {
		t.Errorf("got %s", s)
	}
	if cmd, err := w.parse("serve", "--dev=false", "--secret", testSecret); err != nil || cmd.Config.Dev {
		t.Errorf("got %v, %v", cmd, err)
	}
}

// Nothing that can be printed of a configuration or an error shows a secret.
func TestSecretsAreRedacted(t *testing.T) {
	shows := func(t *testing.T, s string) {
		t.Helper()
		if strings.Contains(s, "s3cr3t") || strings.Contains(s, "115 51 99") || strings.Contains(s, fmt.Sprintf("%x", "s3cr3t")) {
			t.Errorf("the secret shows: %s", s)
		}
	}
	w := world{files: map[string]string{"s": testSecret, "f.toml": `secret = "` + testSecret + `"`}}
	for _, args := range [][]string{{"--secret=" + testSecret}, {"--secret-file=s"}, {"--config=f.toml"}} {
		cmd, err := w.parse(append([]string{"serve"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		for _, v := range []any{cmd, *cmd, cmd.Config, *cmd.Config, cmd.Config.Policy(), cmd.Config.Secrets} {
			fmt.Fprintf(&out, "%v %+v %#v %s %q %x %d\n", v, v, v, v, v, v, v)
			slog.New(slog.NewTextHandler(&out, nil)).Info("settings", "config", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("settings", "config", v)
			if b, err := json.Marshal(v); err == nil {
				out.Write(b)
			}
		}
		shows(t, out.String())
		if !strings.Contains(out.String(), "[secret]") {
			t.Error("nothing was printed")
		}
	}
	short := "s3cr3t"
	w.files = map[string]string{
		"short": short, "control": testSecret + "\x01", "binary": testSecret + "\xff",
		"table.toml": "[secret]\ns3cr3t = 1", "short.toml": "secret = '" + short + "'", "broken.toml": "secret = '" + testSecret, "bare.toml": "secret = " + testSecret,
		"date.toml": "secret = 1979-05-27", "nested.toml": "secret = [['" + testSecret + "']]",
	}
	for _, args := range [][]string{
		{"--secret=" + short}, {"--secret=" + testSecret + " x"}, {"--secret=" + testSecret + "," + short}, {"--secret=" + strings.Repeat(testSecret, 40)},
		{"--secret=", testSecret}, {"--secret", "-" + testSecret}, {"--secret", "--" + testSecret}, {"--secret=" + testSecret, "--secret-file=short"},
		{"--secret=" + testSecret, testSecret}, {"--secert=" + testSecret}, {"--secert", testSecret}, {"--secret-file=" + testSecret},
		{"--secret-file=short"}, {"--secret-file=control"}, {"--secret-file=binary"},
		{"--config=table.toml"}, {"--config=short.toml"}, {"--config=broken.toml"}, {"--config=bare.toml"}, {"--config=date.toml"}, {"--config=nested.toml"},
	} {
		_, err := w.parse(append([]string{"serve"}, args...)...)
		if err == nil {
			t.Errorf("%q: taken", args)
			continue
		}
		shows(t, err.Error())
	}
}

func TestReadsTheRealWorld(t *testing.T) {
	file := filepath.Join(t.TempDir(), "oriel.toml")
	if err := os.WriteFile(file, []byte("dev = true\nheartbeat = '7s'"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ORIEL_CONFIG", file)
	t.Setenv("ORIEL_LISTEN", "localhost:0")
	cmd, err := Parse([]string{"serve"}, nil, nil)
	if err != nil || cmd.Config.Heartbeat != 7*time.Second || cmd.Config.Listen != "localhost:0" {
		t.Errorf("got %v, %v", cmd, err)
	}
	t.Setenv("ORIEL_CONFIG", file+"x")
	if _, err := Parse([]string{"serve"}, nil, nil); !errors.Is(err, ErrSetting) || !strings.Contains(err.Error(), "no such file") && !strings.Contains(err.Error(), "cannot find") {
		t.Errorf("got %v", err)
	}
}
