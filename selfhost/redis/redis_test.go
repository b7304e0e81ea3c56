package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, redistest.IgnoreDialer()) }

var ctx = context.Background()

func TestOptions(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    redis.Options
		want string // "" if it fits
	}{
		{"none", redis.Options{}, "no URL"},
		{"one", redis.Options{URLs: []string{"redis://u:secret@h:1/3"}}, ""},
		{"TLS", redis.Options{URLs: []string{"rediss://h:1"}}, ""},
		{"a socket", redis.Options{URLs: []string{"unix:///run/redis.sock"}}, ""},
		{"a socket of a Cluster", redis.Options{URLs: []string{"unix:///run/redis.sock"}, Cluster: true}, "no sockets"},
		{"several", redis.Options{URLs: []string{"redis://a", "redis://b"}}, "several URLs"},
		{"a Cluster", redis.Options{URLs: []string{"redis://a:1", "redis://b:2"}, Cluster: true}, ""},
		{"a Cluster's database", redis.Options{URLs: []string{"redis://a:1/2"}, Cluster: true}, "no databases"},
		{"Sentinels", redis.Options{URLs: []string{"redis://a:1", "redis://b:2"}, Master: "m"}, ""},
		{"both", redis.Options{URLs: []string{"redis://a:1"}, Master: "m", Cluster: true}, "no Sentinels"},
		{"other users", redis.Options{URLs: []string{"redis://u:secret@a", "redis://v:secret@b"}, Cluster: true}, "URL 2 differs"},
		{"no scheme", redis.Options{URLs: []string{"u:secret@h"}}, "URL 1"},
		{"another scheme", redis.Options{URLs: []string{"http://u:secret@h"}}, "URL 1"},
		{"a bad port", redis.Options{URLs: []string{"redis://u:secret@h:port"}}, "URL 1"},
		{"a bad database", redis.Options{URLs: []string{"redis://u:secret@h:1/x"}}, "URL 1"},
		{"a control character", redis.Options{URLs: []string{"redis://u:secret@h\n"}}, "URL 1"},
	} {
		c, err := redis.New(tt.o)
		if c != nil {
			_ = c.Close()
		}
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, redis.ErrOptions) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	c, err := redis.New(redis.Options{URLs: []string{"redis://u:secret@h:1/3?max_retries=7"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	o := c.(*goredis.Client).Options()
	// The library writes "no retries" as 0.
	if o.Addr != "h:1" || o.Username != "u" || o.Password != "secret" || o.DB != 3 || o.MaxRetries != 0 {
		t.Errorf("%+v", o)
	}
}

func TestValidPrefix(t *testing.T) {
	for p, want := range map[string]bool{
		"oriel": true, "a:b-c.d_e~9": true, strings.Repeat("p", redis.MaxPrefix): true,
		"": false, "a{b": false, "a}b": false, "a b": false, "é": false, "a\x00": false, strings.Repeat("p", redis.MaxPrefix+1): false,
	} {
		if redis.ValidPrefix(p) != want {
			t.Errorf("%q: %v", p, !want)
		}
	}
}

func TestScript(t *testing.T) {
	c := redistest.Start(t).Client(t)
	script := redis.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	for i, flush := range []bool{true, false, true} {
		if flush {
			if err := c.ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := script.Run(ctx, c, []string{"k"}, 2); err != nil || n != int64(2*i+2) {
			t.Errorf("run %d: %v %v", i, n, err)
		}
	}
	_ = c.ScriptFlush(ctx).Err()
	pipe := c.Pipeline()
	cmds := []redis.Command{script.Command(ctx, false, []string{"k"}, 1), script.Command(ctx, true, []string{"k"}, 1), script.Command(ctx, false, []string{"k"}, 1)}
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd)
	}
	_, _ = pipe.Exec(ctx)
	if !redis.NoScript(cmds[0].Err()) || cmds[1].Err() != nil || cmds[2].Err() != nil || cmds[2].Val() != int64(8) {
		t.Errorf("%v %v %v", cmds[0], cmds[1], cmds[2])
	}
}

// What is not known to have run is not sent again, neither by the pool nor by the Cluster's client.
func TestNoRetries(t *testing.T) {
	for _, cluster := range []bool{false, true} {
		var server *redistest.Server
		var c, direct goredis.UniversalClient
		var proxy *redistest.Proxy
		if cluster {
			server = redistest.StartCluster(t)
			direct = server.Client(t)
			proxy = redistest.NewProxy(t, server.Addr)
			// The Cluster's client goes where the nodes say that they are.
			_, port, _ := strings.Cut(proxy.Addr, ":")
			if err := direct.ConfigSet(ctx, "cluster-announce-port", port).Err(); err != nil {
				t.Fatal(err)
			}
		} else {
			server = redistest.Start(t)
			direct = server.Client(t)
			proxy = redistest.NewProxy(t, server.Addr)
		}
		c = redistest.Client(t, redis.Options{URLs: []string{proxy.URL()}, Cluster: cluster})
		if err := c.Set(ctx, "n", 0, 0).Err(); err != nil {
			t.Fatal(err)
		}
		for name, send := range map[string]func(cmd redis.Command){
			"alone":         func(cmd redis.Command) { _ = c.Process(ctx, cmd) },
			"in a pipeline": func(cmd redis.Command) { p := c.Pipeline(); _ = p.Process(ctx, cmd); _, _ = p.Exec(ctx) },
		} {
			if err := c.Set(ctx, "n", 0, 0).Err(); err != nil {
				t.Fatal(err)
			}
			send(redis.NewCommand(ctx, "ping")) // pipelines have connections of their own, which greet first
			cmd := redis.NewCommand(ctx, "incr", "n")
			proxy.HoldAnswers(true)
			sent := make(chan struct{})
			go func() { defer close(sent); send(cmd) }()
			redistest.Await(t, "it has run", func() bool { return direct.Get(ctx, "n").Val() == "1" })
			proxy.Cut()
			proxy.HoldAnswers(false) // one more try would be heard
			<-sent
			if n, err := direct.Get(ctx, "n").Int(); cmd.Err() == nil || n != 1 || err != nil {
				t.Errorf("cluster %v, %s: %v, and it ran %d times (%v)", cluster, name, cmd.Err(), n, err)
			}
		}
	}
}

func TestJoin(t *testing.T) {
	c := redistest.Start(t).Client(t)
	first, err := redis.Join(ctx, c, "p", "")
	if err != nil || first.Format != 1 || len(first.Cluster) != 16 {
		t.Fatalf("%+v %v", first, err)
	}
	if again, err := redis.Join(ctx, c, "p", ""); err != nil || again != first {
		t.Errorf("%+v %v", again, err)
	}
	if again, err := redis.Join(ctx, c, "p", first.Cluster); err != nil || again != first {
		t.Errorf("%+v %v", again, err)
	}
	if named, err := redis.Join(ctx, c, "q", "eu-1"); err != nil || named.Cluster != "eu-1" {
		t.Errorf("%+v %v", named, err)
	}
	for name, tt := range map[string]struct {
		prepare func()
		cluster string
		want    error
	}{
		"another cluster":   {func() {}, "us", redis.ErrForeign},
		"a newer format":    {func() { c.HSet(ctx, "p:{meta}", "format", redis.Format+1) }, "", redis.ErrFormat},
		"no number":         {func() { c.HSet(ctx, "p:{meta}", "format", "one") }, "", redis.ErrForeign},
		"another type":      {func() { c.Del(ctx, "p:{meta}"); c.Set(ctx, "p:{meta}", "x", 0) }, "", redis.ErrForeign},
		"a hash of another": {func() { c.Del(ctx, "p:{meta}"); c.HSet(ctx, "p:{meta}", "format", "9.1") }, "", redis.ErrForeign},
	} {
		c.Del(ctx, "p:{meta}")
		if _, err := redis.Join(ctx, c, "p", "eu"); err != nil {
			t.Fatal(err)
		}
		tt.prepare()
		_, err := redis.Join(ctx, c, "p", tt.cluster)
		if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A first node that died in the middle does not keep others out.
	c.Del(ctx, "p:{meta}")
	c.HSet(ctx, "p:{meta}", "cluster", "eu")
	if r, err := redis.Join(ctx, c, "p", ""); err != nil || r.Cluster != "eu" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := redis.Join(ctx, c, "a{b", ""); !errors.Is(err, redis.ErrOptions) {
		t.Error(err)
	}
}

// What the record says rises only, and keeps older programs out.
func TestRaise(t *testing.T) {
	c := redistest.Start(t).Client(t)
	if err := redis.Raise(ctx, c, "p", 2); err != nil || c.Exists(ctx, "p:{meta}").Val() != 0 {
		t.Errorf("a record came out of nothing: %v", err)
	}
	first, err := redis.Join(ctx, c, "p", "")
	if err != nil || first.Format != 1 {
		t.Fatalf("%+v %v", first, err)
	}
	for _, format := range []int{redis.Format + 1, redis.Format} {
		if err := redis.Raise(ctx, c, "p", format); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := redis.Join(ctx, c, "p", ""); !errors.Is(err, redis.ErrFormat) {
		t.Error(err)
	}
}

func FuzzRecord(f *testing.F) {
	for _, s := range []string{"1\x00eu", "\x00", "2\x00", "1", "99999999999999999999\x00a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var values []any
		for v := range strings.SplitSeq(s, "\x00") {
			values = append(values, v)
		}
		if r, found, err := redis.ParseRecord(values); err == nil && found && r.Format < 1 {
			t.Errorf("%+v of %q", r, s)
		}
	})
}
