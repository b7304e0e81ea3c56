package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// config is a wrangler.toml with hand-written lines around everything that is generated.
const config = `# ours
name = "x"
# >>> classes: some words
# kinds of shipped: chat
[[durable_objects.bindings]]
name = "SHIPPED"
class_name = "Shipped"
# <<< classes

[[durable_objects.bindings]]
name = "PRESENCE"
class_name = "Presence"

# >>> migrations
[[migrations]]
tag = "v1" # the first
new_sqlite_classes = ["Shipped"]

[[migrations]]
tag = "v2"
new_sqlite_classes = ["Presence"]
# <<< migrations
[vars]
A = "b"
`

// listOf makes a list of modules from texts such as "shipped: chat arena".
func listOf(t *testing.T, deleted string, modules ...string) *list {
	t.Helper()
	text := fmt.Sprintf("deleted = [%s]\n[modules]\n", deleted)
	kinds := make(map[string][]kind)
	for _, m := range modules {
		name, names, _ := strings.Cut(m, ": ")
		text += name + " = \"./" + name + "\"\n"
		for k := range strings.FieldsSeq(names) {
			kinds[name] = append(kinds[name], kind{Name: k, Options: []byte(`{"name":"` + k + `"}`)})
		}
	}
	l, err := parseList([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range l.Modules {
		l.Modules[i].Kinds = kinds[m.Name]
	}
	return l
}

func configured(t *testing.T, text string, l *list) string {
	t.Helper()
	out, err := configure(text, l)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := configure(out, l); err != nil || again != out {
		t.Errorf("a second time it changes: %v\n%s", err, again)
	}
	return out
}

func TestNothingNewChangesNothing(t *testing.T) {
	if out := configured(t, config, listOf(t, "", "shipped: chat")); out != config {
		t.Errorf("got\n%s", out)
	}
}

func TestAModuleMoreIsOneMigrationMore(t *testing.T) {
	out := configured(t, config, listOf(t, "", "shipped: chat", "my-game: arena duel"))
	want := strings.Replace(config, "# kinds of shipped", `# kinds of my-game: arena duel
[[durable_objects.bindings]]
name = "MY_GAME"
class_name = "MyGame"

# kinds of shipped`, 1)
	want = strings.Replace(want, "# <<< migrations", `
[[migrations]]
tag = "v3"
new_sqlite_classes = ["MyGame"]
# <<< migrations`, 1)
	if out != want {
		t.Errorf("got\n%s", out)
	}
	more := configured(t, out, listOf(t, "", "shipped: chat", "my-game: arena duel", "other: o"))
	if !strings.Contains(more, "tag = \"v4\"\nnew_sqlite_classes = [\"Other\"]\n") {
		t.Errorf("got\n%s", more)
	}
	_, history, _, err := cut(out, migrationsBegin, migrationsEnd)
	if err != nil || !strings.Contains(more, history) {
		t.Errorf("the history has changed: %v", err)
	}
}

func TestARemovedModuleIsDeletedOnlyOnWish(t *testing.T) {
	two := configured(t, config, listOf(t, "", "shipped: chat", "my-game: arena"))
	_, err := configure(two, listOf(t, "", "shipped: chat"))
	if err == nil || !strings.Contains(err.Error(), "MyGame") {
		t.Errorf("got %v", err)
	}
	gone := listOf(t, `"my-game"`, "shipped: chat")
	out := configured(t, two, gone)
	if !strings.Contains(out, "tag = \"v4\"\ndeleted_classes = [\"MyGame\"]\n# <<<") || strings.Contains(out, "MY_GAME") {
		t.Errorf("got\n%s", out)
	}
	back := configured(t, out, listOf(t, "", "shipped: chat", "my-game: arena"))
	if !strings.Contains(back, "tag = \"v5\"\nnew_sqlite_classes = [\"MyGame\"]\n") {
		t.Errorf("got\n%s", back)
	}
}

func TestRenamedByHand(t *testing.T) {
	renamed := strings.Replace(config, "# <<< migrations", `
[[migrations]]
tag = "v7"
renamed_classes = [{ from = "Shipped", to = "Rooms" }]
# <<< migrations`, 1)
	renamed = strings.Replace(renamed, "# kinds of shipped", "# kinds of rooms", 1)
	out := configured(t, renamed, listOf(t, "", "rooms: chat"))
	if strings.Contains(out, "v8") || !strings.Contains(out, `class_name = "Rooms"`) {
		t.Errorf("got\n%s", out)
	}
	if out := configured(t, out, listOf(t, "", "rooms: chat", "new: n")); !strings.Contains(out, `tag = "v8"`) {
		t.Errorf("got\n%s", out)
	}
}

func TestAKindDoesNotMoveUnnoticed(t *testing.T) {
	_, err := configure(config, listOf(t, "", "shipped: other", "mine: chat"))
	if err == nil || !strings.Contains(err.Error(), "the kind \"chat\" moves") {
		t.Errorf("got %v", err)
	}
	wished := strings.Replace(config, "# kinds of shipped: chat", "# kinds of shipped:", 1)
	configured(t, wished, listOf(t, "", "shipped: other", "mine: chat"))
	if _, err := allKinds(listOf(t, "", "shipped: chat", "mine: chat")); err == nil {
		t.Error("two modules with one kind")
	}
}

func TestEveryEnvironmentGetsTheBindings(t *testing.T) {
	text := config + "[env.staging.vars]\nA = \"c\"\n[env.\"a b\"]\n"
	out := configured(t, text, listOf(t, "", "shipped: chat"))
	var got struct {
		Env map[string]struct {
			Objects struct {
				Bindings []struct {
					Name string `toml:"name"`
				} `toml:"bindings"`
			} `toml:"durable_objects"`
		} `toml:"env"`
	}
	if err := toml.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"staging", "a b"} {
		if b := got.Env[e].Objects.Bindings; len(b) != 1 || b[0].Name != "SHIPPED" {
			t.Errorf("%s: %+v", e, b)
		}
	}
}

func TestWhatDoesNotFitIsSaid(t *testing.T) {
	l := listOf(t, "", "shipped: chat")
	for name, text := range map[string]string{
		"no marks":            strings.ReplaceAll(config, "#", "##"),
		"marks twice":         config + "# >>> classes\n# <<< classes\n",
		"marks turned round":  strings.NewReplacer(">>> classes", "<<< classes", "<<< classes", ">>> classes").Replace(config),
		"not TOML":            config + "=",
		"a migration outside": config + "[[migrations]]\ntag = \"v3\"\n",
	} {
		if out, err := configure(text, l); err == nil {
			t.Errorf("%s: got\n%s", name, out)
		}
	}
}

func TestListsAreChecked(t *testing.T) {
	for _, text := range []string{
		"", "modules = 1", "[modules]", "[modules]\nA = \"x\"", "[modules]\n\"a b\" = \"x\"", "[modules]\na- = \"x\"",
		"[modules]\na = \"\"", "[modules]\na = \"x\\ty\"", "[modules]\npresence = \"x\"", "[modules]\nassets = \"x\"",
		"[modules]\na = \"x\"\na = \"y\"", "deleted = [\"a\"]\n[modules]\na = \"x\"", "deleted = [\"A\"]\n[modules]\na = \"x\"",
		"delete = []\n[modules]\na = \"x\"",
	} {
		if l, err := parseList([]byte(text)); err == nil {
			t.Errorf("%q: got %+v", text, l)
		}
	}
}

// TestWrite writes to files, and nothing when something does not fit.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"wrangler.toml": config, "modules.toml": "[modules]\nshipped = \"./a\"\ngame = \"./b\"\n",
		"shipped.kinds.json": `[{"name":"chat","members":7}]`, "game.kinds.json": `[{"name":"chat"}]`,
	} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	call := func() error { return run([]string{"write"}, file("modules.toml"), file("wrangler.toml"), dir) }
	read := func(name string) string {
		b, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if err := call(); err == nil || read("wrangler.toml") != config {
		t.Errorf("two modules with one kind: %v", err)
	}
	if err := os.WriteFile(file("game.kinds.json"), []byte(`[{"name":"arena"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
		if got := read("kinds.json"); got != `[{"name":"arena"},{"name":"chat","members":7}]`+"\n" {
			t.Errorf("kinds.json: %s", got)
		}
		for _, want := range []string{`import module0 from "./game.wasm"`, `"chat": "SHIPPED"`, "export class Game extends worker.rooms(module0) {}"} {
			if !strings.Contains(read("index.ts"), want) {
				t.Errorf("index.ts lacks %s:\n%s", want, read("index.ts"))
			}
		}
		if n := strings.Count(read("wrangler.toml"), "[[migrations]]"); n != 3 {
			t.Errorf("%d migrations", n)
		}
	}
}

// TestOurs: what is committed is what the build would write of the same kinds.
func TestOurs(t *testing.T) {
	for modules, config := range map[string]string{
		"../../modules.toml":          "../../../wrangler.toml",
		"../../test/two.modules.toml": "../../test/two.toml",
	} {
		list, err := os.ReadFile(modules)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		l, err := parseList(list)
		if err != nil {
			t.Fatal(err)
		}
		kinds := make(map[string][]kind)
		for _, line := range kindsLine.FindAllStringSubmatch(string(text), -1) {
			for name := range strings.FieldsSeq(line[2]) {
				kinds[line[1]] = append(kinds[line[1]], kind{Name: name})
			}
		}
		for i, m := range l.Modules {
			l.Modules[i].Kinds = kinds[m.Name]
		}
		if out := configured(t, string(text), l); out != string(text) {
			t.Errorf("%s is not up to date: run edge/build.sh app and test, and commit it", config)
		}
	}
}
