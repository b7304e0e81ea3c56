package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/oriel-rooms/oriel/"

// allowed says which of our packages each part may import, beside those below itself. A part is a
// package with all packages below it that have no row of their own; a name that ends in /... stands
// for all packages below. Tests are free, but for the last rules.
var allowed = map[string][]string{
	"rooms/abi":                {},
	"rooms/abi/internal/gen":   {"rooms/abi", "rooms/internal/abijson"},
	"rooms/internal":           {},
	"rooms/internal/abijson":   {"rooms/abi"},
	"rooms/host":               {"rooms/abi"},
	"rooms":                    {"rooms/abi", "rooms/internal/..."},
	"rooms/session/protocol":   {"rooms/abi"},
	"rooms/session":            {"rooms", "rooms/abi", "rooms/internal/...", "rooms/session/protocol/..."},
	"rooms/admission":          {"rooms/abi", "rooms/session/protocol/jsonx"},
	"rooms/roomtest":           {"rooms", "rooms/abi", "rooms/host"},
	"rooms/conformance":        {"rooms/abi", "rooms/host", "rooms/internal/abijson"},
	"rooms/conformance/kinds":  {"rooms", "rooms/abi"},
	"rooms/conformance/module": {"rooms", "rooms/conformance/kinds"},
	"rooms/client":             {"rooms/abi", "rooms/session/protocol/..."},
	"rooms/shipped":            {"rooms", "rooms/chat"},
	"runtime":                  {"rooms/abi", "rooms/host"},
	"selfhost":                 {"rooms/abi", "rooms/host", "rooms/admission", "runtime"},
	"selfhost/cmd":             {"rooms/...", "runtime", "selfhost/..."},
	"edge":                     {"rooms/abi", "rooms/admission", "rooms/session/protocol/jsonx"},
	// A kind that ships: any other package below rooms.
	"kind": {"rooms", "rooms/abi", "rooms/session/..."},
}

// A file is one Go file with what it imports.
type file struct {
	path    string // below the root, with slashes
	pkg     string // its directory
	test    bool
	imports []string
}

func TestLayers(t *testing.T) {
	files := readFiles(t)
	if len(files) < 100 {
		t.Fatalf("found only %d files", len(files))
	}
	for _, f := range files {
		for _, path := range f.imports {
			if fault := check(f, path); fault != "" {
				t.Errorf("%s imports %s: %s", f.path, path, fault)
			}
		}
	}
}

// check returns what is wrong with an import, or "".
func check(f file, path string) string {
	switch {
	case strings.HasPrefix(path, "github.com/tetratelabs/wazero") && !within(f.pkg, "runtime"):
		return "only runtime stands on wazero"
	case strings.HasPrefix(path, "github.com/coder/websocket") && !f.test && f.pkg != "selfhost/gateway" && f.pkg != "rooms/client":
		return "only the gateway and the client speak WebSocket"
	case strings.HasPrefix(path, "github.com/redis/go-redis") && !strings.Contains(f.path, "redis"):
		return "only files about Redis import its client"
	}
	target, ours := strings.CutPrefix(path+"/", module)
	if !ours {
		return ""
	}
	target = strings.TrimSuffix(target, "/")
	switch {
	case within(target, "selfhost") && !within(f.pkg, "selfhost"):
		return "nothing imports selfhost"
	case within(target, "edge") && !within(f.pkg, "edge"):
		return "nothing imports edge"
	case f.test:
		return ""
	}
	name, rules := part(f.pkg)
	if within(target, name) && rulesOf(target) == name {
		return ""
	}
	for _, r := range rules {
		if below, all := strings.CutSuffix(r, "/..."); target == r || all && within(target, below) {
			return ""
		}
	}
	return name + " may import only " + strings.Join(rules, ", ")
}

func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// part returns the part that a package belongs to, and what it may import.
func part(pkg string) (string, []string) {
	name := rulesOf(pkg)
	if rules, ok := allowed[name]; ok {
		return name, rules
	}
	return name, allowed["kind"]
}

