package config

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

// The commands of oriel.
const (
	// CommandServe runs a node, by [Command.Config].
	CommandServe = "serve"
	// CommandToken prints a token, signed with the first secret of [Command.Config], as
	// [Command.Token] says.
	CommandToken = "token"
	// CommandCheck loads [Command.Module] and prints its manifest, or why it does not load.
	CommandCheck = "check"
	// CommandCluster prints the nodes of a cluster, or where [Command.Room] is and why.
	CommandCluster = "cluster"
	// CommandVersion prints the version.
	CommandVersion = "version"
	// CommandHelp prints [Command.Help]: it was asked for.
	CommandHelp = "help"
)

// A Command is a command line that can be carried out.
type Command struct {
	// Name is one of the Command constants.
	Name string
	// Config is set for serve, token and check. For the latter two it holds what they use,
	// and defaults.
	Config *Config
	Token  Token
	// Module is the file that is to be checked.
	Module string
	// Room is the kind/room that the cluster command was asked for; empty: the nodes.
	Room string
	Help string
}

// Token is what the token command was asked for.
type Token struct {
	User string
	// TTL is how long the token is good for, 1 s to ten years.
	TTL time.Duration
	// Rooms, Actions and More are as in [admission.Claims].
	Rooms, Actions []string
	More           map[string]any
}

// Claims returns the claims of the token that was asked for, for [admission.Mint].
func (c *Command) Claims(now time.Time) admission.Claims {
	return admission.Claims{
		User: c.Token.User, IssuedAt: now, Expires: now.Add(c.Token.TTL),
		Audience: c.Config.Audience, Issuer: c.Config.Issuer,
		Rooms: c.Token.Rooms, Actions: c.Token.Actions, More: c.Token.More,
	}
}

const (
	configEnv = "ORIEL_CONFIG"
	// maxFile bounds the configuration, maxSecretFile the file of secrets, in bytes.
	maxFile       = 1 << 20
	maxSecretFile = 64 << 10
)

// Parse reads the arguments behind the program's name, the environment, and the file that
// one of them names. env and read are os.LookupEnv and os.ReadFile when nil. A variable
// that is set to nothing counts as not set. The error is an *[Error].
func Parse(args []string, env func(string) (string, bool), read func(string) ([]byte, error)) (*Command, error) {
	if env == nil {
		env = os.LookupEnv
	}
	if read == nil {
		read = os.ReadFile
	}
	line, err := parseArgs(args)
	if err != nil {
		return nil, err
	}
	cmd := &Command{Name: line.command, Help: line.help, Module: line.module, Room: line.room}
	if cmd.Name == CommandHelp || cmd.Name == CommandVersion {
		return cmd, nil
	}
	all, err := gather(line, env, read)
	if err != nil {
		return nil, err
	}
	if cmd.Config, err = build(cmd.Name, all, read); err != nil {
		return nil, err
	}
	switch cmd.Name {
	case CommandServe:
		err = checkServe(cmd.Config)
	case CommandToken:
		err = cmd.readToken(line)
	case CommandCluster:
		kind, room, _ := strings.Cut(cmd.Room, "/")
		switch {
		case len(cmd.Config.Redis) == 0:
			err = bad("redis", "not set", errors.New("required: set "+find("redis").env()+" or --redis"))
		case cmd.Room != "" && !(abi.ValidName(kind) && abi.ValidName(room)):
			err = &Error{Setting: "room", Source: "argument", Reason: "is not kind/room, such as chat/lobby", Err: ErrSetting}
		}
	case CommandCheck:
		if cmd.Module == "" {
			err = &Error{Setting: "module", Source: "argument", Reason: "is empty", Err: ErrSetting}
		}
	}
	if err != nil {
		return nil, err
	}
	return cmd, nil
}

