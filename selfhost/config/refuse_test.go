package config

import (
	"errors"
	"strings"
	"testing"
)

// A bad value is refused in one line that names the setting, the source and the value.
func TestRefusals(t *testing.T) {
	many := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	tests := []struct{ setting, value, reason string }{
		{"listen", "", "not host:port"},
		{"listen", "127.0.0.1", "not host:port"},
		{"listen", "127.0.0.1:", "no port"},
		{"listen", "127.0.0.1:http", "no port"},
		{"listen", "127.0.0.1:65536", "no port"},
		{"listen", "127.0.0.1:-1", "no port"},
		{"listen", "::1:80", "not host:port"},
		{"listen", "a b:80", "neither an address nor a name"},
		{"listen", "http://localhost:80", "not host:port"},
		{"metrics-listen", "9090", "not host:port"},
		{"data", "", "is empty"},
		{"data", "a\nb", "control characters"},
		{"data", strings.Repeat("a", 4097), "longer than 4096"},
		{"module", many("a", 65), "at most 64"},
		{"module", "a,b\x00", "control characters"},
		{"dev", "maybe", "neither true nor false"},
		{"secret", strings.Repeat("a", 31), "31 characters and needs at least 32"},
		{"secret", strings.Repeat("a", 32) + ",b", "secret 2 of 2 is too short"},
		{"secret", strings.Repeat("a", 1025), "at most 1024"},
		{"secret", strings.Repeat("é", 32), "not printable ASCII"},
		{"secret", many(strings.Repeat("a", 32), 9), "at most 8"},
		{"audience", many("a", 17), "at most 16"},
		{"issuer", strings.Repeat("a", 257), "longer than 256"},
		{"cookie", "a b", "cannot name a cookie"},
		{"cookie", "a=b", "cannot name a cookie"},
		{"cookie", strings.Repeat("a", 129), "cannot name a cookie"},
		{"origins", "example.com", "not like https://example.com"},
		{"origins", "https://a.example,https://b.example/", `"https://b.example/"`},
		{"origins", many("https://a.example", 257), "at most 256"},
		{"trusted-proxies", "proxy", "neither a network"},
		{"trusted-proxies", "10.0.0.1/8", "did you mean 10.0.0.0/8?"},
		{"trusted-proxies", "0.0.0.0/0", "believe everyone"},
		{"trusted-proxies", "fe80::1%eth0", "neither a network"},
		{"trusted-proxies", "::ffff:10.0.0.0/104", "IPv6 form"},
		{"trusted-proxies", many("10.0.0.0/8", 257), "at most 256"},
		{"max-connections", "0", "from 1 to"},
		{"max-connections", "10000001", "from 1 to"},
		{"max-connections", "many", "not a number"},
		{"max-connections", "1e3", "not a number"},
		{"connections-per-address", "-1", "from 1 to"},
		{"max-requests", "0", "from 1 to"},
		{"requests-per-address", "0", "from 1 to"},
		{"connects-per-second-per-address", "0", "not a number from 0.01"},
		{"connects-per-second-per-address", "NaN", "not a number"},
		{"connects-per-second-per-address", "Inf", "not a number"},
		{"connect-burst-per-address", "0", "from 1 to"},
		{"heartbeat", "25", "has no unit"},
		{"heartbeat", "soon", "not a duration"},
		{"heartbeat", "99ms", "not from 100ms to 10m"},
		{"heartbeat", "10m1s", "not from 100ms to 10m"},
		{"heartbeat", "-1s", "not from"},
		{"handshake-timeout", "0s", "not from"},
		{"hello-timeout", "6m", "not from"},
		{"request-timeout", "11m", "not from"},
		{"workers", "-1", "from 0 to 1024"},
		{"workers", "1025", "from 0 to 1024"},
		{"memory-per-room", "64", "not a size"},
		{"memory-per-room", "64MB", "not a size"},
		{"memory-per-room", "4095KiB", "not a size"},
		{"memory-per-room", "3073MiB", "not a size"},
		{"memory-per-room", "99999999999GiB", "not a size"},
		{"memory-per-room", "-64MiB", "not a size"},
		{"memory-per-room", "1.5GiB", "not a size"},
		{"turn-budget", "999us", "not from 1ms to 1s"},
		{"turn-budget", "1001ms", "not from 1ms to 1s"},
		{"room-budget", "2s", "not from 1ms to 1s"},
		{"room-budget", "19ms", "less than turn-budget, 20ms"},
		{"cache-dir", "\x7f", "control characters"},
		{"drain-timeout", "61m", "not from"},
		{"drain-spread", "-1s", "not from"},
		{"log-level", "loud", "none of debug"},
		{"log-level", "INFO", "none of debug"},
		{"log-format", "xml", "neither text nor json"},
	}
	for _, tt := range tests {
		s := find(tt.setting)
		secret := map[string]string{"ORIEL_SECRET": testSecret}
		check := func(source string, w world, args ...string) {
			t.Helper()
			_, err := w.parse(args...)
			var e *Error
			switch {
			case !errors.As(err, &e) || !errors.Is(err, ErrSetting):
				t.Errorf("%s = %.60q: got %v", tt.setting, tt.value, err)
			case e.Setting != tt.setting || e.Source != source || !strings.Contains(e.Reason, tt.reason):
				t.Errorf("%s = %.60q by %s: got %v", tt.setting, tt.value, source, err)
			case strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), tt.setting+" ("+source+"): "):
				t.Errorf("not one line: %q", err)
			}
		}
		check("--"+tt.setting, world{env: secret}, "serve", "--"+tt.setting+"="+tt.value)
		if tt.value != "" {
			check(s.env(), world{env: map[string]string{"ORIEL_SECRET": testSecret, s.env(): tt.value}}, "serve")
		}
	}
}

