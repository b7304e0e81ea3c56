package page

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func get(t *testing.T, h http.Handler, method, path, ifNoneMatch string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	if ifNoneMatch != "" {
		r.Header.Set("If-None-Match", ifNoneMatch)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(b.String(), "\r\n\r\n")
	return text
}

var built = fstest.MapFS{
	"index.html":  {Data: []byte(`<link href="/style.css"><script src="/main.js"></script>`)},
	"main.js":     {Data: []byte("js")},
	"style.css":   {Data: []byte("css")},
	"favicon.svg": {Data: []byte("<svg/>")},
	".gitignore":  {Data: []byte("*")},
}

func TestAssetsAreNamedByContent(t *testing.T) {
	h := handler(built)
	page := body(t, get(t, h, "GET", "/", ""))
	names := regexp.MustCompile(`"(/[a-z]+-[0-9a-f]{16}\.[a-z]+)"`).FindAllStringSubmatch(page, -1)
	if len(names) != 2 {
		t.Fatalf("the page names %v: %s", names, page)
	}
	for i, mime := range []string{"text/css; charset=utf-8", "text/javascript; charset=utf-8"} {
		r := get(t, h, "GET", names[i][1], "")
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != mime {
			t.Errorf("%s: %d %s", names[i][1], r.StatusCode, r.Header.Get("Content-Type"))
		}
		if c := r.Header.Get("Cache-Control"); c != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", names[i][1], c)
		}
	}
	for _, path := range []string{"/main.js", "/.gitignore", "/index.html", "/x", "/-.js"} {
		if r := get(t, h, "GET", path, ""); r.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", path, r.StatusCode)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, path := range []string{"/", "/nothing"} {
		r := get(t, handler(built), "GET", path, "")
		csp := r.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: policy lacks %q: %s", path, want, csp)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: %s", path, csp)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: sniffing is allowed", path)
		}
	}
}

func TestConditional(t *testing.T) {
	h := handler(built)
	etag := get(t, h, "GET", "/", "").Header.Get("ETag")
	for match, want := range map[string]int{
		"": 200, etag: 304, "W/" + etag: 304, `"x", ` + etag: 304, "*": 304, `"x"`: 200,
	} {
		r := get(t, h, "GET", "/", match)
		if r.StatusCode != want {
			t.Errorf("If-None-Match %q: %d, want %d", match, r.StatusCode, want)
		}
		if r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("If-None-Match %q: the page itself would be cached", match)
		}
	}
}

func TestMethods(t *testing.T) {
	h := handler(built)
	if r := get(t, h, "HEAD", "/", ""); r.StatusCode != 200 {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
	r := get(t, h, "POST", "/", "")
	if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", r.StatusCode, r.Header.Get("Allow"))
	}
}

func TestNotBuilt(t *testing.T) {
	r := get(t, handler(fstest.MapFS{".gitignore": {}}), "GET", "/", "")
	if r.StatusCode != 503 || !strings.Contains(body(t, r), "make page") {
		t.Errorf("%d, want 503 and what to do", r.StatusCode)
	}
	if r := get(t, Handler(), "GET", "/", ""); r.StatusCode != 200 && r.StatusCode != 503 {
		t.Errorf("the embedded page: %d", r.StatusCode)
	}
}

// The page must work under its own policy: nothing inline, nothing from elsewhere.
func TestSourceKeepsThePolicy(t *testing.T) {
	index, err := fs.ReadFile(os.DirFS("."), "src/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"inline script":   `<script(\s+type="[^"]*")?>`,
		"inline style":    `\sstyle=|<style`,
		"inline listener": `\son[a-z]+=`,
		"other origin":    `(src|href)="(https?:)?//`,
	} {
		if m := regexp.MustCompile(bad).Find(index); m != nil {
			t.Errorf("%s: %q", name, m)
		}
	}
	entries, err := fs.ReadDir(os.DirFS("."), "src")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := fs.ReadFile(os.DirFS("."), "src/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`).Find(text); m != nil {
			t.Errorf("%s: %s", e.Name(), m)
		}
	}
}