// gather collects what the sources say, the strongest last.
func gather(line *commandLine, env func(string) (string, bool), read func(string) ([]byte, error)) (map[string]given, error) {
	lookup := func(name string) (string, bool) {
		v, ok := env(name)
		return v, ok && v != ""
	}
	all := map[string]given{}
	path, source := line.config, "--config"
	if path == "" {
		path, _ = lookup(configEnv)
		source = configEnv
	}
	if path != "" {
		data, err := read(path)
		if err != nil {
			return nil, &Error{Setting: "config", Source: source, Reason: path + " cannot be read: " + cause(err), Err: ErrSetting}
		}
		if all, err = parseFile(path, data); err != nil {
			return nil, err
		}
	}
	for i := range settings {
		s := &settings[i]
		if v, ok := lookup(s.env()); ok {
			all[s.name] = given{s.split(v), s.env()}
		}
	}
	for name, g := range line.flags {
		all[name] = g
	}
	return all, nil
}

// build makes a Config of what was given. Settings that the command does not take are
// left alone, so that a bad one of another command does not stop it.
func build(command string, all map[string]given, read func(string) ([]byte, error)) (*Config, error) {
	c := &Config{given: map[string]given{}}
	for i := range settings {
		s := &settings[i]
		g, ok := all[s.name]
		if !ok || !s.takenBy(command) {
			if s.standard == "" {
				continue
			}
			g = given{s.split(s.standard), "default"}
		} else {
			c.given[s.name] = g.public(s)
		}
		if !s.list && len(g.values) != 1 {
			return nil, bad(s.name, g.source, errors.New("takes one value"))
		}
		if err := s.set(c, g.values); err != nil {
			return nil, bad(s.name, g.source, err)
		}
	}
	if err := readSecrets(c, read); err != nil {
		return nil, err
	}
	if err := readClusterSecret(c, read); err != nil {
		return nil, err
	}
	if c.ClusterAddress == "" {
		c.ClusterAddress = c.ClusterListen
	}
	if c.CacheDir == "" {
		c.CacheDir = filepath.Join(c.Data, "cache")
	}
	if c.RoomBudget == 0 {
		c.RoomBudget = min(10*c.TurnBudget, time.Second)
	}
	return c, nil
}

// readSecrets reads the file of secrets, if there is one.
func readSecrets(c *Config, read func(string) ([]byte, error)) error {
	g, ok := c.given["secret-file"]
	if !ok || g.values[0] == "" {
		return nil
	}
	if len(c.Secrets) > 0 {
		return bad("secret-file", g.source, errors.New("secret ("+c.Source("secret")+") is set too: keep one of them"))
	}
	data, err := read(g.values[0])
	switch {
	case err != nil:
		// Without the path: whoever mixes the two settings up has put a secret there.
		return bad("secret-file", g.source, errors.New("cannot be read: "+cause(err)))
	case len(data) > maxSecretFile:
		return bad("secret-file", g.source, errors.New("the file is larger than 64 KiB"))
	case !utf8.Valid(data):
		return bad("secret-file", g.source, errors.New("the file is not text: use `openssl rand -base64 48`"))
	}
	var texts []string
	for text := range strings.Lines(string(data)) {
		if text = strings.TrimSpace(text); text != "" && text[0] != '#' {
			texts = append(texts, text)
		}
	}
	if len(texts) == 0 {
		return bad("secret-file", g.source, errors.New("there is no secret in the file"))
	}
	if err := secrets(c, texts); err != nil {
		return bad("secret-file", g.source, err)
	}
	return nil
}

// readClusterSecret reads the file of the cluster's secret, if there is one.
func readClusterSecret(c *Config, read func(string) ([]byte, error)) error {
	g, ok := c.given["cluster-secret-file"]
	if !ok || g.values[0] == "" {
		return nil
	}
	if len(c.ClusterSecret) > 0 {
		return bad("cluster-secret-file", g.source, errors.New("cluster-secret ("+c.Source("cluster-secret")+") is set too: keep one of them"))
	}
	data, err := read(g.values[0])
	if err != nil {
		return bad("cluster-secret-file", g.source, errors.New("cannot be read: "+cause(err)))
	}
	if err := clusterSecret(c, []string{strings.TrimSpace(string(data))}); err != nil {
		return bad("cluster-secret-file", g.source, err)
	}
	return nil
}

