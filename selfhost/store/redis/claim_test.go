package redis

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/storetest"
)

// never is a claim time within which nothing of a test happens twice.
const never = time.Hour

// entry returns when the room is due in the time index, or 0.
func entry(t testing.TB, c goredis.UniversalClient, s *Store, id store.RoomID) uint64 {
	t.Helper()
	score, err := c.ZScore(ctx, wakeKeys(s.opts.Prefix, shardOf(id))[0], id.String()).Result()
	if err != nil && err != goredis.Nil {
		t.Fatal(err)
	}
	return uint64(score)
}

// redisNow returns the time of Redis's clock.
func redisNow(t testing.TB, c goredis.UniversalClient) uint64 {
	t.Helper()
	now, err := c.Time(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	return uint64(now.UnixMilli())
}

func alarm(due uint64) *store.Alarm { return &store.Alarm{Scheduled: due, Due: due} }

// When the script of a commit runs that needs an entry, the entry is there.
func TestWakeBeforeCommit(t *testing.T) {
	c := shared.Client(t)
	s := onShared(t, Options{ClaimTime: never})
	r := open1(t, s, roomA)
	now := redisNow(t, c)
	var number uint64
	commit := func(f func(*store.Commit)) (calls map[string]int) {
		t.Helper()
		number++
		cm := store.Commit{Number: number, Time: now, Host: []byte{1}}
		if f != nil {
			f(&cm)
		}
		before := redistest.Calls(t, c)
		if err := wait(r, cm); err != nil {
			t.Fatal(err)
		}
		calls = redistest.Calls(t, c)
		for name := range calls {
			calls[name] -= before[name]
		}
		return calls
	}
	commit(nil)
	for _, step := range []struct {
		name    string
		commit  func(*store.Commit)
		scripts int
		low, up uint64 // where the entry must be
	}{
		{"nothing due", nil, 1, 0, 0},
		{"an alarm", func(c *store.Commit) { c.Alarm = alarm(now + 50_000) }, 2, now + 50_000, now + 50_000},
		{"the same again", func(c *store.Commit) { c.Alarm = alarm(now + 50_000) }, 1, now + 50_000, now + 50_000},
		{"a later one", func(c *store.Commit) { c.Alarm = alarm(now + 60_000) }, 1, now + 50_000, now + 50_000},
		{"an earlier one", func(c *store.Commit) { c.Alarm = alarm(now + 40_000) }, 2, now + 40_000, now + 40_000},
		{"none", func(c *store.Commit) { c.Alarm = &store.Alarm{} }, 1, now + 40_000, now + 40_000},
		{"an outbox, and there is an entry", func(c *store.Commit) { c.Outbox = [][]byte{{1}} }, 1, now + 40_000, now + 40_000},
		{"a parked alarm", func(c *store.Commit) { c.Alarm = &store.Alarm{Scheduled: 1} }, 1, now + 40_000, now + 40_000},
		{"an alarm after the entry's time", func(c *store.Commit) { c.Time = now + 40_000; c.Alarm = alarm(now + 90_000) }, 2, now + 40_000, now + 40_000},
		{"an alarm that is past", func(c *store.Commit) { c.Alarm = alarm(5) }, 2, 5, 5},
	} {
		calls := commit(step.commit)
		if got := entry(t, c, s, roomA); got < step.low || got > step.up {
			t.Errorf("%s: due at %d, want %d to %d", step.name, got, step.low, step.up)
		}
		if n := calls["evalsha"] + calls["eval"]; n != step.scripts && calls["eval"] == 0 {
			t.Errorf("%s: %d scripts, want %d", step.name, n, step.scripts)
		}
	}
	// The outbox of a room without an entry is due within the claim time.
	other := open1(t, s, store.RoomID{Kind: "k", Name: "other"})
	if err := wait(other, store.Commit{Number: 1, Time: now, Outbox: [][]byte{{1}}}); err != nil {
		t.Fatal(err)
	}
	claim := uint64(never.Milliseconds())
	if got := entry(t, c, s, other.id); got < now+claim || got > redisNow(t, c)+claim {
		t.Errorf("an outbox is due at %d, now %d", got, now)
	}
}

// An entry is written before, not with or after: the script of the commit is refused here, and the entry
// stays.
func TestWakeComesFirst(t *testing.T) {
	c := shared.Client(t)
	var s *Store
	var seen uint64
	s = onShared(t, Options{ClaimTime: never, Fault: func(id store.RoomID, n uint64) error {
		// The last moment before the commit is sent.
		seen = uint64(c.ZScore(ctx, wakeKeys(s.opts.Prefix, shardOf(id))[0], id.String()).Val())
		return storetest.ErrFault
	}})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Alarm: alarm(77)}); err == nil || seen != 77 {
		t.Errorf("due at %d before the commit; %v", seen, err)
	}
	// The room has nothing due; its entry goes when it was opened and closed.
	if _, err := r.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "the entry is gone", func() bool { return entry(t, c, s, roomA) == 0 })
}

