package admission

import (
	"errors"
	"strings"
	"testing"
)

func TestOrigins(t *testing.T) {
	list, err := ParseOrigins("https://app.example.com", "https://*.example.org", "http://localhost:3000", "https://other.example:8443", "http://[::1]:3000", "https://UPPER.example")
	if err != nil {
		t.Fatal(err)
	}
	everyone, _ := ParseOrigins("*")
	tests := []struct {
		list   Origins
		origin string
		host   string
		tls    bool
		want   sender
		ok     bool
	}{
		{list, "https://app.example.com", "h", true, senderNamed, true},
		{list, "HTTPS://APP.example.com:443", "h", true, senderNamed, true},
		{list, "http://app.example.com", "h", true, 0, false},
		{list, "https://app.example.com:444", "h", true, 0, false},
		{list, "https://app.example.com.evil.example", "h", true, 0, false},
		{list, "https://evilapp.example.com", "h", true, 0, false},
		{list, "https://app.example.com@evil.example", "h", true, 0, false},
		{list, "https://app.example.com/", "h", true, 0, false},
		{list, "https://app.example.com#", "h", true, 0, false},
		{list, "https://app.example.com\x00", "h", true, 0, false},
		{list, "https://app.example.com,https://app.example.com", "h", true, 0, false},
		{list, "https://app。example.com", "h", true, 0, false}, // ideographic full stop
		{list, "https://a.example.org", "h", true, senderNamed, true},
		{list, "https://a.b.example.org", "h", true, senderNamed, true},
		{list, "https://example.org", "h", true, 0, false},
		{list, "https://.example.org", "h", true, 0, false},
		{list, "https://evilexample.org", "h", true, 0, false},
		{list, "http://a.example.org", "h", true, 0, false},
		{list, "https://upper.example", "h", true, senderNamed, true},
		{list, "http://localhost:3000", "h", false, senderNamed, true},
		{list, "http://localhost", "h", false, 0, false},
		{list, "http://[::1]:3000", "h", false, senderNamed, true},
		{list, "https://other.example:8443", "h", false, senderNamed, true},
		{list, "null", "h", false, 0, false},
		{list, "", "h", false, 0, false},
		{list, "file://", "h", false, 0, false},
		{list, "chrome-extension://abc", "h", false, 0, false},
		{list, "https://" + strings.Repeat("a.", 200) + "com", "h", false, 0, false},
		// The server's own.
		{Origins{}, "https://rooms.example", "rooms.example", true, senderNamed, true},
		{Origins{}, "https://rooms.example", "ROOMS.example:443", true, senderNamed, true},
		{Origins{}, "https://rooms.example:8443", "rooms.example:8443", true, senderNamed, true},
		{Origins{}, "http://rooms.example", "rooms.example", true, 0, false},
		{Origins{}, "https://rooms.example", "rooms.example", false, senderNamed, true},
		{Origins{}, "http://rooms.example", "rooms.example", false, senderNamed, true},
		{Origins{}, "http://127.0.0.1:8080", "127.0.0.1:8080", false, senderNamed, true},
		{Origins{}, "http://localhost:8080", "127.0.0.1:8080", false, 0, false},
		{Origins{}, "http://rooms.example:81", "rooms.example", false, 0, false},
		{Origins{}, "https://rooms.example", "", true, 0, false},
		// Everyone.
		{everyone, "https://evil.example", "h", true, senderAny, true},
		{everyone, "https://h", "h", true, senderNamed, true},
		{everyone, "null", "h", true, 0, false},
	}
	for _, tt := range tests {
		r := Request{Host: tt.host, Client: Client{TLS: tt.tls}, Headers: Headers{Origin: []string{tt.origin}}}
		got, err := tt.list.check(&r)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%.60q for %q: got %v, %v", tt.origin, tt.host, got, err)
		}
	}
}

func TestAbsentOrigin(t *testing.T) {
	var o Origins
	for site, want := range map[string]sender{"": senderUnknown, "same-origin": senderNamed, "same-site": senderUnknown, "cross-site": senderUnknown, "none": senderUnknown} {
		r := Request{Headers: Headers{FetchSite: []string{site}}}
		if got, err := o.check(&r); err != nil || got != want {
			t.Errorf("%q: got %v, %v", site, got, err)
		}
	}
	r := Request{Headers: Headers{FetchSite: []string{"same-origin", "same-origin"}}}
	if got, err := o.check(&r); err != nil || got != senderUnknown {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParseOriginsRefuses(t *testing.T) {
	for _, s := range []string{"", "example.com", "ftp://example.com", "https://", "https://*", "https://*.com", "https://*.*.example.com", "https://a.*.example.com", "https://example.com/", "https://example.com/path", "https://user@example.com", "https://example.com:", "https://example.com:0", "https://example.com:080", "https://example.com:65536", "null", "https://exa mple.com", "https://zoé.example", "https://[::1", "https://[]", "**"} {
		if _, err := ParseOrigins(s); !errors.Is(err, ErrOrigin) {
			t.Errorf("%q: got %v", s, err)
		}
	}
	if _, err := ParseOrigins("https://*.localhost:3000", "https://example.com:65535", "http://10.0.0.1"); err != nil {
		t.Error(err)
	}
}

func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example.com", "https://a.example.com:443", "null", "http://[::1]:80"} {
		f.Add(s, "example.com")
	}
	list, err := ParseOrigins("https://*.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, origin, host string) {
		r := Request{Host: host, Headers: Headers{Origin: []string{origin}}}
		if _, err := list.check(&r); err != nil {
			return
		}
		plain := strings.ToLower(origin)
		own := strings.Contains(plain, strings.ToLower(strings.TrimSuffix(host, ":443")))
		if !own && !strings.HasSuffix(strings.TrimSuffix(plain, ":443"), ".example.com") {
			t.Fatalf("%q is allowed for %q", origin, host)
		}
	})
}
