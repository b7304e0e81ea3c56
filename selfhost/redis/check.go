package redis

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	goredis "github.com/redis/go-redis/v9"
)

// A Durability is what a Redis promises to keep of what it has answered.
type Durability uint8

const (
	// Unknown: the settings cannot be read.
	Unknown Durability = iota
	// Weak: the newest turns may be lost. Every client is told when they are.
	Weak
	// Full: no crash of any process or machine loses an answered turn, as long as the disk keeps
	// what it has synced.
	Full
)

// String returns "full", "weak" or "unknown".
func (d Durability) String() string {
	return [...]string{"unknown", "weak", "full"}[min(d, Full)]
}

// A Service is what [Check] found.
type Service struct {
	// Product is "redis" or "valkey", Version the server's own, in a Cluster the oldest one.
	Product, Version string
	// Durability is the weakest of all masters'.
	Durability Durability
	// Reason is a line on what may be lost, or why that is unknown; "" when it is Full.
	Reason string
}

// Check asks whether Redis can be used, and what it promises. It writes to a key of its own under
// the prefix, and removes it. It fails with [ErrUnusable] and one line that names everything that
// is missing.
func Check(ctx context.Context, c goredis.UniversalClient, prefix string) (Service, error) {
	s, err := check(ctx, c, prefix)
	if err != nil {
		return Service{}, &Error{Op: "check", Err: err}
	}
	return s, nil
}

func check(ctx context.Context, c goredis.UniversalClient, prefix string) (Service, error) {
	if !ValidPrefix(prefix) {
		return Service{}, fmt.Errorf("%w: key prefix %q", ErrOptions, prefix)
	}
	cluster, ok := c.(*goredis.ClusterClient)
	if !ok {
		return checkServer(ctx, c, prefix)
	}
	var mu sync.Mutex // guards found
	var found []Service
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, c *goredis.Client) error {
		s, err := checkServer(ctx, c, prefix)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Options().Addr, err)
		}
		mu.Lock()
		defer mu.Unlock()
		found = append(found, s)
		return nil
	})
	if err != nil {
		return Service{}, err
	}
	if len(found) == 0 {
		return Service{}, fmt.Errorf("%w: the Redis Cluster has no masters", ErrUnusable)
	}
	s := found[0]
	for _, f := range found {
		if older(f.Version, s.Version) {
			s.Product, s.Version = f.Product, f.Version
		}
		if f.Durability != Full && (s.Durability == Full || f.Durability == Weak) {
			s.Durability, s.Reason = f.Durability, f.Reason
		}
	}
	return s, nil
}

// checkServer checks one server. Of a node of a Cluster it may get the answer that a key is
// elsewhere, after its rights were checked.
func checkServer(ctx context.Context, c goredis.Cmdable, prefix string) (Service, error) {
	if err := c.Ping(ctx).Err(); err != nil {
		return Service{}, fmt.Errorf("ping: %w", err)
	}
	if err := probe(ctx, c, prefix); err != nil {
		return Service{}, err
	}
	// One section after the other: several at once are of 7.0.
	info := map[string]string{}
	for _, section := range []string{"server", "memory", "replication"} {
		text, err := c.Info(ctx, section).Result()
		if err != nil {
			return Service{}, fmt.Errorf("info: %w", err)
		}
		parseInfo(info, text)
	}
	s := Service{Product: "redis", Version: info["redis_version"]}
	if v := info["valkey_version"]; v != "" {
		s.Product, s.Version = "valkey", v
	}
	if older(s.Version, minVersion) {
		return Service{}, fmt.Errorf("%w: version %.20q, at least %s is needed", ErrUnusable, s.Version, minVersion)
	}
	settings, err := readSettings(ctx, c)
	switch {
	case err != nil && isRefusal(err):
		s.Reason = "CONFIG GET is forbidden, so that nobody can tell what a crash of this Redis loses"
		return s, nil
	case err != nil:
		return Service{}, fmt.Errorf("config get: %w", err)
	}
	s.Durability, s.Reason = judge(settings, info)
	return s, nil
}

// minVersion has what the scripts need: ZADD with LT.
const minVersion = "6.2"

