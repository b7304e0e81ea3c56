package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// A commandLine is what kong made of the arguments: values are still texts.
type commandLine struct {
	command string
	help    string // of CommandHelp
	config  string
	module  string
	room    string
	token   tokenFlags
	flags   map[string]given
}

type fileFlag struct {
	Config string `placeholder:"FILE" help:"TOML file with any of these settings, under the names of the flags. ORIEL_CONFIG"`
}

type tokenFlags struct {
	User    string   `required:"" placeholder:"NAME" help:"Whom the token is for: its sub."`
	TTL     string   `name:"ttl" default:"1h" placeholder:"DURATION" help:"How long it is good for, such as 15m or 24h. Default 1h."`
	Rooms   []string `placeholder:"KIND/ROOM" help:"Rooms that it allows, such as chat/lobby or chat/team-*. Not set: all."`
	Actions []string `placeholder:"ACTION" help:"What it allows: connect, publish, presence. Not set: all."`
	Claims  string   `placeholder:"JSON" help:"Further claims, which rooms get with the connection, such as {\"name\":\"Ann\"}."`
}

type serveCommand struct{ fileFlag }

// Help is printed above the flags.
func (serveCommand) Help() string {
	return "Every setting can be given as a flag, as the environment variable that stands behind it, or in a TOML file: " +
		"a flag wins over a variable, a variable over the file, the file over the default.\n\n" +
		"Durations have a unit: 250ms, 25s, 1m30s. Lists are separated by commas, or in the file written as [\"a\", \"b\"]; flags may be repeated. " +
		"Paths are relative to the working directory."
}

type tokenCommand struct {
	fileFlag
	tokenFlags
}

type checkCommand struct {
	fileFlag
	Module string `arg:"" placeholder:"FILE" help:"Room module, a .wasm file."`
}

type clusterCommand struct {
	fileFlag
	Room string `arg:"" optional:"" placeholder:"KIND/ROOM" help:"Say where this room runs, and why."`
}

type grammar struct {
	Serve   serveCommand   `cmd:"" help:"Run a node."`
	Token   tokenCommand   `cmd:"" help:"Print a token that the configured secret has signed."`
	Check   checkCommand   `cmd:"" help:"Load a module and print its manifest, or in one line why it does not load."`
	Cluster clusterCommand `cmd:"" help:"Print the nodes of a cluster and their shares of the rooms, or where a room runs."`
	Version struct{}       `cmd:"" help:"Print the version."`
}

// parseArgs parses the arguments behind the program's name.
func parseArgs(args []string) (*commandLine, error) {
	var (
		g     grammar
		out   bytes.Buffer
		asked bool // for help
	)
	flags := map[string]*flagValue{}
	parser, err := kong.New(&g,
		kong.Name("oriel"),
		kong.Description("Real-time rooms, written once in Go, run on your own machines."),
		kong.Writers(&out, &out),
		kong.Exit(func(int) { asked = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.ValueFormatter(describe),
		kong.PostBuild(func(k *kong.Kong) error { addFlags(k, flags); return nil }),
	)
	if err != nil {
		return nil, &Error{Source: "oriel", Reason: err.Error(), Err: ErrUsage}
	}
	ctx, err := parser.Parse(args)
	if asked {
		return &commandLine{command: CommandHelp, help: out.String()}, nil
	}
	if err != nil {
		return nil, usageError(err, args)
	}
	line := &commandLine{command: strings.Fields(ctx.Command())[0], flags: map[string]given{}}
	for key, f := range flags {
		command, name, _ := strings.Cut(key, " ")
		if f.set && command == line.command {
			line.flags[name] = given{f.values, "--" + name}
		}
	}
	switch line.command {
	case CommandServe:
		line.config = g.Serve.Config
	case CommandToken:
		line.config, line.token = g.Token.Config, g.Token.tokenFlags
	case CommandCluster:
		line.config, line.room = g.Cluster.Config, g.Cluster.Room
	case CommandCheck:
		line.config, line.module = g.Check.Config, g.Check.Module
	}
	return line, nil
}

// usageError keeps the errors of a setting's flag and names the way to the help. kong
// quotes arguments that it did not expect; long ones are cut out, as they may be a secret
// that slipped from its flag.
func usageError(err error, args []string) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	hint := "oriel --help"
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		if n := p.Context.Selected(); n != nil {
			hint = n.FullPath() + " --help"
		}
	}
	text := err.Error()
	for _, a := range args {
		if len(a) >= 16 && !strings.HasPrefix(a, "--") {
			text = strings.ReplaceAll(text, a, "[…]")
		}
	}
	return &Error{Source: "command line", Reason: text + " (see `" + hint + "`)", Err: ErrUsage}
}

// flagValue collects the values of one flag.
type flagValue struct {
	values []string
	set    bool
}

// flagMapper reads the values of a setting's flag. They are checked later, like those of
// the other sources.
type flagMapper struct{ s *setting }

var (
	_ kong.Mapper     = flagMapper{}
	_ kong.BoolMapper = flagMapper{}
)

// IsBool makes the flag of a switch stand without a value.
func (m flagMapper) IsBool() bool { return m.s.toggle() }

// Decode takes one occurrence of the flag. Of a setting that is no list the last one counts.
func (m flagMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	f, ok := target.Addr().Interface().(*flagValue)
	if !ok {
		return fmt.Errorf("not a flag's value: %s", target.Type())
	}
	value := "true"
	if !m.IsBool() || ctx.Scan.Peek().Type == kong.FlagValueToken {
		token, err := ctx.Scan.PopValue("value")
		if err != nil {
			// kong's error would quote the next argument, which may be a secret.
			return &Error{Setting: m.s.name, Source: "--" + m.s.name, Reason: "needs a value; one that starts with - is given as --" + m.s.name + "=-…", Err: ErrUsage}
		}
		value = token.String()
	}
	if !m.s.list {
		f.values = nil
	}
	f.values, f.set = append(f.values, m.s.split(value)...), true
	return nil
}

// addFlags gives the commands a flag for each setting that they take.
func addFlags(k *kong.Kong, flags map[string]*flagValue) {
	groups := map[string]*kong.Group{}
	for _, node := range k.Model.Children {
		for i := range settings {
			s := &settings[i]
			if node.Name == CommandVersion || !s.takenBy(node.Name) {
				continue
			}
			if groups[s.group] == nil {
				groups[s.group] = &kong.Group{Key: s.group, Title: s.group + ":"}
			}
			target := new(flagValue)
			flags[node.Name+" "+s.name] = target
			flag := &kong.Flag{
				Value: &kong.Value{
					Name: s.name, Help: s.help, OrigHelp: s.help, Tag: &kong.Tag{},
					Mapper: flagMapper{s}, Target: reflect.ValueOf(target).Elem(),
				},
				PlaceHolder: s.placeholder,
			}
			if node.Name == CommandServe {
				flag.Group = groups[s.group]
			}
			flag.Flag = flag
			node.Flags = append(node.Flags, flag)
		}
	}
}

// describe is a flag's help: what it does, its default, its variable.
func describe(v *kong.Value) string {
	s := find(v.Name)
	if v.Flag == nil || s == nil {
		return v.Help
	}
	text := s.help
	if s.standard != "" {
		text += " Default " + s.standard + "."
	}
	return text + " " + s.env()
}
