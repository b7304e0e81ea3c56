package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
)

func TestUsage(t *testing.T) {
	for args, reason := range map[string]string{
		"":                         `expected one of "serve"`,
		"serv":                     `did you mean "serve"?`,
		"serve --bogus":            "unknown flag --bogus (see `oriel serve --help`)",
		"serve --hartbeat=1s":      `did you mean "--heartbeat"?`,
		"serve --user=ann":         "unknown flag --user",
		"serve x":                  "unexpected argument x",
		"serve --listen":           "needs a value",
		"serve --listen --dev":     "needs a value",
		"token":                    "missing flags: --user=NAME",
		"token --listen=:80":       "unknown flag --listen",
		"check":                    `expected "<module>"`,
		"check a b":                "unexpected argument b",
		"version x":                "unexpected argument x",
		"version --dev":            "unknown flag --dev",
		"serve --help=x --no-help": "", // whatever kong says, it is a usage error
	} {
		_, err := world{}.parse(strings.Fields(args)...)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v", args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	cmd, err := world{}.parse("serve", "--help")
	if err != nil || cmd.Name != CommandHelp {
		t.Fatalf("got %v, %v", cmd, err)
	}
	// Words may be wrapped; spaces are not part of the promise.
	text := strings.Join(strings.Fields(cmd.Help), " ")
	for i := range settings {
		s := &settings[i]
		flag := "--" + s.name
		if !s.toggle() {
			flag += "=" + s.placeholder
		}
		for _, want := range []string{flag, s.env(), s.group + ":"} {
			if !strings.Contains(text, want) {
				t.Errorf("the help lacks %s", want)
			}
		}
		if s.standard != "" && !strings.Contains(text, "Default "+s.standard+". "+s.env()) {
			t.Errorf("the help lacks the default of %s", s.name)
		}
		if s.help == "" || !strings.HasSuffix(s.help, ".") {
			t.Errorf("%s: the help is not a sentence", s.name)
		}
	}
	for _, line := range strings.Split(cmd.Help, "\n") {
		if len(line) > 100 {
			t.Errorf("too wide: %s", line)
		}
	}
	for args, want := range map[string]string{
		"--help": "Commands: serve Run a node.", "-h": "oriel <command> --help",
		"token --help": "--user=NAME", "token --user=x -h": "--ttl=DURATION", "check --help": "--cache-dir=DIR", "version --help": "Print the version.",
		"serve --listen=bad --help": "Usage: oriel serve",
	} {
		cmd, err := world{}.parse(strings.Fields(args)...)
		if err != nil || cmd.Name != CommandHelp || !strings.Contains(strings.Join(strings.Fields(cmd.Help), " "), want) {
			t.Errorf("%s: got %v, %v", args, cmd, err)
		}
	}
}

func TestToken(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := world{env: map[string]string{
		"ORIEL_SECRET": testSecret + "," + testSecret + "old", "ORIEL_AUDIENCE": "rooms", "ORIEL_ISSUER": "me",
		"ORIEL_LISTEN": "nonsense of another command",
	}}
	cmd, err := w.parse("token", "--user", "ann", "--ttl=15m", "--rooms=chat/*,arena/lobby", "--actions=connect", `--claims={"name":"Ann"}`)
	if err != nil {
		t.Fatal(err)
	}
	token, err := admission.Mint(cmd.Config.Secrets[0], cmd.Claims(now))
	if err != nil {
		t.Fatal(err)
	}
	door, err := admission.New(cmd.Config.Policy())
	if err != nil {
		t.Fatal(err)
	}
	id, err := door.Verify(token, now)
	if err != nil || id.User != "ann" || !id.Expires.Equal(now.Add(15*time.Minute)) || !id.Grants.Allows(admission.ActionConnect, "chat", "x") || id.Grants.Allows(admission.ActionPublish, "chat", "x") || !strings.Contains(string(id.Claims), `"name":"Ann"`) {
		t.Errorf("got %+v, %v", id, err)
	}
	for _, tt := range []struct {
		args   string
		reason string
	}{
		{"--user=ann --ttl=1s", ""},
		{"--user=ann --ttl=87600h", ""},
		{"--user=ann --ttl=999ms", "ttl (--ttl): "},
		{"--user=ann --ttl=87601h", "ttl (--ttl): "},
		{"--user=ann --ttl=1", "has no unit"},
		{"--user=", "user is not"},
		{"--user=ann --rooms=chat", "chat/lobby"},
		{"--user=ann --actions=fly", `unknown action "fly"`},
		{"--user=ann --claims=[]", "claims (--claims): is not a JSON object"},
		{"--user=ann --claims=null", "is not a JSON object"},
		{`--user=ann --claims={"sub":"bob"}`, "sub has a field of its own"},
	} {
		_, err := w.parse(append([]string{"token"}, strings.Fields(tt.args)...)...)
		if tt.reason == "" && err != nil || tt.reason != "" && (!errors.Is(err, ErrSetting) || !strings.Contains(err.Error(), tt.reason)) {
			t.Errorf("%s: got %v", tt.args, err)
		}
	}
	if _, err := (world{}).parse("token", "--user=ann"); err == nil || !strings.Contains(err.Error(), "secret (not set): required to sign") {
		t.Errorf("got %v", err)
	}
}

func TestCheckAndVersion(t *testing.T) {
	w := world{env: map[string]string{"ORIEL_DATA": "d", "ORIEL_LISTEN": "nonsense"}}
	cmd, err := w.parse("check", "--memory-per-room=8MiB", "room.wasm")
	if err != nil || cmd.Name != CommandCheck || cmd.Module != "room.wasm" || cmd.Config.MemoryPerRoom != 8<<20 || cmd.Config.CacheDir != filepath.Join("d", "cache") {
		t.Errorf("got %+v, %v", cmd, err)
	}
	if _, err := w.parse("check", ""); !errors.Is(err, ErrSetting) {
		t.Errorf("got %v", err)
	}
	if cmd, err := w.parse("version"); err != nil || cmd.Name != CommandVersion || cmd.Config != nil {
		t.Errorf("got %+v, %v", cmd, err)
	}
}

func TestTable(t *testing.T) {
	var names []string
	for i := range settings {
		s := &settings[i]
		names = append(names, s.name)
		if s.set == nil || s.group == "" || strings.Trim(s.name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			t.Errorf("%s: incomplete row", s.name)
		}
		if s.toggle() && (s.list || s.standard != "") {
			t.Errorf("%s: a switch is off by default and no list", s.name)
		}
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(settings) {
		t.Error("two settings have one name")
	}
}

func ExampleParse() {
	env := map[string]string{"ORIEL_SECRET": "0123456789abcdef0123456789abcdef", "ORIEL_LISTEN": ":8443"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }

	cmd, err := Parse([]string{"serve", "--heartbeat", "10s"}, lookup, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cmd.Name, cmd.Config.Listen, cmd.Config.Heartbeat, cmd.Config.Secrets)

	_, err = Parse([]string{"serve", "--heartbeat", "10"}, lookup, nil)
	fmt.Println(err)
	// Output:
	// serve :8443 10s [[secret]]
	// heartbeat (--heartbeat): "10" has no unit: write ms, s, m or h behind it
}
