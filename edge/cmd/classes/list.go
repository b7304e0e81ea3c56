package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// A module is one room module and, once it is built, what its manifest says.
type module struct {
	Name, Source string
	Kinds        []kind
}

// A kind is a kind's options, as the front reads them.
type kind struct {
	Name    string `json:"name"`
	Options []byte `json:"-"` // JSON
}

// class is the name of the module's Durable Object class: my-game becomes MyGame.
func (m *module) class() string { return className(m.Name) }

// binding is the name under which the worker finds the class: my-game becomes MY_GAME.
func (m *module) binding() string { return strings.ToUpper(strings.ReplaceAll(m.Name, "-", "_")) }

func className(name string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// A list is what modules.toml says, in the order of names.
type list struct {
	Modules []module
	Deleted []string
}

// The rule of a module's name, and the names whose class or binding is taken.
var (
	nameRule = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}(-[a-z0-9]{1,31}){0,3}$`)
	reserved = []string{"presence", "connects", "asks", "assets"}
)

func parseList(text []byte) (*list, error) {
	var file struct {
		Deleted []string          `toml:"deleted"`
		Modules map[string]string `toml:"modules"`
	}
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("only [modules] and deleted are known:\n%s", strict.String())
		}
		return nil, err
	}
	l := &list{Deleted: file.Deleted}
	for name, source := range file.Modules {
		if !nameRule.MatchString(name) {
			return nil, fmt.Errorf("%q cannot name a module: want small letters, digits and single hyphens", name)
		}
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("%q cannot name a module: the worker uses the name itself", name)
		}
		if source == "" || strings.ContainsAny(source, "\t\n\r") {
			return nil, fmt.Errorf("module %q: %q is no source", name, source)
		}
		if slices.Contains(file.Deleted, name) {
			return nil, fmt.Errorf("module %q is in the list and deleted, too", name)
		}
		l.Modules = append(l.Modules, module{Name: name, Source: source})
	}
	for _, name := range file.Deleted {
		if !nameRule.MatchString(name) || slices.Contains(reserved, name) {
			return nil, fmt.Errorf("deleted: %q cannot name a module", name)
		}
	}
	if len(l.Modules) == 0 {
		return nil, errors.New("there are no modules")
	}
	slices.SortFunc(l.Modules, func(a, b module) int { return cmp.Compare(a.Name, b.Name) })
	return l, nil
}
