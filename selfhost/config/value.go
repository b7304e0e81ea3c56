package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/oriel-rooms/oriel/rooms/admission"
)

// What follows are the kinds of values. Each returns a function that checks the values of
// one setting; only lists get another number of values than one.

func text(field func(*Config) *string, shortest, longest int) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		s := values[0]
		if err := checkText(s, shortest, longest); err != nil {
			return err
		}
		*field(c) = s
		return nil
	}
}

func checkText(s string, shortest, longest int) error {
	switch {
	case len(s) < shortest:
		return errors.New("is empty")
	case len(s) > longest:
		return fmt.Errorf("is longer than %d bytes", longest)
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("has control characters")
	}
	return nil
}

func list(field func(*Config) *[]string, most, longest int) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		if len(values) > most {
			return fmt.Errorf("has %d values, at most %d are taken", len(values), most)
		}
		for _, s := range values {
			if err := checkText(s, 1, longest); err != nil {
				return err
			}
		}
		*field(c) = values
		return nil
	}
}

func toggle(field func(*Config) *bool) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		switch values[0] {
		case "true", "1", "yes", "on":
			*field(c) = true
		case "false", "0", "no", "off":
			*field(c) = false
		default:
			return fmt.Errorf("%q is neither true nor false", values[0])
		}
		return nil
	}
}

func number(field func(*Config) *int, least, most int) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		n, err := strconv.Atoi(values[0])
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is not a number from %d to %d", values[0], least, most)
		}
		*field(c) = n
		return nil
	}
}

func rate(c *Config, values []string) error {
	const least, most = 0.01, 1e6
	f, err := strconv.ParseFloat(values[0], 64)
	if err != nil || math.IsNaN(f) || f < least || f > most {
		return fmt.Errorf("%q is not a number from %v to %v", values[0], least, int(most))
	}
	c.ConnectsPerSecondPerAddress = f
	return nil
}

func duration(field func(*Config) *time.Duration, least, most string) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		d, err := parseDuration(values[0], least, most)
		if err != nil {
			return err
		}
		*field(c) = d
		return nil
	}
}

func parseDuration(s, least, most string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil {
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return 0, fmt.Errorf("%q has no unit: write ms, s, m or h behind it", s)
		}
		return 0, fmt.Errorf("%q is not a duration such as 250ms, 25s or 1m30s", s)
	}
	from, _ := time.ParseDuration(least)
	to, _ := time.ParseDuration(most)
	if d < from || d > to {
		return 0, fmt.Errorf("%q is not from %s to %s", s, least, most)
	}
	return d, nil
}

func memory(c *Config, values []string) error {
	const least, most = 4 << 20, 3 << 30
	s := values[0]
	for unit, size := range map[string]uint64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		digits, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 32)
		if err != nil || n*size < least || n*size > most {
			break
		}
		// WebAssembly memory has pages of 64 KiB.
		c.MemoryPerRoom = n * size &^ (64<<10 - 1)
		return nil
	}
	return fmt.Errorf("%q is not a size from 4MiB to 3GiB, such as 64MiB", s)
}

// address checks host:port. A port of 0 lets the system choose.
func address(field func(*Config) *string, required bool) func(*Config, []string) error {
	return func(c *Config, values []string) error {
		s := values[0]
		if s == "" && !required {
			*field(c) = ""
			return nil
		}
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			return fmt.Errorf("%q is not host:port, such as 127.0.0.1:8080 or :8080", s)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return fmt.Errorf("%q has no port from 0 to 65535", s)
		}
		if !validHost(host) {
			return fmt.Errorf("%q has neither an address nor a name for a host", s)
		}
		*field(c) = s
		return nil
	}
}

func validHost(host string) bool {
	if host == "" {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return len(host) <= 253 && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == ""
}

// loopback reports whether a checked address can be reached from this machine only.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// secrets makes secrets of texts. Its errors hold none of them.
func secrets(c *Config, values []string) error {
	if len(values) > admission.MaxSecrets {
		return fmt.Errorf("has %d secrets, at most %d are taken", len(values), admission.MaxSecrets)
	}
	var made []admission.Secret
	for i, text := range values {
		which := ""
		if len(values) > 1 {
			which = fmt.Sprintf("secret %d of %d ", i+1, len(values))
		}
		if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return errors.New(which + "has characters that are not printable ASCII: use `openssl rand -base64 48`")
		}
		s, err := admission.NewSecret("", []byte(text))
		switch {
		case err != nil && len(text) < admission.MinSecret:
			return fmt.Errorf("%sis too short: it has %d characters and needs at least %d", which, len(text), admission.MinSecret)
		case err != nil:
			return fmt.Errorf("%sis too long: at most %d characters are taken", which, admission.MaxSecret)
		}
		made = append(made, s)
	}
	c.Secrets = made
	return nil
}

func cookie(c *Config, values []string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~" // RFC 6265, section 4.1.1
	name := values[0]
	if len(name) > 128 || strings.Trim(name, allowed) != "" {
		return fmt.Errorf("%q cannot name a cookie", name)
	}
	c.Cookie = name
	return nil
}

func origins(c *Config, values []string) error {
	const most = 256
	if len(values) > most {
		return fmt.Errorf("has %d values, at most %d are taken", len(values), most)
	}
	for _, v := range values {
		if _, err := admission.ParseOrigins(v); err != nil {
			return fmt.Errorf("%q is not like https://example.com, http://localhost:3000 or https://*.example.com", v)
		}
	}
	var err error
	c.Origins, err = admission.ParseOrigins(values...)
	return err
}

func prefixes(c *Config, values []string) error {
	const most = 256
	if len(values) > most {
		return fmt.Errorf("has %d values, at most %d are taken", len(values), most)
	}
	var all []netip.Prefix
	for _, v := range values {
		p, err := netip.ParsePrefix(v)
		if err != nil {
			a, e := netip.ParseAddr(v)
			if e != nil || a.Zone() != "" {
				return fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", v)
			}
			p = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		}
		if p != p.Masked() {
			return fmt.Errorf("%q is not a network: did you mean %s?", v, p.Masked())
		}
		if p.Addr().Is4In6() {
			return fmt.Errorf("%q is an IPv4 network in IPv6 form: write it as IPv4", v)
		}
		if p.Bits() == 0 {
			return fmt.Errorf("%q would believe everyone", v)
		}
		all = append(all, p)
	}
	c.TrustedProxies = all
	return nil
}

func logLevel(c *Config, values []string) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[values[0]]
	if !ok {
		return fmt.Errorf("%q is none of debug, info, warn, error", values[0])
	}
	c.LogLevel = l
	return nil
}

func logFormat(c *Config, values []string) error {
	switch f := LogFormat(values[0]); f {
	case LogText, LogJSON:
		c.LogFormat = f
		return nil
	}
	return fmt.Errorf("%q is neither text nor json", values[0])
}

// clusterSecret takes the secret of the links between nodes. Its errors do not hold it.
func clusterSecret(c *Config, values []string) error {
	s := values[0]
	if s == "" {
		c.ClusterSecret = nil
		return nil
	}
	if len(s) < 32 || len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("is not 32 to 1024 printable characters without spaces: use `openssl rand -base64 48`")
	}
	c.ClusterSecret = []byte(s)
	return nil
}

// prefix takes what begins keys: braces would move the keys of one room to several slots.
func prefix(c *Config, values []string) error {
	s := values[0]
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		return fmt.Errorf("%q is not 1 to 64 letters, digits, dots, dashes and underscores", s)
	}
	c.RedisPrefix = s
	return nil
}