// rulesOf is the longest part that holds a package. A package right below rooms without a row is a kind.
func rulesOf(pkg string) string {
	for dir := pkg; dir != "."; dir = filepath.ToSlash(filepath.Dir(dir)) {
		if _, ok := allowed[dir]; ok && (dir != "rooms" || pkg == "rooms") {
			return dir
		}
	}
	parts := strings.SplitN(pkg, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func readFiles(t *testing.T) []file {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	var files []file
	set := token.NewFileSet()
	for _, top := range []string{"rooms", "runtime", "selfhost", "edge"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			switch name := d.Name(); {
			case err != nil:
				return err
			case d.IsDir() && (name == "testdata" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")):
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(name, ".go"):
				return nil
			}
			parsed, err := parser.ParseFile(set, path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			f := file{path: filepath.ToSlash(rel), test: strings.HasSuffix(path, "_test.go")}
			f.pkg = f.path[:strings.LastIndexByte(f.path, '/')]
			for _, im := range parsed.Imports {
				name, err := strconv.Unquote(im.Path.Value)
				if err != nil {
					return err
				}
				f.imports = append(f.imports, name)
			}
			files = append(files, f)
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return files
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
}

// TestRules tries the rules on imports that must pass and that must not.
func TestRules(t *testing.T) {
	for _, tt := range []struct {
		path, imports string
		ok            bool
	}{
		{"rooms/abi/wire.go", "math/bits", true},
		{"rooms/abi/wire.go", module + "rooms", false},
		{"rooms/abi/wire.go", module + "rooms/host", false},
		{"rooms/abi/wire.go", module + "rooms/internal/abijson", false},
		{"rooms/abi/golden_test.go", module + "rooms/internal/abijson", true},
		{"rooms/room.go", module + "rooms/abi", true},
		{"rooms/room.go", module + "rooms/internal/reserved", true},
		{"rooms/room.go", module + "rooms/session", false},
		{"rooms/room.go", module + "rooms/host", false},
		{"rooms/host/room.go", module + "rooms", false},
		{"rooms/session/form.go", module + "rooms/session/protocol/jsonx", true},
		{"rooms/session/protocol/form.go", module + "rooms/session/protocol/jsonx", true},
		{"rooms/session/protocol/form.go", module + "rooms", false},
		{"rooms/chat/chat.go", module + "rooms/session/protocol", true},
		{"rooms/chat/chat.go", module + "rooms/chat/words", true},
		{"rooms/chat/chat.go", module + "rooms/arena", false},
		{"rooms/chat/chat.go", module + "rooms/host", false},
		{"rooms/client/client.go", module + "rooms/session/protocol", true},
		{"rooms/client/client.go", "github.com/coder/websocket", true},
		{"rooms/client/client.go", module + "rooms", false},
		{"rooms/client/e2e_test.go", module + "selfhost/server", false},
		{"runtime/room.go", "github.com/tetratelabs/wazero", true},
		{"runtime/room.go", module + "rooms", false},
		{"runtime/room_test.go", module + "rooms/conformance", true},
		{"runtime/room.go", module + "selfhost/store", false},
		{"selfhost/server/server.go", module + "runtime", true},
		{"selfhost/server/server.go", module + "selfhost/store", true},
		{"selfhost/server/server.go", module + "rooms", false},
		{"selfhost/server/server.go", "github.com/tetratelabs/wazero", false},
		{"selfhost/server/server.go", "github.com/coder/websocket", false},
		{"selfhost/gateway/read.go", "github.com/coder/websocket", true},
		{"selfhost/store/redis/store.go", "github.com/redis/go-redis/v9", true},
		{"selfhost/store/store_redis.go", "github.com/redis/go-redis/v9", true},
		{"selfhost/store/store.go", "github.com/redis/go-redis/v9", false},
		{"edge/front/main.go", module + "rooms/admission", true},
		{"edge/front/main.go", module + "selfhost/gateway", false},
		{"selfhost/server/server.go", module + "edge/front", false},
	} {
		f := file{path: tt.path, test: strings.HasSuffix(tt.path, "_test.go"), pkg: tt.path[:strings.LastIndexByte(tt.path, '/')]}
		fault := check(f, tt.imports)
		if (fault == "") != tt.ok {
			t.Errorf("%s imports %s: %q", tt.path, tt.imports, fault)
		}
	}
}
