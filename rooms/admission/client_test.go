package admission

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestClientOf(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	tests := []struct {
		name   string
		remote string
		tls    bool
		fwd    []string
		proto  []string
		want   string
		secure bool
	}{
		{"direct", "192.0.2.1", true, nil, nil, "192.0.2.1", true},
		{"untrusted says what it likes", "192.0.2.1", false, []string{"198.51.100.1"}, []string{"https"}, "192.0.2.1", false},
		{"one proxy", "10.0.0.1", false, []string{"198.51.100.1"}, []string{"https"}, "198.51.100.1", true},
		{"TLS to the proxy only", "10.0.0.1", true, []string{"198.51.100.1"}, []string{"http"}, "198.51.100.1", false},
		{"client forges the left", "10.0.0.1", false, []string{"127.0.0.1, 198.51.100.1"}, nil, "198.51.100.1", false},
		{"two proxies, two lines", "10.0.0.1", false, []string{"8.8.8.8,198.51.100.1", "10.0.0.2"}, []string{"http, https"}, "198.51.100.1", true},
		{"all trusted", "10.0.0.1", false, []string{"10.0.0.3, 10.0.0.2"}, nil, "10.0.0.3", false},
		{"port", "10.0.0.1", false, []string{"198.51.100.1:4711"}, nil, "198.51.100.1", false},
		{"IPv6 with port", "10.0.0.1", false, []string{"[2001:db9::1]:4711"}, nil, "2001:db9::1", false},
		{"IPv6 in brackets", "10.0.0.1", false, []string{"[2001:db9::1]"}, nil, "2001:db9::1", false},
		{"mapped", "::ffff:10.0.0.1", false, []string{"::ffff:198.51.100.1"}, nil, "198.51.100.1", false},
		{"zone", "fe80::1%eth0", false, nil, nil, "fe80::1", false},
		{"garbage stops", "10.0.0.1", false, []string{"198.51.100.1, unknown"}, nil, "10.0.0.1", false},
		{"garbage left of the client", "10.0.0.1", false, []string{"unknown, 198.51.100.1"}, nil, "198.51.100.1", false},
		{"empty", "10.0.0.1", false, []string{""}, nil, "10.0.0.1", false},
		{"too many hops", "10.0.0.1", false, []string{"198.51.100.1" + strings.Repeat(",10.0.0.2", maxForwarded)}, nil, "10.0.0.2", false},
		{"as many hops as are read", "10.0.0.1", false, []string{"198.51.100.1" + strings.Repeat(",10.0.0.2", maxForwarded-1)}, nil, "198.51.100.1", false},
	}
	for _, tt := range tests {
		h := Headers{ForwardedFor: slices.Clone(tt.fwd), ForwardedProto: tt.proto}
		got := ClientOf(netip.MustParseAddr(tt.remote), tt.tls, h, trusted)
		if got.Address.String() != tt.want || got.TLS != tt.secure {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

func TestClientKey(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		if got := (Client{Address: netip.MustParseAddr(addr)}).Key(); got.String() != want {
			t.Errorf("%s: got %s", addr, got)
		}
	}
	if got := (Client{}).Key(); got.IsValid() {
		t.Errorf("got %s", got)
	}
}

func FuzzClientOf(f *testing.F) {
	f.Add("198.51.100.1, 10.0.0.2", "https")
	f.Add("[::1]:80,,x", "")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, forwarded, proto string) {
		h := Headers{ForwardedFor: []string{forwarded}, ForwardedProto: []string{proto}}
		c := ClientOf(netip.MustParseAddr("10.0.0.1"), false, h, trusted)
		if !c.Address.IsValid() || c.Address.Is4In6() || c.Address.Zone() != "" {
			t.Fatalf("got %v", c.Address)
		}
		c.Key()
	})
}