// Behind the commits the index is put right: while a room is open now and then, when it is closed at once.
func TestCorrections(t *testing.T) {
	c := shared.Client(t)
	for _, open := range []bool{true, false} {
		claim := never
		if open {
			claim = 400 * time.Millisecond
		}
		s := onShared(t, Options{ClaimTime: claim})
		id := store.RoomID{Kind: "k", Name: fmt.Sprint("open-", open)}
		r := open1(t, s, id)
		future := redisNow(t, c) + 1_000_000_000
		var number uint64
		step := func(name string, cm store.Commit, ok func(due uint64) bool) {
			t.Helper()
			number++
			cm.Number, cm.Time = number, redisNow(t, c)
			if err := wait(r, cm); err != nil {
				t.Fatal(err)
			}
			if !open {
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
			}
			redistest.Await(t, fmt.Sprintf("open %v, %s", open, name), func() bool { return ok(entry(t, c, s, id)) })
			if !open {
				r = open1(t, s, id)
			}
		}
		is := func(due uint64) func(uint64) bool { return func(got uint64) bool { return got == due } }
		soon := func(got uint64) bool {
			now := redisNow(t, c)
			return got > now-60_000 && got <= now+uint64(claim.Milliseconds())
		}
		step("an alarm", store.Commit{Alarm: alarm(future)}, is(future))
		step("a later alarm", store.Commit{Alarm: alarm(future + 5)}, is(future+5))
		step("an outbox too", store.Commit{Outbox: [][]byte{{1}}}, soon)
		step("the outbox is empty", store.Commit{OutboxDone: []uint64{store.OutboxID(3, 0)}}, is(future+5))
		step("a parked alarm", store.Commit{Alarm: &store.Alarm{Scheduled: 9}}, is(0))
		step("an alarm again", store.Commit{Alarm: alarm(future)}, is(future))
		step("no alarm", store.Commit{Alarm: &store.Alarm{}}, is(0))
		if !open {
			step("an alarm that is past", store.Commit{Alarm: alarm(7)}, func(got uint64) bool { return got > 7 && got <= redisNow(t, c) })
		}
		keys := c.HKeys(ctx, wakeKeys(s.opts.Prefix, shardOf(id))[1]).Val()
		if open && len(keys) != 0 {
			t.Errorf("left behind: %q", keys)
		}
	}
}