// The values at the limits are taken.
func TestLimits(t *testing.T) {
	for setting, values := range map[string][]string{
		"listen":                          {":0", ":65535", "localhost:1", "[::]:80", "node-1.example.com:80"},
		"secret":                          {strings.Repeat("a", 32), strings.Repeat("a", 1024)},
		"trusted-proxies":                 {"10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "::1", "0.0.0.0/1"},
		"max-connections":                 {"1", "10000000"},
		"connects-per-second-per-address": {"0.01", "1000000"},
		"heartbeat":                       {"100ms", "10m"},
		"workers":                         {"0", "1024"},
		"memory-per-room":                 {"4MiB", "4096KiB", "3GiB", "3072 MiB"},
		"turn-budget":                     {"1ms", "1s"},
		"room-budget":                     {"20ms", "1s"},
		"cookie":                          {"", "a", strings.Repeat("a", 128)},
		"metrics-listen":                  {"", ":0"},
		"origins":                         {"", "*", "https://*.example.com"},
		"drain-timeout":                   {"0s", "1h"},
	} {
		for _, v := range values {
			if _, err := (world{env: map[string]string{"ORIEL_SECRET": testSecret}}).parse("serve", "--"+setting+"="+v); err != nil {
				t.Errorf("%s = %.60q: %v", setting, v, err)
			}
		}
	}
}

func TestSettingsTogether(t *testing.T) {
	files := map[string]string{"s": testSecret, "empty": "# nothing\n\n", "large": strings.Repeat("#\n", maxSecretFile/2+1), "as-large": strings.Repeat("#\n", maxSecretFile/2-32) + strings.Repeat("a", 64)}
	for _, tt := range []struct {
		args    []string
		setting string
		reason  string // empty: taken
	}{
		{nil, "secret", "required: set ORIEL_SECRET or --secret-file"},
		{[]string{"--secret="}, "secret", "required"},
		{[]string{"--dev"}, "", ""},
		{[]string{"--dev", "--secret-file=s"}, "", ""},
		{[]string{"--dev", "--listen=localhost:80"}, "", ""},
		{[]string{"--dev", "--listen=127.8.9.1:80"}, "", ""},
		{[]string{"--dev", "--listen=[::1]:80"}, "", ""},
		{[]string{"--dev", "--listen=:80"}, "listen", "not a loopback address"},
		{[]string{"--dev", "--listen=0.0.0.0:80"}, "listen", "not a loopback address"},
		{[]string{"--dev", "--listen=[::]:80"}, "listen", "not a loopback address"},
		{[]string{"--dev", "--listen=10.0.0.1:80"}, "listen", "not a loopback address"},
		{[]string{"--dev", "--listen=localhost.evil.example:80"}, "listen", "not a loopback address"},
		{[]string{"--secret-file=s"}, "", ""},
		{[]string{"--secret-file=as-large"}, "", ""},
		{[]string{"--secret-file=large"}, "secret-file", "larger than 64 KiB"},
		{[]string{"--secret-file=empty"}, "secret-file", "no secret in the file"},
		{[]string{"--secret-file=missing"}, "secret-file", "cannot be read"},
		{[]string{"--secret-file=s", "--secret=" + testSecret}, "secret-file", "secret (--secret) is set too"},
		{[]string{"--dev", "--metrics-listen=127.0.0.1:8080"}, "metrics-listen", "same as listen"},
		{[]string{"--dev", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"}, "", ""},
		{[]string{"--dev", "--turn-budget=500ms"}, "", ""},
		{[]string{"--dev", "--turn-budget=500ms", "--room-budget=499ms"}, "room-budget", "less than turn-budget"},
		{[]string{"--dev", "--redis=redis://r"}, "cluster-secret", "required with redis"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=" + testSecret}, "", ""},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret-file=s"}, "", ""},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret-file=s", "--cluster-secret=" + testSecret}, "cluster-secret-file", "is set too"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret-file=missing"}, "cluster-secret-file", "cannot be read"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=short"}, "cluster-secret", "32 to 1024"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-cert=c"}, "cluster-cert", "go together"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-cert=c", "--cluster-key=k", "--cluster-ca=a"}, "", ""},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=" + testSecret, "--cluster-ca=a"}, "cluster-cert", "keep one of them"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=" + testSecret, "--cluster-listen=:7946"}, "cluster-address", "names no host"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=" + testSecret, "--cluster-listen=0.0.0.0:7946"}, "cluster-address", "names no host"},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=" + testSecret, "--cluster-listen=:7946", "--cluster-address=n1:7946"}, "", ""},
		{[]string{"--dev", "--redis=redis://r", "--cluster-secret=" + testSecret, "--redis-master=m", "--redis-cluster"}, "redis-master", "not both"},
	} {
		_, err := world{files: files}.parse(append([]string{"serve"}, tt.args...)...)
		var e *Error
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%q: %v", tt.args, err)
		case tt.reason != "" && (!errors.As(err, &e) || e.Setting != tt.setting || !strings.Contains(e.Reason, tt.reason)):
			t.Errorf("%q: got %v", tt.args, err)
		}
	}
}

