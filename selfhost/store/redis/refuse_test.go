package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

var abiList = abi.ListRequest{Limit: 10}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want outcome
	}{
		{nil, answered},
		{goredis.Nil, answered},
		{redisError("NOSCRIPT No matching script. Please use EVAL."), unknownScript},
		{redisError("LOADING Redis is loading the dataset in memory"), later},
		{redisError("READONLY You can't write against a read only replica."), later},
		{redisError("ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica."), later},
		{redisError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), later},
		{redisError("CLUSTERDOWN The cluster is down"), later},
		{redisError("TRYAGAIN Multiple keys request during rehashing of slot"), later},
		{redisError("MOVED 1 127.0.0.1:1"), later},
		{redisError("ASK 1 127.0.0.1:1"), later},
		{redisError("BUSY Redis is busy running a script."), later},
		{redisError("NOREPLICAS Not enough good replicas to write."), later},
		{redisError("NOAUTH Authentication required."), later},
		{redisError("WRONGPASS invalid username-password pair or user is disabled."), later},
		{redisError("ERR max number of clients reached"), later},
		{redisError("OOM command not allowed when used memory > 'maxmemory'."), refused},
		{redisError("ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed"), refused},
		{redisError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."), refused},
		{redisError("NOPERM this user has no permissions to run the 'evalsha' command"), refused},
		{redisError("WRONGTYPE Operation against a key holding the wrong kind of value"), refused},
		{redisError("CORRUPT row without a value"), refused},
		{redisError("BUSYGROUP and others"), refused},
		{corrupt("x"), refused},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, later},
		{goredis.ErrPoolTimeout, later},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, unsure},
		{io.EOF, unsure},
		{io.ErrUnexpectedEOF, unsure},
		{context.DeadlineExceeded, unsure},
		{goredis.ErrClosed, unsure},
		{errors.New("anything else"), unsure},
	} {
		if got := judge(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
		if tt.err != nil {
			if got := judge(fmt.Errorf("wrapped: %w", tt.err)); got != tt.want && !strings.Contains(tt.err.Error(), " ") {
				t.Errorf("wrapped %v: %d, want %d", tt.err, got, tt.want)
			}
		}
	}
}

// A full Redis fails commits for certain and as a whole, and lets pass what only makes room.
func TestFullRedis(t *testing.T) {
	server := redistest.Start(t, "maxmemory-policy noeviction")
	c := server.Client(t)
	s := openStore(t, c, Options{})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "1"), put("b", "1")}, Outbox: [][]byte{{1}, {2}}}); err != nil {
		t.Fatal(err)
	}
	full := func(v string) {
		t.Helper()
		if err := c.ConfigSet(ctx, "maxmemory", v).Err(); err != nil {
			t.Fatal(err)
		}
	}
	full("1")
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 2, Writes: []store.Write{storetest.Delete("a"), put("c", "2")}, Alarm: &store.Alarm{Scheduled: 1, Due: 1}}, func(err error) {
		if err == nil || !strings.Contains(err.Error(), "OOM") {
			t.Errorf("in a full Redis: %v", err)
		}
		rec.Done("2")(errors.New("oom"))
	})
	r.Commit(store.Commit{Number: 3, Writes: []store.Write{put("c", "3")}}, rec.Done("3"))
	redistest.Await(t, "both are answered", func() bool { return rec.Len() == 2 })
	if got := rec.Wait(); got != "2:oom 3:void" {
		t.Error(got)
	}
	st, err := r.Reset(ctx)
	if err != nil || st.Number != 1 || st.Alarm.Due != 0 {
		t.Fatalf("%+v %v", st, err)
	}
	if got := strings.Join(storetest.All(t, r), " "); got != "a=1 b=1" {
		t.Errorf("rows %q", got)
	}
	if err := wait(r, store.Commit{Number: 2, Writes: []store.Write{storetest.Delete("a")}, OutboxDone: []uint64{store.OutboxID(1, 0)}}); err != nil {
		t.Errorf("making room: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("giving back: %v", err)
	}
	r = open1(t, s, roomA) // a room that is there can be taken
	if err := wait(r, store.Commit{Number: 3, Writes: []store.Write{storetest.DeleteRange("", "")}}); err != nil {
		t.Errorf("making room: %v", err)
	}
	if _, err := s.Open(ctx, store.RoomID{Kind: "k", Name: "new"}); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("a new room: %v", err)
	}
	if s.Away() {
		t.Error("a full Redis is not away")
	}
	full("0")
	if err := wait(r, store.Commit{Number: 4, Writes: []store.Write{put("d", "4")}}); err != nil {
		t.Errorf("with memory again: %v", err)
	}
}