// What an earlier owner still sends changes nothing that a later one wrote.
func TestLateCorrections(t *testing.T) {
	c := shared.Client(t)
	s := onShared(t, Options{ClaimTime: never})
	run := func(epoch, seq uint64, mode string, w wake) int64 {
		t.Helper()
		cmd := s.wakeCommand(true, roomA, epoch, seq, mode, &w, 0)
		_ = c.Process(ctx, cmd)
		n, err := cmd.Int64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	far := uint64(abi.MaxTime)
	for _, step := range []struct {
		epoch, seq uint64
		mode       string
		due, want  uint64
		done       int64
	}{
		{2, 5, "min", far, far, 1},
		{2, 4, "set", 0, far, 0},       // sent before it
		{1, 9, "set", far - 9, far, 0}, // by an earlier owner
		{1, 9, "min", far - 8, far - 8, 1},
		{2, 6, "set", far - 1, far - 1, 1},
		{2, 5, "set", 0, far - 1, 0},
		{3, 1, "min", far, far - 1, 1},
		{2, 99, "set", 0, far - 1, 0},
		{3, 2, "set", 0, 0, 1},
		{3, 1, "set", far, far, 1}, // a needless start at worst
		{10, 1, "min", far, far, 1},
		{9, 1, "set", 0, far, 0}, // not compared as text
	} {
		if got := run(step.epoch, step.seq, step.mode, wake{due: step.due}); got != step.done {
			t.Errorf("%+v: answer %d", step, got)
		}
		if got := entry(t, c, s, roomA); got != step.want {
			t.Errorf("%+v: due at %d", step, got)
		}
	}
}

// Nodes that claim at the same time get each room once within the claim time, and again after it.
func TestClaimByTwo(t *testing.T) {
	prefix := unique("p")
	c := shared.Client(t)
	nodes := make([]*Store, 3)
	for i := range nodes {
		nodes[i] = onShared(t, Options{Prefix: prefix, ClaimTime: never})
	}
	const rooms = 300
	want := map[store.RoomID]bool{}
	for i := range rooms {
		r := open1(t, nodes[i%3], store.RoomID{Kind: "k", Name: fmt.Sprint(i)})
		cm := store.Commit{Number: 1}
		switch i % 3 {
		case 0:
			cm.Alarm = alarm(uint64(i + 1))
			want[r.id] = true
		case 1:
			cm.Alarm = alarm(abi.MaxTime)
		case 2:
			cm.Host = []byte{1}
		}
		if err := wait(r, cm); err != nil {
			t.Fatal(err)
		}
	}
	claim := func() map[store.RoomID]int {
		t.Helper()
		got := map[store.RoomID]int{}
		var mu sync.Mutex // guards got
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				for _, limit := range []int{1, 7, 50, store.MaxClaim, 3} {
					ids, err := nodes[i%3].Claim(ctx, limit)
					if err != nil || len(ids) > limit {
						t.Errorf("%d rooms, at most %d: %v", len(ids), limit, err)
					}
					mu.Lock()
					for _, id := range ids {
						got[id]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return got
	}
	got := claim()
	for id, n := range got {
		if n != 1 || !want[id] {
			t.Errorf("%s was claimed %d times, wanted %v", id, n, want[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rooms, want %d", len(got), len(want))
	}
	if again := claim(); len(again) != 0 {
		t.Errorf("claimed again: %v", again)
	}
	// After the claim time they are due again: here it is over at once.
	for i := range shards {
		key := wakeKeys(prefix, i)[0]
		for _, z := range c.ZRangeWithScores(ctx, key, 0, -1).Val() {
			if z.Score < float64(redisNow(t, c))+float64(2*never.Milliseconds()) {
				c.ZAdd(ctx, key, goredis.Z{Score: z.Score - float64(never.Milliseconds()), Member: z.Member})
			}
		}
	}
	if again := claim(); len(again) != len(want) {
		t.Errorf("%d rooms after the claim time, want %d", len(again), len(want))
	}
}

// A claim asks no shard twice for what it gets at once, and shares a small limit fairly.
func TestShare(t *testing.T) {
	due := make([]int64, shards)
	due[3], due[9], due[63] = 1000, 1, 2
	for limit := 1; limit < 20; limit++ {
		quota := share(due, limit)
		sum := 0
		for i, n := range quota {
			sum += n
			if int64(n) > due[i] {
				t.Errorf("limit %d: %d of shard %d", limit, n, i)
			}
		}
		if sum != limit || limit >= 8 && (quota[9] != 1 || quota[63] != 2) {
			t.Errorf("limit %d: %v", limit, quota)
		}
	}
}

// Somebody else's members in the index are left alone.
func TestStrangeEntries(t *testing.T) {
	c := shared.Client(t)
	s := onShared(t, Options{})
	c.ZAdd(ctx, wakeKeys(s.opts.Prefix, 3)[0], goredis.Z{Score: 1, Member: "no room"}, goredis.Z{Score: 2, Member: "k/\x00"})
	r := open1(t, s, roomA)
	if err := wait(r, store.Commit{Number: 1, Alarm: alarm(1)}); err != nil {
		t.Fatal(err)
	}
	ids, err := s.Claim(ctx, store.MaxClaim)
	if err != nil || !slices.Equal(ids, []store.RoomID{roomA}) {
		t.Errorf("%v %v", ids, err)
	}
	c.Set(ctx, wakeKeys(s.opts.Prefix, 3)[0]+":w", "x", 0)
	c.Del(ctx, wakeKeys(s.opts.Prefix, 4)[0])
	c.Set(ctx, wakeKeys(s.opts.Prefix, 4)[0], "x", 0)
	if _, err := s.Claim(ctx, 1); err == nil {
		t.Error("a shard of another type is no error")
	}
}

// The alarm of a dead owner's room is claimed by another node, which opens the room and finds it.
func TestAlarmWithoutOwner(t *testing.T) {
	prefix := unique("p")
	var l leases
	a := onShared(t, Options{Prefix: prefix, Node: "a", Alive: l.alive, ClaimTime: never})
	b := onShared(t, Options{Prefix: prefix, Node: "b", Alive: l.alive, ClaimTime: never})
	ra := open1(t, a, roomA)
	if err := wait(ra, store.Commit{Number: 1, Time: 1, Alarm: alarm(3), Outbox: [][]byte{{1}}}); err != nil {
		t.Fatal(err)
	}
	a.Fence()
	l.kill("a")
	ids, err := b.Claim(ctx, 8)
	if err != nil || !slices.Equal(ids, []store.RoomID{roomA}) {
		t.Fatalf("%v %v", ids, err)
	}
	rb := open1(t, b, roomA)
	if st := rb.State(); st.Alarm != *alarm(3) || !st.HasOutbox || st.Left != store.LeftDead {
		t.Errorf("%+v", st)
	}
	if err := wait(rb, store.Commit{Number: 2, Time: 5, Alarm: &store.Alarm{}, OutboxDone: []uint64{store.OutboxID(1, 0)}}); err != nil {
		t.Fatal(err)
	}
	if err := rb.Close(); err != nil {
		t.Fatal(err)
	}
	c := shared.Client(t)
	redistest.Await(t, "the entry is gone", func() bool { return entry(t, c, b, roomA) == 0 })
}

// A commit that turned void never wrote its entry: the same alarm set again does.
func TestWakeOfVoidCommit(t *testing.T) {
	c := shared.Client(t)
	var hold storetest.Gate
	s := onShared(t, Options{ClaimTime: never, Fault: hold.Fault})
	r := open1(t, s, roomA)
	hold.Fail(roomA, 1, storetest.ErrFault)
	hold.Close()
	var rec storetest.Recorder
	r.Commit(store.Commit{Number: 1, Host: []byte{1}}, rec.Done("1"))
	r.Commit(store.Commit{Number: 2, Alarm: alarm(abi.MaxTime)}, rec.Done("2"))
	hold.Open()
	if got := rec.Wait(); got != "1:fault 2:void" {
		t.Fatal(got)
	}
	if _, err := r.Reset(ctx); err != nil {
		t.Fatal(err)
	}
	if err := wait(r, store.Commit{Number: 1, Alarm: alarm(abi.MaxTime)}); err != nil {
		t.Fatal(err)
	}
	if got := entry(t, c, s, roomA); got != abi.MaxTime {
		t.Errorf("due at %d", got)
	}
}