func TestFile(t *testing.T) {
	for _, tt := range []struct{ text, setting, reason string }{
		{"dev = true", "", ""},
		{"", "secret", "required"},
		{"dev = 'yes'", "", ""},
		{"dev = true\norigins = 'https://a.example, https://b.example'", "", ""},
		{"dev = true\nmodule = []", "", ""},
		{"dev = true\nworkers = 2\nmax-connections = '5'", "", ""},
		{"hartbeat = '1s'", "hartbeat", "no such setting: did you mean heartbeat?"},
		{"log_level = 'info'", "log_level", "did you mean log-level?"},
		{"Listen = ':80'", "Listen", "did you mean listen?"},
		{"[server]\nlisten = ':80'", "server", "no such setting"},
		{"config = 'x'", "config", "no such setting"},
		{strings.Repeat("a", 100) + " = 1", strings.Repeat("a", 100), "no such setting"},
		{"heartbeat = 25", "heartbeat", `"25" has no unit`},
		{"max-connections = 1.5", "max-connections", "not a number"},
		{"listen = [':80']", "listen", "not a list"},
		{"listen = 1979-05-27", "listen", "is neither a text"},
		{"module = [['a']]", "module", "is neither a text"},
		{"module = [{}]", "module", "is neither a text"},
		{"[module]\na = 1", "module", "is neither a text"},
		{"dev = true\ndev = true", "config", "not TOML at line 2"},
		{"listen = ", "config", "not TOML at line 1"},
		{"dev = true\n\x00", "config", "not TOML"},
		{"listen = '\xff'", "config", "not TOML"},
		{strings.Repeat("#", maxFile+1), "config", "larger than 1 MiB"},
		{"dev = true\n" + strings.Repeat("#", maxFile-11), "", ""},
	} {
		_, err := world{files: map[string]string{"f.toml": tt.text}}.parse("serve", "--config=f.toml")
		var e *Error
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%.60q: %v", tt.text, err)
		case tt.reason != "" && (!errors.As(err, &e) || e.Setting != tt.setting || !strings.Contains(e.Reason, tt.reason) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%.60q: got %v", tt.text, err)
		}
	}
	_, err := world{}.parse("serve", "--config=missing.toml")
	if err == nil || err.Error() != "config (--config): missing.toml cannot be read: file does not exist" {
		t.Errorf("got %v", err)
	}
}

func FuzzFile(f *testing.F) {
	for _, s := range []string{"dev = true", "module = ['a']", "[x]\ny=1", "secret = 'a'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := world{files: map[string]string{"f": text}}.parse("serve", "--config=f")
		var e *Error
		if err != nil && (!errors.As(err, &e) || strings.Contains(err.Error(), "\n")) {
			t.Fatalf("got %v", err)
		}
	})
}
