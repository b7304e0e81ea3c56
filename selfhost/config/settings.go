package config

import (
	"slices"
	"strings"
	"time"
)

// A setting is one row of the table that flags, variables, file and help are made from.
type setting struct {
	// name is the flag's, the file's key, and with ORIEL_ in front and in capitals the
	// variable's.
	name  string
	group string
	// placeholder stands for the value in the help. Empty: the setting is a switch.
	placeholder string
	// standard is the default, in the form in which it could be given. Empty: the field
	// stays at its zero value, and what that means is part of help.
	standard string
	help     string
	// list settings take several values.
	list bool
	// secret values are never shown.
	secret bool
	// also names the commands beside serve that take the setting.
	also []string
	// set checks the values and puts them into c. Its error does not name the setting.
	set func(c *Config, values []string) error
}

// given is what one source says of a setting.
type given struct {
	values []string
	source string
}

func (s *setting) env() string {
	return "ORIEL_" + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

func (s *setting) toggle() bool { return s.placeholder == "" }

// public returns g as it may be kept and printed.
func (g given) public(s *setting) given {
	if s.secret {
		g.values = slices.Repeat([]string{"[secret]"}, len(g.values))
	}
	return g
}

func (s *setting) takenBy(command string) bool {
	if command == CommandServe {
		return true
	}
	for _, c := range s.also {
		if c == command {
			return true
		}
	}
	return false
}

// split cuts the value of a flag or a variable. A file has lists of its own.
func (s *setting) split(value string) []string {
	if !s.list {
		return []string{value}
	}
	var values []string
	for v := range strings.SplitSeq(value, ",") {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, v)
		}
	}
	return values
}

func find(name string) *setting {
	for i := range settings {
		if settings[i].name == name {
			return &settings[i]
		}
	}
	return nil
}

// The groups, in the order of the help.
const (
	groupNode        = "Node"
	groupAdmission   = "Admission"
	groupLimits      = "Limits"
	groupConnections = "Connections"
	groupCluster     = "Cluster"
	groupRooms       = "Rooms"
	groupEnd         = "Shutdown"
	groupLogs        = "Logs"
)