// A master that has become a replica takes no writes: what is committed waits until it does again.
func TestDemotedMaster(t *testing.T) {
	server := redistest.Start(t)
	c := server.Client(t)
	s := openStore(t, c, Options{})
	r := open1(t, s, roomA)
	if err := c.Do(ctx, "replicaof", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}}, rec.Done("1"))
	redistest.Await(t, "it is away", s.Away)
	if rec.Len() > 0 {
		t.Error(rec.Wait())
	}
	if err := c.Do(ctx, "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	if got := rec.Wait(); got != "1:ok" {
		t.Error(got)
	}
}

// A user whose rights are taken away gets one clear line per commit.
func TestForbidden(t *testing.T) {
	server := redistest.Start(t)
	admin := server.Client(t)
	set := func(rules ...any) {
		t.Helper()
		if err := admin.Do(ctx, append([]any{"acl", "setuser", "u", "on", ">pw", "~*"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("+@all")
	s := openStore(t, redistest.Client(t, redis.Options{URLs: []string{"redis://u:pw@" + server.Addr}}), Options{})
	r := open1(t, s, roomA)
	set("-hset")
	err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}})
	if err == nil || errors.Is(err, store.ErrFenced) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v", err)
	}
	set("+hset")
	if st, err := r.Reset(ctx); err != nil || st.Number != 0 {
		t.Errorf("%+v %v", st, err)
	}
	if err := wait(r, store.Commit{Number: 1, Writes: []store.Write{put("a", "1")}}); err != nil {
		t.Error(err)
	}
}

// A newer format, or another cluster's record, stops the store.
func TestRecordChanges(t *testing.T) {
	c := shared.Client(t)
	for name, change := range map[string]func(key string){
		"a newer format":  func(key string) { c.HSet(ctx, key, "format", redis.Format+1) },
		"another cluster": func(key string) { c.HSet(ctx, key, "cluster", "other") },
	} {
		s := onShared(t, Options{ClaimTime: 20 * time.Millisecond})
		r := open1(t, s, roomA)
		key := redis.Key(s.opts.Prefix, "meta", "")
		// A record that is gone comes back: Redis has lost everything.
		c.Del(ctx, key)
		redistest.Await(t, "the record is back", func() bool { return c.HGet(ctx, key, "cluster").Val() == s.cluster })
		change(key)
		<-s.Stopped()
		if err := s.Err(); !errors.Is(err, store.ErrStopped) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if err := wait(r, store.Commit{Number: 1, Host: []byte{1}}); !errors.Is(err, store.ErrStopped) {
			t.Errorf("%s: a commit: %v", name, err)
		}
		if err := s.Close(); !errors.Is(err, store.ErrStopped) {
			t.Errorf("%s: close: %v", name, err)
		}
		o := Options{Prefix: s.opts.Prefix, Node: "n", Alive: alone, Cluster: s.cluster}
		if _, err := Open(ctx, c, o); !errors.Is(err, store.ErrFormat) && !errors.Is(err, redis.ErrForeign) {
			t.Errorf("%s: opened again: %v", name, err)
		}
	}
}

// What somebody else wrote under a room's keys is an error, and not more.
func TestCorruptRooms(t *testing.T) {
	c := shared.Client(t)
	s := onShared(t, Options{CacheBytes: -1})
	keys := roomKeys(s.opts.Prefix, roomA)
	for name, spoil := range map[string]func(){
		"a number":      func() { c.HSet(ctx, keys[0], "n", "12x") },
		"a time":        func() { c.HSet(ctx, keys[0], "t", "-1") },
		"an alarm":      func() { c.HSet(ctx, keys[0], "a", "1 2") },
		"a long host":   func() { c.HSet(ctx, keys[0], "h", strings.Repeat("h", store.MaxHost+1)) },
		"how it ended":  func() { c.HSet(ctx, keys[0], "l", "x") },
		"an owner":      func() { c.HSet(ctx, keys[0], "o", "x") },
		"another type":  func() { c.Del(ctx, keys[0]); c.Set(ctx, keys[0], "x", 0) },
		"an outbox":     func() { c.Set(ctx, keys[3], "x", 0) },
		"a key's value": func() { c.ZAdd(ctx, keys[2], goredis.Z{Member: "k"}) },
		"outbox rows":   func() { c.ZAdd(ctx, keys[3], goredis.Z{Member: "short"}) },
	} {
		c.Del(ctx, keys[:]...)
		spoil()
		r, err := s.Open(ctx, roomA)
		if err == nil { // these show only when they are read
			_, err1 := r.List(ctx, abiList)
			r.(*room).durable = store.MaxNumber // else nothing in the outbox is its own
			_, _, err2 := r.Outbox(ctx, 0, 9)
			err = errors.Join(err1, err2)
			_ = r.Close()
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if !errors.Is(err, store.ErrCorrupt) && !strings.Contains(err.Error(), "WRONGTYPE") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
