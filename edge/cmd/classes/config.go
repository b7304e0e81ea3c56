package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// The marks in wrangler.toml. What stands between the first two is written anew, so that it fits
// the list; what stands between the others is only ever appended to.
const (
	classesBegin    = "# >>> classes"
	classesEnd      = "# <<< classes"
	migrationsBegin = "# >>> migrations"
	migrationsEnd   = "# <<< migrations"
)

// presenceClass is the one class that is no module's; it is written by hand.
const presenceClass = "Presence"

// A migration is a step in the history of the classes. Cloudflare remembers the last tag that a
// deployment had and carries out what follows it.
type migration struct {
	Tag     string   `toml:"tag"`
	SQLite  []string `toml:"new_sqlite_classes"`
	New     []string `toml:"new_classes"`
	Deleted []string `toml:"deleted_classes"`
	Renamed []struct {
		From string `toml:"from"`
		To   string `toml:"to"`
	} `toml:"renamed_classes"`
	Transferred []struct {
		To string `toml:"to"`
	} `toml:"transferred_classes"`
}

// configure brings wrangler.toml up to date with the built modules.
func configure(text string, l *list) (string, error) {
	var config struct {
		Migrations []migration    `toml:"migrations"`
		Env        map[string]any `toml:"env"`
	}
	if err := toml.Unmarshal([]byte(text), &config); err != nil {
		return "", err
	}
	before, old, after, err := cut(text, classesBegin, classesEnd)
	if err != nil {
		return "", err
	}
	if err := settled(old, l); err != nil {
		return "", err
	}
	text = before + bindings(l, slices.Sorted(maps.Keys(config.Env))) + after
	before, old, after, err = cut(text, migrationsBegin, migrationsEnd)
	if err != nil {
		return "", err
	}
	if strings.Contains(after, "\n[[migrations]]") {
		return "", fmt.Errorf("a migration stands behind the line %q: the order counts, move it above", migrationsEnd)
	}
	next, err := nextMigration(config.Migrations, l)
	if err != nil {
		return "", err
	}
	return before + old + next + after, nil
}

// cut returns what stands before, between and behind two marked lines; the lines stay outside.
func cut(text, begin, end string) (before, between, after string, err error) {
	b := strings.Index("\n"+text, "\n"+begin)
	e := strings.Index("\n"+text, "\n"+end)
	if b < 0 || e < b || strings.Count(text, begin) > 1 || strings.Count(text, end) > 1 {
		return "", "", "", fmt.Errorf("want one line that begins with %q, and one behind it with %q", begin, end)
	}
	b += strings.IndexByte(text[b:], '\n') + 1
	return text[:b], text[b:e], text[e:], nil
}

// bindings are the lines between the marks: a binding for each module, in each environment,
// because environments do not inherit bindings.
func bindings(l *list, environments []string) string {
	var b strings.Builder
	for i, m := range l.Modules {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "# kinds of %s: %s\n", m.Name, strings.Join(kindNames(m), " "))
		binding(&b, "durable_objects.bindings", m)
		for _, e := range environments {
			b.WriteByte('\n')
			binding(&b, "env."+key(e)+".durable_objects.bindings", m)
		}
	}
	return b.String()
}

func binding(b *strings.Builder, table string, m module) {
	fmt.Fprintf(b, "[[%s]]\nname = %q\nclass_name = %q\n", table, m.binding(), m.class())
}

// key writes one part of a dotted key.
func key(s string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}

func kindNames(m module) []string {
	names := make([]string, len(m.Kinds))
	for i, k := range m.Kinds {
		names[i] = k.Name
	}
	return names
}

var kindsLine = regexp.MustCompile(`(?m)^# kinds of ([a-z0-9-]+): (.*)$`)

// settled makes sure that no kind goes from one module to another unnoticed: its rooms would begin
// anew in the other's class, without their data.
func settled(old string, l *list) error {
	home := make(map[string]string)
	for _, line := range kindsLine.FindAllStringSubmatch(old, -1) {
		for name := range strings.FieldsSeq(line[2]) {
			home[name] = line[1]
		}
	}
	for _, m := range l.Modules {
		for _, k := range m.Kinds {
			if was, ok := home[k.Name]; ok && was != m.Name {
				return fmt.Errorf("the kind %q moves from the module %q to %q, but its rooms' data stays in the class %s: "+
					"to begin with empty rooms, take %q out of the line \"# kinds of %s\"", k.Name, was, m.Name, className(was), k.Name, was)
			}
		}
	}
	return nil
}

// nextMigration is the text of the migration that the history lacks; empty if it lacks none.
func nextMigration(history []migration, l *list) (string, error) {
	alive := make(map[string]bool)
	number := 0
	for _, m := range history {
		if n, err := strconv.Atoi(strings.TrimPrefix(m.Tag, "v")); err == nil {
			number = max(number, n)
		}
		for _, c := range slices.Concat(m.SQLite, m.New) {
			alive[c] = true
		}
		for _, r := range m.Renamed {
			delete(alive, r.From)
			alive[r.To] = true
		}
		for _, t := range m.Transferred {
			alive[t.To] = true
		}
		for _, c := range m.Deleted {
			delete(alive, c)
		}
	}
	var fresh, gone []string
	listed := map[string]bool{presenceClass: true}
	for _, m := range l.Modules {
		listed[m.class()] = true
		if !alive[m.class()] {
			fresh = append(fresh, strconv.Quote(m.class()))
		}
	}
	wished := make(map[string]bool)
	for _, name := range l.Deleted {
		wished[className(name)] = true
	}
	for _, c := range slices.Sorted(maps.Keys(alive)) {
		switch {
		case listed[c]:
		case wished[c]:
			gone = append(gone, strconv.Quote(c))
		default:
			return "", fmt.Errorf("the class %s is in the migrations, but the list has no module of this name: "+
				"list it again, or name it under deleted, and all its rooms are deleted with the next deployment", c)
		}
	}
	if len(fresh)+len(gone) == 0 {
		return "", nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n[[migrations]]\ntag = \"v%d\"\n", number+1)
	if len(fresh) > 0 {
		fmt.Fprintf(&b, "new_sqlite_classes = [%s]\n", strings.Join(fresh, ", "))
	}
	if len(gone) > 0 {
		fmt.Fprintf(&b, "deleted_classes = [%s]\n", strings.Join(gone, ", "))
	}
	return b.String(), nil
}