// checkCluster checks what the settings of a cluster say together.
func checkCluster(c *Config) error {
	certs := c.ClusterCert != "" || c.ClusterKey != "" || c.ClusterCA != ""
	host, _, _ := net.SplitHostPort(c.ClusterAddress)
	ip, _ := netip.ParseAddr(host)
	switch {
	case len(c.Redis) == 0:
		return nil
	case len(c.ClusterSecret) == 0 && !certs:
		return bad("cluster-secret", "not set", errors.New("required with redis: set "+find("cluster-secret").env()+", --cluster-secret-file or --cluster-cert"))
	case len(c.ClusterSecret) > 0 && certs:
		return bad("cluster-cert", c.Source("cluster-cert"), errors.New("cluster-secret is set too: keep one of them"))
	case certs && (c.ClusterCert == "" || c.ClusterKey == "" || c.ClusterCA == ""):
		return bad("cluster-cert", c.Source("cluster-cert"), errors.New("cluster-cert, cluster-key and cluster-ca go together"))
	case host == "" || ip.IsValid() && ip.IsUnspecified():
		return bad("cluster-address", c.Source("cluster-address"), errors.New(c.ClusterAddress+" names no host that other nodes could reach: set cluster-address"))
	case c.RedisMaster != "" && c.RedisCluster:
		return bad("redis-master", c.Source("redis-master"), errors.New("redis-cluster is set too: Sentinels or a Redis Cluster, not both"))
	}
	return nil
}

// checkServe checks what settings say together.
func checkServe(c *Config) error {
	if err := checkCluster(c); err != nil {
		return err
	}
	switch {
	case c.Dev && !loopback(c.Listen):
		return bad("listen", c.Source("listen"), errors.New(c.Listen+" is not a loopback address, and dev ("+c.Source("dev")+") gives tokens to whoever asks: use 127.0.0.1, [::1] or localhost"))
	case !c.Dev && len(c.Secrets) == 0:
		return bad("secret", "not set", errors.New("required: set "+find("secret").env()+" or --secret-file, or on your own machine use --dev"))
	case c.MetricsListen == c.Listen && !strings.HasSuffix(c.Listen, ":0"):
		return bad("metrics-listen", c.Source("metrics-listen"), errors.New("is the same as listen"))
	case c.RoomBudget < c.TurnBudget:
		return bad("room-budget", c.Source("room-budget"), errors.New(c.RoomBudget.String()+" is less than turn-budget, "+c.TurnBudget.String()))
	}
	return nil
}

func (c *Command) readToken(line *commandLine) error {
	if len(c.Config.Secrets) == 0 {
		return bad("secret", "not set", errors.New("required to sign: set "+find("secret").env()+" or --secret-file"))
	}
	t := Token{User: line.token.User, Rooms: line.token.Rooms, Actions: line.token.Actions}
	var err error
	if t.TTL, err = parseDuration(line.token.TTL, "1s", "87600h"); err != nil {
		return bad("ttl", "--ttl", err)
	}
	if line.token.Claims != "" && (json.Unmarshal([]byte(line.token.Claims), &t.More) != nil || t.More == nil) {
		return bad("claims", "--claims", errors.New(`is not a JSON object such as {"name":"Ann"}`))
	}
	c.Token = t
	// A trial shows at once what could not be signed.
	if _, err := admission.Mint(c.Config.Secrets[0], c.Claims(time.Unix(1, 0))); err != nil {
		return &Error{Source: CommandToken, Reason: strings.TrimPrefix(err.Error(), "admission: "), Err: ErrSetting}
	}
	return nil
}

func bad(name, source string, err error) *Error {
	return &Error{Setting: name, Source: source, Reason: err.Error(), Err: ErrSetting}
}

// cause is what went wrong with a file, without its path.
func cause(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
