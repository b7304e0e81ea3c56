// Package page serves the chat page that GET / answers with.
//
// What it serves is built from src by esbuild (a Go tool: no Node is needed) into dist, which
// is embedded; `make page` does that. Without it the package compiles all the same, and the
// page is one line that says what to do.
//
// The package holds no state and never talks to rooms: the page does that itself, through
// the same doors as every other client. A [http.Handler] of it lives as long as the program.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// all: includes the .gitignore that keeps the folder in a clean clone.
//
//go:embed all:dist
var dist embed.FS

// policy is the page's Content-Security-Policy: scripts and styles of its own, connections to
// its own server, nothing else; and no string ever becomes HTML.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

const notBuilt = "The chat page was not built into this program. Run `make page`, then build again.\n"

// Handler serves the page at /, and its scripts, styles and pictures under names that change
// with their content. Other paths are not found; methods other than GET and HEAD are not allowed.
func Handler() http.Handler {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant that go:embed has checked
	}
	return handler(sub)
}

// A file is one thing that is served, whole.
type file struct {
	body  []byte
	mime  string
	etag  string
	cache string
}

// handler serves what esbuild left in a folder; a folder without index.html was not built.
func handler(built fs.FS) http.Handler {
	files := load(built)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		f, ok := files[r.URL.Path]
		switch {
		case ok:
			serve(w, r, f)
		case r.URL.Path == "/":
			h.Set("Cache-Control", "no-store")
			http.Error(w, strings.TrimSuffix(notBuilt, "\n"), http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	})
}

// load reads the folder and gives every file but the page itself a name with its hash. The
// page is small; it is kept in memory.
func load(built fs.FS) map[string]file {
	index, err := fs.ReadFile(built, "index.html")
	if err != nil {
		return nil // not built
	}
	files := make(map[string]file)
	entries, err := fs.ReadDir(built, ".")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || name == "index.html" || strings.HasPrefix(name, ".") {
			continue
		}
		body, err := fs.ReadFile(built, name)
		if err != nil {
			return nil
		}
		sum, ext := hash(body), path.Ext(name)
		hashed := "/" + strings.TrimSuffix(name, ext) + "-" + sum + ext
		index = bytes.ReplaceAll(index, []byte(`"/`+name+`"`), []byte(`"`+hashed+`"`))
		files[hashed] = file{body, mimeOf(ext), `"` + sum + `"`, "public, max-age=31536000, immutable"}
	}
	files["/"] = file{index, mimeOf(".html"), `"` + hash(index) + `"`, "no-cache"}
	return files
}

func serve(w http.ResponseWriter, r *http.Request, f file) {
	h := w.Header()
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", f.cache)
	if matches(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.mime)
	_, _ = w.Write(f.body) // fails only if the client has gone; net/http leaves it out for HEAD
}

// matches compares weakly, as If-None-Match asks (RFC 9110, section 13.1.2).
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

// mimeOf does not ask the machine's tables, which differ.
func mimeOf(ext string) string {
	switch ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(ext)
}