var settings = []setting{
	{
		name: "listen", group: groupNode, placeholder: "HOST:PORT", standard: "127.0.0.1:8080",
		help: "Address for clients. :8080 means every interface.",
		set:  address(func(c *Config) *string { return &c.Listen }, true),
	},
	{
		name: "metrics-listen", group: groupNode, placeholder: "HOST:PORT",
		help: "Address of /metrics and the admin page, which ask for no credential: keep it private. Not set: there is none.",
		set:  address(func(c *Config) *string { return &c.MetricsListen }, false),
	},
	{
		name: "data", group: groupNode, placeholder: "DIR", standard: "./data", also: []string{CommandCheck},
		help: "Folder of the store. Created if it is missing.",
		set:  text(func(c *Config) *string { return &c.Data }, 1, 4096),
	},
	{
		name: "module", group: groupNode, placeholder: "FILE", list: true,
		help: "Room module, a .wasm file; may be given several times. Not set: the module with the rooms that ship.",
		set:  list(func(c *Config) *[]string { return &c.Modules }, 64, 4096),
	},
	{
		name: "dev", group: groupNode,
		help: "For development: GET /v1/dev/token?user=ann gives a token to whoever asks. Listens on loopback only, answers to localhost only, and needs no secret.",
		set:  toggle(func(c *Config) *bool { return &c.Dev }),
	},

	{
		name: "secret", group: groupAdmission, placeholder: "TEXT", list: true, secret: true, also: []string{CommandToken},
		help: "Secret of the HS256 tokens, 32 to 1024 printable characters, such as `openssl rand -base64 48` prints. Several, with commas, while one replaces another: all verify, the first signs. A flag can be seen by every user of the machine: use the variable or secret-file. This or secret-file is required without --dev.",
		set:  secrets,
	},
	{
		name: "secret-file", group: groupAdmission, placeholder: "FILE", also: []string{CommandToken},
		help: "File with such secrets, one in each line; lines that start with # are comments.",
		// The file has been read when settings are set, see readSecrets.
		set: func(*Config, []string) error { return nil },
	},
	{
		name: "audience", group: groupAdmission, placeholder: "TEXT", list: true, also: []string{CommandToken},
		help: "A token's aud must have one of these. Not set: aud is not looked at.",
		set:  list(func(c *Config) *[]string { return &c.Audience }, 16, 256),
	},
	{
		name: "issuer", group: groupAdmission, placeholder: "TEXT", also: []string{CommandToken},
		help: "A token's iss must be this. Not set: iss is not looked at.",
		set:  text(func(c *Config) *string { return &c.Issuer }, 0, 256),
	},
	{
		name: "cookie", group: groupAdmission, placeholder: "NAME",
		help: "Cookie that may carry a token, of requests from the node's own and the listed origins. Not set: none may.",
		set:  cookie,
	},
	{
		name: "origins", group: groupAdmission, placeholder: "ORIGIN", list: true,
		help: "Web origins whose pages may connect, beside the node's own: https://example.com, https://*.example.com for every host below, or * for any (which then may not use the cookie).",
		set:  origins,
	},
	{
		name: "trusted-proxies", group: groupAdmission, placeholder: "CIDR", list: true,
		help: "Networks of proxies in front, such as 10.0.0.0/8: their X-Forwarded-For and X-Forwarded-Proto are believed. Without it all clients of a proxy share the limits of one address.",
		set:  prefixes,
	},

	{
		name: "max-connections", group: groupLimits, placeholder: "N", standard: "16000",
		help: "Open sockets at one time. Each takes a file descriptor.",
		set:  number(func(c *Config) *int { return &c.MaxConnections }, 1, 10_000_000),
	},
	{
		name: "connections-per-address", group: groupLimits, placeholder: "N", standard: "1024",
		help: "Open sockets of one address; of IPv6, of one /64 network.",
		set:  number(func(c *Config) *int { return &c.ConnectionsPerAddress }, 1, 10_000_000),
	},
	{
		name: "max-requests", group: groupLimits, placeholder: "N", standard: "1024",
		help: "HTTP requests that run at one time.",
		set:  number(func(c *Config) *int { return &c.MaxRequests }, 1, 1_000_000),
	},
	{
		name: "requests-per-address", group: groupLimits, placeholder: "N", standard: "128",
		help: "HTTP requests of one address that run at one time.",
		set:  number(func(c *Config) *int { return &c.RequestsPerAddress }, 1, 1_000_000),
	},
	{
		name: "connects-per-second-per-address", group: groupLimits, placeholder: "N", standard: "100",
		help: "Upgrades and HTTP requests that one address may try each second in the long run.",
		set:  rate,
	},
	{
		name: "connect-burst-per-address", group: groupLimits, placeholder: "N", standard: "400",
		help: "Of those, how many at once.",
		set:  number(func(c *Config) *int { return &c.ConnectBurstPerAddress }, 1, 10_000_000),
	},

	{
		name: "heartbeat", group: groupConnections, placeholder: "DURATION", standard: "25s",
		help: "Silence after which a client is asked for a sign of life; two and a half of them end the connection.",
		set:  duration(func(c *Config) *time.Duration { return &c.Heartbeat }, "100ms", "10m"),
	},
	{
		name: "handshake-timeout", group: groupConnections, placeholder: "DURATION", standard: "10s",
		help: "Time for the head of a request.",
		set:  duration(func(c *Config) *time.Duration { return &c.HandshakeTimeout }, "100ms", "5m"),
	},
	{
		name: "hello-timeout", group: groupConnections, placeholder: "DURATION", standard: "10s",
		help: "Time from the upgrade to a client's first message, in rooms of the session protocol. A kind whose own is below 10s keeps to that.",
		set:  duration(func(c *Config) *time.Duration { return &c.HelloTimeout }, "100ms", "5m"),
	},
	{
		name: "request-timeout", group: groupConnections, placeholder: "DURATION", standard: "30s",
		help: "Time for an HTTP request to a room, its answer included.",
		set:  duration(func(c *Config) *time.Duration { return &c.RequestTimeout }, "100ms", "10m"),
	},

	{
		name: "redis", group: groupCluster, placeholder: "URL", list: true, secret: true, also: []string{CommandCluster},
		help: "Redis that the nodes share, redis://[USER:PASSWORD@]HOST:PORT[/DB], or rediss:// for TLS; several for Sentinels or a Redis Cluster. It keeps the rooms then, not the data folder. Not set: this is the only node.",
		set:  list(func(c *Config) *[]string { return &c.Redis }, 32, 1024),
	},
	{
		name: "redis-master", group: groupCluster, placeholder: "NAME", also: []string{CommandCluster},
		help: "Name of the master at the Sentinels that redis lists. Not set: they are no Sentinels.",
		set:  text(func(c *Config) *string { return &c.RedisMaster }, 0, 256),
	},
	{
		name: "redis-cluster", group: groupCluster, also: []string{CommandCluster},
		help: "What redis lists are nodes of a Redis Cluster.",
		set:  toggle(func(c *Config) *bool { return &c.RedisCluster }),
	},
	{
		name: "redis-prefix", group: groupCluster, placeholder: "TEXT", standard: "oriel", also: []string{CommandCluster},
		help: "Begins every key in Redis. Nodes with the same one are a cluster.",
		set:  prefix,
	},
	{
		name: "cluster-listen", group: groupCluster, placeholder: "HOST:PORT", standard: "127.0.0.1:7946",
		help: "Address for the other nodes.",
		set:  address(func(c *Config) *string { return &c.ClusterListen }, true),
	},
	{
		name: "cluster-address", group: groupCluster, placeholder: "HOST:PORT",
		help: "Where other nodes reach cluster-listen, if that names no single host. Not set: cluster-listen.",
		set:  address(func(c *Config) *string { return &c.ClusterAddress }, false),
	},
	{
		name: "cluster-secret", group: groupCluster, placeholder: "TEXT", secret: true,
		help: "Secret that all nodes share, at least 32 characters: the links between them are encrypted, and who does not know it is no node. With redis this, cluster-secret-file or cluster-cert is required.",
		set:  clusterSecret,
	},
	{
		name: "cluster-secret-file", group: groupCluster, placeholder: "FILE",
		help: "File with that secret.",
		set:  func(*Config, []string) error { return nil }, // see readClusterSecret
	},
	{
		name: "cluster-cert", group: groupCluster, placeholder: "FILE",
		help: "This node's certificate, PEM, for the links between nodes, in place of a secret; with cluster-key and cluster-ca.",
		set:  text(func(c *Config) *string { return &c.ClusterCert }, 0, 4096),
	},
	{
		name: "cluster-key", group: groupCluster, placeholder: "FILE",
		help: "Its key.",
		set:  text(func(c *Config) *string { return &c.ClusterKey }, 0, 4096),
	},
	{
		name: "cluster-ca", group: groupCluster, placeholder: "FILE",
		help: "Certificates of the authorities that other nodes' certificates are from.",
		set:  text(func(c *Config) *string { return &c.ClusterCA }, 0, 4096),
	},
	{
		name: "cluster-lease", group: groupCluster, placeholder: "DURATION", standard: "5s",
		help: "Time after which a node that does not answer is dead and its rooms are taken over. The same on every node.",
		set:  duration(func(c *Config) *time.Duration { return &c.ClusterLease }, "1s", "1m"),
	},
	{
		name: "cluster-weight", group: groupCluster, placeholder: "N", standard: "100",
		help: "This node's share of the rooms, in relation to the other nodes'.",
		set:  number(func(c *Config) *int { return &c.ClusterWeight }, 1, 1000),
	},

	{
		name: "workers", group: groupRooms, placeholder: "N", standard: "0",
		help: "Turns that compute at one time; 0 means as many as there are cores.",
		set:  number(func(c *Config) *int { return &c.Workers }, 0, 1024),
	},
	{
		name: "memory-per-room", group: groupRooms, placeholder: "SIZE", standard: "64MiB", also: []string{CommandCheck},
		help: "Cap of one room's memory, from 4MiB to 3GiB, in whole units: KiB, MiB or GiB.",
		set:  memory,
	},
	{
		name: "turn-budget", group: groupRooms, placeholder: "DURATION", standard: "20ms", also: []string{CommandCheck},
		help: "Computing time of one turn; a turn that needs more has no effect. Measured in fuel, so about.",
		set:  duration(func(c *Config) *time.Duration { return &c.TurnBudget }, "1ms", "1s"),
	},
	{
		name: "room-budget", group: groupRooms, placeholder: "DURATION",
		help: "Computing time of one room in each second. Not set: ten turn budgets, at most 1s.",
		set:  duration(func(c *Config) *time.Duration { return &c.RoomBudget }, "1ms", "1s"),
	},
	{
		name: "cache-dir", group: groupRooms, placeholder: "DIR", also: []string{CommandCheck},
		help: "Folder of compiled modules. What is in it is executed: nobody else may write to it. Not set: cache below the data folder.",
		set:  text(func(c *Config) *string { return &c.CacheDir }, 0, 4096),
	},

	{
		name: "drain-timeout", group: groupEnd, placeholder: "DURATION", standard: "30s",
		help: "Time for an orderly end after SIGTERM.",
		set:  duration(func(c *Config) *time.Duration { return &c.DrainTimeout }, "0s", "1h"),
	},
	{
		name: "drain-spread", group: groupEnd, placeholder: "DURATION", standard: "5s",
		help: "Clients are told to come back at times spread over this.",
		set:  duration(func(c *Config) *time.Duration { return &c.DrainSpread }, "0s", "1h"),
	},

	{
		name: "log-level", group: groupLogs, placeholder: "LEVEL", standard: "info",
		help: "debug, info, warn or error.",
		set:  logLevel,
	},
	{
		name: "log-format", group: groupLogs, placeholder: "FORMAT", standard: "text",
		help: "text or json.",
		set:  logFormat,
	},
}
