package redis_test

import (
	"errors"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

func TestCheck(t *testing.T) {
	server := redistest.Start(t, redistest.Durable...)
	c := server.Client(t)
	s, err := redis.Check(ctx, c, "p")
	if err != nil || s.Durability != redis.Full || s.Reason != "" || s.Product == "" || s.Version == "" {
		t.Fatalf("%+v %v", s, err)
	}
	for _, tt := range []struct{ setting, value, reset, word string }{
		{"appendfsync", "everysec", "always", "everysec"},
		{"appendfsync", "no", "always", "half a minute"},
		{"no-appendfsync-on-rewrite", "yes", "no", "rewrite"},
		{"appendonly", "no", "yes", "restart"},
		{"maxmemory", "1gb", "0", ""}, // the policy is noeviction
	} {
		if err := c.ConfigSet(ctx, tt.setting, tt.value).Err(); err != nil {
			t.Fatal(err)
		}
		s, err := redis.Check(ctx, c, "p")
		if err != nil || (s.Durability == redis.Full) != (tt.word == "") || !strings.Contains(s.Reason, tt.word) || strings.Contains(s.Reason, "\n") {
			t.Errorf("%s %s: %+v %v", tt.setting, tt.value, s, err)
		}
		if err := c.ConfigSet(ctx, tt.setting, tt.reset).Err(); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil || len(keys) != 0 {
		t.Errorf("left behind: %q %v", keys, err)
	}
}

func TestCheckCluster(t *testing.T) {
	server := redistest.StartCluster(t)
	c := redistest.Client(t, redis.Options{URLs: []string{server.URL()}, Cluster: true})
	s, err := redis.Check(ctx, c, "p")
	if err != nil || s.Durability != redis.Weak || s.Version == "" {
		t.Errorf("%+v %v", s, err)
	}
}

// What a user may not do is named, all of it, in one line.
func TestCheckRights(t *testing.T) {
	server := redistest.Start(t, redistest.Durable...)
	admin := server.Client(t)
	user := func(name string, rules ...any) goredis.UniversalClient {
		t.Helper()
		if err := admin.Do(ctx, append([]any{"acl", "setuser", name, "on", ">pw"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
		return redistest.Client(t, redis.Options{URLs: []string{"redis://" + name + ":pw@" + server.Addr}})
	}
	// Exactly what the package's documentation says.
	needed := []any{"~p:*", "+hello", "+auth", "+select", "+ping", "+time", "+info", "+eval", "+evalsha",
		"+hget", "+hmget", "+hset", "+hsetnx", "+hdel", "+hexists",
		"+zadd", "+zrem", "+zcard", "+zcount", "+zrange", "+zrangebylex", "+zrevrangebylex", "+zrangebyscore", "+zremrangebylex",
		"&p:*", "+publish", "+subscribe", "+unsubscribe", "+set", "+get", "+expire", "+hgetall", "+hkeys",
		"+sadd", "+srem", "+sismember", "+smembers", "+sscan",
		"+del", "+pexpire", "+persist"}
	if s, err := redis.Check(ctx, user("exact", needed...), "p"); err != nil || s.Durability != redis.Unknown || !strings.Contains(s.Reason, "CONFIG") {
		t.Errorf("exact: %+v %v", s, err)
	}
	if s, err := redis.Check(ctx, user("config", append(needed, "+config|get")...), "p"); err != nil || s.Durability != redis.Full {
		t.Errorf("config: %+v %v", s, err)
	}
	for name, tt := range map[string]struct {
		rules []any
		want  []string
	}{
		"nozadd": {append(needed, "-zadd", "-evalsha"), []string{"zadd", "evalsha"}},
		"nokeys": {append(needed, "resetkeys", "~other:*"), []string{"hset", "zadd"}},
		"noinfo": {append(needed, "-info"), []string{"info"}},
	} {
		_, err := redis.Check(ctx, user(name, tt.rules...), "p")
		if !errors.Is(err, redis.ErrUnusable) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	wrong := redistest.Client(t, redis.Options{URLs: []string{"redis://exact:wrong@" + server.Addr}})
	if _, err := redis.Check(ctx, wrong, "p"); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("wrong password: %v", err)
	}
}

func TestCheckReplica(t *testing.T) {
	master := redistest.Start(t, redistest.Durable...)
	replica := redistest.StartReplica(t, master.Addr)
	if _, err := redis.Check(ctx, replica.Client(t), "p"); !errors.Is(err, redis.ErrUnusable) || !strings.Contains(err.Error(), "replica") {
		t.Errorf("a replica: %v", err)
	}
	if s, err := redis.Check(ctx, master.Client(t), "p"); err != nil || s.Durability != redis.Weak || !strings.Contains(s.Reason, "fail-over") {
		t.Errorf("its master: %+v %v", s, err)
	}
}

func TestOlder(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"6.0.16", "6.2", true}, {"6.2", "6.2", false}, {"6.2.0", "6.2", false}, {"7.0.15", "6.2", false}, {"10.0", "6.2", false},
		{"", "6.2", true}, {"unknown", "6.2", true}, {"6.10", "6.2", false}, {"-1", "0", true},
	} {
		if got := redis.Older(tt.a, tt.b); got != tt.want {
			t.Errorf("%q before %q: %v", tt.a, tt.b, got)
		}
	}
}

func TestJudge(t *testing.T) {
	full := map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory": "0", "maxmemory-policy": "noeviction"}
	for name, tt := range map[string]struct {
		config, info map[string]string
		want         redis.Durability
	}{
		"full":           {nil, nil, redis.Full},
		"snapshots only": {map[string]string{"appendonly": "no", "save": "60 1"}, nil, redis.Weak},
		"eviction":       {map[string]string{"maxmemory": "100", "maxmemory-policy": "allkeys-lru"}, nil, redis.Weak},
		"policy only":    {map[string]string{"maxmemory-policy": "allkeys-lru"}, nil, redis.Full},
		"replicas":       {nil, map[string]string{"connected_slaves": "2"}, redis.Weak},
		"nothing known":  {map[string]string{"appendonly": "", "appendfsync": ""}, nil, redis.Weak},
	} {
		config := map[string]string{}
		for _, m := range []map[string]string{full, tt.config} {
			for k, v := range m {
				config[k] = v
			}
		}
		if got, reason := redis.Judge(config, tt.info); got != tt.want || (reason == "") != (got == redis.Full) {
			t.Errorf("%s: %v %q", name, got, reason)
		}
	}
}

func FuzzInfo(f *testing.F) {
	f.Add("# Server\r\nredis_version:7.0.15\r\n")
	f.Add("no colon\n:::\n")
	f.Fuzz(func(t *testing.T, s string) {
		m := map[string]string{}
		redis.ParseInfo(m, s)
		_ = redis.Older(m["redis_version"], "6.2")
		_, _ = redis.Judge(m, m)
	})
}