// settings are what [judge] reads.
var settings = []string{"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "save", "maxmemory", "maxmemory-policy"}

func readSettings(ctx context.Context, c goredis.Cmdable) (map[string]string, error) {
	found := map[string]string{}
	for _, name := range settings { // several at once are of 7.0
		m, err := c.ConfigGet(ctx, name).Result()
		if err != nil {
			return nil, err
		}
		for k, v := range m {
			found[k] = v
		}
	}
	return found, nil
}

// judge says what settings promise.
func judge(config, info map[string]string) (Durability, string) {
	var faults []string
	switch {
	case config["appendonly"] != "yes" && config["save"] == "":
		faults = append(faults, "appendonly and save are off: a restart of Redis loses everything")
	case config["appendonly"] != "yes":
		faults = append(faults, "appendonly is off: a crash of Redis loses what came after the last snapshot")
	case config["appendfsync"] == "everysec":
		faults = append(faults, "appendfsync is everysec: a crash of Redis's machine loses the last second or two")
	case config["appendfsync"] != "always":
		faults = append(faults, "appendfsync is "+config["appendfsync"]+": a crash of Redis's machine loses what the system had not written, half a minute and more")
	case config["no-appendfsync-on-rewrite"] == "yes":
		faults = append(faults, "no-appendfsync-on-rewrite is on: a crash of Redis's machine during a rewrite or snapshot loses what came since that began")
	}
	if p := config["maxmemory-policy"]; config["maxmemory"] != "0" && p != "noeviction" {
		faults = append(faults, "maxmemory-policy is "+p+": Redis throws rooms away when its memory is full")
	}
	if n := info["connected_slaves"]; n != "" && n != "0" {
		faults = append(faults, "there are replicas: a fail-over to one that lags loses what it had not got")
	}
	if faults == nil {
		return Full, ""
	}
	return Weak, strings.Join(faults, "; ")
}

// probes are the commands that are needed, on keys that begin with key. What needs another one
// adds it here and to the package's documentation.
func probes(key string) [][]any {
	hash, zset, set, text := key+":h", key+":z", key+":s", key+":t"
	return [][]any{
		{"hset", hash, "a", "1"}, {"hsetnx", hash, "b", "1"}, {"hget", hash, "a"}, {"hmget", hash, "a"}, {"hexists", hash, "a"}, {"hdel", hash, "a"},
		{"zadd", zset, "0", "a"}, {"zcard", zset}, {"zcount", zset, "-inf", "0"}, {"zrange", zset, "0", "0"},
		{"zrangebylex", zset, "-", "+"}, {"zrevrangebylex", zset, "+", "-"}, {"zrangebyscore", zset, "-inf", "0"}, {"zremrangebylex", zset, "-", "[0"}, {"zrem", zset, "a"},
		{"hgetall", hash}, {"hkeys", hash}, {"set", text, "1"}, {"get", text}, {"expire", text, "60"},
		{"sadd", set, "a"}, {"sismember", set, "a"}, {"smembers", set}, {"sscan", set, "0"}, {"srem", set, "a"},
		{"publish", key + ":c", ""},
		{"persist", hash}, {"pexpire", hash, "60000"},
		{"eval", "return 1", "1", hash}, {"evalsha", strings.Repeat("0", 40), "1", hash},
		{"ping"}, {"time"}, {"info", "server"},
		{"del", hash}, {"del", zset}, {"del", set}, {"del", text},
	}
}

// Commands returns the names of the commands that [Check] tries, in lower case.
func Commands() []string {
	var names []string
	for _, p := range probes("") {
		names = append(names, p[0].(string))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// probe tries every command, and says which are forbidden.
func probe(ctx context.Context, c goredis.Cmdable, prefix string) error {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	tries := probes(Key(prefix, "probe-"+hex.EncodeToString(b[:]), ""))
	pipe := c.Pipeline()
	cmds := make([]Command, len(tries))
	for i, args := range tries {
		cmds[i] = NewCommand(ctx, args...)
		_ = pipe.Process(ctx, cmds[i])
	}
	_, _ = pipe.Exec(ctx)
	var forbidden []string
	for i, cmd := range cmds {
		err := cmd.Err()
		name := tries[i][0].(string)
		switch {
		case err == nil, err == goredis.Nil, NoScript(err), goredis.HasErrorPrefix(err, "MOVED"):
		case isRefusal(err):
			if !slices.Contains(forbidden, name) {
				forbidden = append(forbidden, name)
			}
		case goredis.IsReadOnlyError(err):
			return fmt.Errorf("%w: it is a replica, which takes no writes", ErrUnusable)
		default:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if forbidden != nil {
		return fmt.Errorf("%w: its user may not run on keys %s: %s", ErrUnusable, prefix+":*", strings.Join(forbidden, " "))
	}
	return nil
}

// isRefusal reports whether err says that a command is forbidden or not there at all.
func isRefusal(err error) bool {
	return goredis.IsPermissionError(err) || goredis.HasErrorPrefix(err, "unknown command") || goredis.HasErrorPrefix(err, "unknown subcommand")
}

// parseInfo adds the fields of an answer of INFO.
func parseInfo(m map[string]string, text string) {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && !strings.HasPrefix(name, "#") {
			m[name] = value
		}
	}
}

// older reports whether version a is before b. What is no version is before all.
func older(a, b string) bool {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if m, n := number(x), number(y); m != n {
			return m < n
		}
	}
	return false
}

func number(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
