package member_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

// await waits until cond holds. Its limit is for what never happens.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func ids(v *member.View) (ids []string) {
	for _, m := range v.Members {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

// awaitMembers waits until m's view has exactly the members want.
func awaitMembers(t testing.TB, m *member.Membership, want ...*member.Membership) {
	t.Helper()
	var names []string
	for _, w := range want {
		names = append(names, w.Self().ID)
	}
	slices.Sort(names)
	deadline := time.After(time.Minute)
	for {
		v := m.View()
		if slices.Equal(ids(v), names) {
			return
		}
		select {
		case <-v.Superseded():
		case <-deadline:
			t.Fatalf("%s sees %v, want %v", m.Self().ID, ids(v), names)
		}
	}
}

// TestJoinAndLeave: with a lease of ten minutes, only what is pushed can be seen in time.
func TestJoinAndLeave(t *testing.T) {
	s := newServer(t)
	a := join(t, options(s.open()))
	o := options(s.open())
	o.Weight = 300
	o.Meta = member.Meta{Version: "1.2", URL: "https://b.example", LinkMin: 1, LinkMax: 2, Formats: map[string]int{"store": 3}}
	b := join(t, o)
	awaitMembers(t, a, a, b)
	got, ok := a.View().Member(b.Self().ID)
	if !ok || got.Weight != 300 || got.URL != o.Meta.URL || got.LinkMax != 2 || got.Formats["store"] != 3 || got.Draining {
		t.Fatalf("%+v, %v", got, ok)
	}
	if got.Generation != a.Self().Generation+1 || got.Address != o.Address || !strings.HasPrefix(got.ID, o.Address+"#2.") || got.Process() != 2 {
		t.Fatalf("%+v", got)
	}
	if f := a.View().Format("store"); f != 0 {
		t.Fatalf("a format that one member does not read may be written: %d", f)
	}
	if alive, err := a.Alive(t.Context(), got.ID); !alive || err != nil {
		t.Fatal(alive, err)
	}

	v := a.View()
	if same, err := a.Refresh(t.Context()); same != v || err != nil {
		t.Fatalf("nothing changed and there is another view, %v", err)
	}
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !b.Self().Draining || !b.Certain() {
		t.Fatal("b does not drain, or is dead")
	}
	await(t, "a to see b drain", func() bool { m, _ := a.View().Member(got.ID); return m.Draining })
	if n := a.View().Ring.Nodes(); len(n) != 1 || n[0].ID != a.Self().Address {
		t.Fatalf("the ring is %v", n)
	}

	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitMembers(t, a, a)
	if !closed(b.Lost()) || !errors.Is(b.Cause(), member.ErrLeft) || b.Certain() || b.State() != member.Over {
		t.Fatalf("b has left: cause %v, state %s", b.Cause(), b.State())
	}
	if alive, err := a.Alive(t.Context(), got.ID); alive || err != nil {
		t.Fatal(alive, err)
	}
	if _, err := b.Refresh(t.Context()); !errors.Is(err, member.ErrLeft) {
		t.Fatal(err)
	}
	if closed(a.Lost()) || a.Cause() != nil || !a.Certain() {
		t.Fatal("a is lost")
	}
}

// TestCrash: a node that says nothing disappears when its lease ends, and not before.
func TestCrash(t *testing.T) {
	s := newServer(t)
	a := join(t, options(s.open()))
	o := options(s.open())
	o.Lease = 2 * time.Second
	b := join(t, o)
	awaitMembers(t, a, a, b)
	c := s.open()
	b.Crash()
	crashed := time.Now()
	for {
		v := a.View()
		leases, err := member.List(t.Context(), c, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(leases) == 1 {
			break
		}
		if len(v.Members) != 2 {
			t.Fatal("b is gone from the view before its lease has ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
	awaitMembers(t, a, a)
	t.Logf("gone %s after the crash, with a lease of %s", time.Since(crashed).Round(time.Millisecond), o.Lease)
}

// TestPolling: a node that hears nothing of what is pushed sees it when it renews.
func TestPolling(t *testing.T) {
	s := newServer(t)
	deaf := s.open()
	deaf.deaf = true
	o := options(deaf)
	o.Lease = 2 * time.Second
	a := join(t, o)
	b := join(t, options(s.open()))
	awaitMembers(t, a, a, b)
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitMembers(t, a, a)
	// A crash, with nobody else there who could find it.
	o = options(s.open())
	o.Lease = time.Second
	c := join(t, o)
	awaitMembers(t, a, a, c)
	c.Crash()
	awaitMembers(t, a, a)
}

// TestDeadIdentity: once one node was told that another is dead, it cannot renew.
func TestDeadIdentity(t *testing.T) {
	s := newServer(t)
	c := s.open()
	a, b := join(t, options(s.open())), join(t, options(s.open()))
	awaitMembers(t, a, a, b)
	id := b.Self().ID
	expire(t, c, id)
	if alive, err := a.Alive(t.Context(), id); alive || err != nil {
		t.Fatal(alive, err)
	}
	if _, err := b.Refresh(t.Context()); !errors.Is(err, member.ErrGone) {
		t.Fatal(err)
	}
	if !closed(b.Lost()) || !errors.Is(b.Cause(), member.ErrGone) || b.Certain() {
		t.Fatalf("b goes on: %v", b.Cause())
	}
	if err := b.Drain(t.Context()); !errors.Is(err, member.ErrGone) {
		t.Fatal(err)
	}
	awaitMembers(t, a, a)
	// Its renewal finds it dead also where nobody asked.
	d := join(t, options(s.open()))
	expire(t, c, d.Self().ID)
	if _, err := d.Refresh(t.Context()); !errors.Is(err, member.ErrGone) {
		t.Fatal(err)
	}
	// The same address comes back as another.
	o := options(s.open())
	o.Address = b.Self().Address
	again := join(t, o)
	if again.Self().ID == id || again.Self().Generation <= d.Self().Generation {
		t.Fatalf("%s came back as %s", id, again.Self().ID)
	}
}

// expire lets an identity's lease end at Redis now.
func expire(t testing.TB, c member.Client, id string) {
	t.Helper()
	if n, err := c.Do(t.Context(), "ZADD", "oriel:{nodes}:leases", "XX", "CH", 1, id).Int(); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// A clock is set by hand.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(int64(time.Hour))
	return c
}

func (c *clock) now() time.Duration      { return time.Duration(c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// TestStopped: a process that was stopped for longer than its lease finds out at its first look.
func TestStopped(t *testing.T) {
	s := newServer(t)
	c := newClock()
	o := options(s.open())
	o.Now, o.Lease = c.now, time.Minute
	m := join(t, o)
	c.advance(time.Minute*12/20 - time.Millisecond)
	if m.State() != member.Held || !m.Certain() {
		t.Fatal(m.State())
	}
	c.advance(time.Millisecond)
	if m.State() != member.Doubtful || !m.Certain() {
		t.Fatal(m.State())
	}
	if _, err := m.Refresh(t.Context()); err != nil || m.State() != member.Held {
		t.Fatal(err, m.State())
	}
	c.advance(time.Minute*16/20 - time.Millisecond)
	if !m.Certain() || closed(m.Lost()) {
		t.Fatal("over too early")
	}
	c.advance(time.Millisecond)
	if m.Certain() || !closed(m.Lost()) || !errors.Is(m.Cause(), member.ErrExpired) {
		t.Fatalf("certain after the hard time, cause %v", m.Cause())
	}
	// Redis would still renew it; it must not come back.
	if alive, err := m.Alive(t.Context(), m.Self().ID); !alive || err != nil {
		t.Fatal(alive, err)
	}
	if _, err := m.Refresh(t.Context()); !errors.Is(err, member.ErrExpired) || m.Certain() {
		t.Fatal(err)
	}
}

// TestLateAnswer: a renewal whose answer comes after the hard time does not count.
func TestLateAnswer(t *testing.T) {
	s := newServer(t)
	c := newClock()
	o := options(nil)
	o.Lease = time.Minute
	slow := s.open()
	o.Redis, o.Now = slow, c.now
	m := join(t, o)
	c.advance(time.Minute * 15 / 20)
	late := func() { c.advance(time.Minute * 2 / 20) }
	slow.then.Store(&late)
	if _, err := m.Refresh(t.Context()); !errors.Is(err, member.ErrExpired) || m.Certain() {
		t.Fatal(err)
	}
}

// TestRedisAway: a Redis that comes back in time costs nobody the identity, one that does not costs it.
func TestRedisAway(t *testing.T) {
	s := newServer(t, durable...)
	c := newClock()
	o := options(s.open())
	o.Now, o.Lease = c.now, time.Minute
	m := join(t, o)
	id := m.Self().ID
	s.kill()
	c.advance(time.Minute * 13 / 20)
	if _, err := m.Refresh(t.Context()); err == nil || m.State() != member.Doubtful {
		t.Fatal(err, m.State())
	}
	if _, err := m.Alive(t.Context(), id); err == nil {
		t.Fatal("a Redis that is away says who lives")
	}
	s.start()
	if _, err := m.Refresh(t.Context()); err != nil || m.State() != member.Held || m.Self().ID != id {
		t.Fatal(err, m.State())
	}
	s.kill()
	c.advance(time.Minute * 16 / 20)
	if m.Certain() {
		t.Fatal("certain without Redis")
	}
	if err := m.Leave(t.Context()); err == nil {
		t.Fatal("left a Redis that is away")
	}
}

// TestCutOff: real time. Redis is out of reach: first doubt, then doubt is over, then it is for good.
func TestCutOff(t *testing.T) {
	s := newServer(t)
	c := s.open()
	doubts := make(chan bool, 16)
	o := options(c)
	o.Lease = 3 * time.Second
	o.Doubt = func(d bool) { doubts <- d }
	m := join(t, o)
	c.off.Store(true)
	if !<-doubts {
		t.Fatal("doubt is over before it began")
	}
	c.off.Store(false)
	select {
	case d := <-doubts:
		if d {
			t.Fatal("doubt twice")
		}
		if !m.Certain() {
			t.Fatal("lost although it was renewed")
		}
	case <-m.Lost(): // a machine this slow
		t.Skip("no renewal in 0.6 s")
	}
	c.off.Store(true)
	<-m.Lost()
	if !errors.Is(m.Cause(), member.ErrExpired) || m.Certain() {
		t.Fatal(m.Cause())
	}
	c.off.Store(false)
	o.Above = m.Highest()
	again := join(t, o)
	if again.Self().Generation <= m.Self().Generation {
		t.Fatal(again.Self().ID)
	}
}

// TestMargin: what a node believes of its lease ends a fifth of the lease before what Redis says.
func TestMargin(t *testing.T) {
	s := newServer(t)
	o := options(s.open())
	o.Lease = 5 * time.Second
	m := join(t, o)
	c := s.open()
	for range 20 {
		before := time.Now()
		left := m.Left()
		leases, err := member.List(t.Context(), c, "")
		took := time.Since(before)
		if err != nil || len(leases) != 1 {
			t.Fatal(err, leases)
		}
		if want := left + o.Lease/5 - took - 2*time.Millisecond; leases[0].Left < want {
			t.Fatalf("Redis says %s, the node %s", leases[0].Left, left)
		}
		if _, err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDataLost: Redis forgot everything. Nobody goes on, and generations still rise.
func TestDataLost(t *testing.T) {
	s := newServer(t)
	c := s.open()
	a, b := join(t, options(s.open())), join(t, options(s.open()))
	awaitMembers(t, a, a, b)
	if err := c.Do(t.Context(), "FLUSHALL").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Refresh(t.Context()); !errors.Is(err, member.ErrGone) {
		t.Fatal(err)
	}
	o := options(s.open())
	o.Above = a.Highest()
	again := join(t, o)
	if again.Self().Generation <= b.Self().Generation {
		t.Fatalf("generation %d came again", again.Self().Generation)
	}
	<-b.Lost() // the change was pushed
	if !errors.Is(b.Cause(), member.ErrGone) {
		t.Fatal(b.Cause())
	}
	// A counter that was lost while leases were not: living generations are not given again.
	if err := c.Do(t.Context(), "DEL", "oriel:{nodes}:generation").Err(); err != nil {
		t.Fatal(err)
	}
	if n := join(t, options(s.open())); n.Self().Generation != again.Self().Generation+1 {
		t.Fatal(n.Self().ID)
	}
}

// TestPrefixes: two fleets in one Redis do not see each other.
func TestPrefixes(t *testing.T) {
	s := newServer(t)
	a := join(t, options(s.open()))
	o := options(s.open())
	o.Prefix = "oriel:other"
	b := join(t, o)
	if _, err := a.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitMembers(t, a, a)
	awaitMembers(t, b, b)
	if alive, err := a.Alive(t.Context(), b.Self().ID); alive || err != nil {
		t.Fatal(alive, err)
	}
	if a.Self().Generation != 1 || b.Self().Generation != 1 {
		t.Fatal(a.Self().ID, b.Self().ID)
	}
}

// TestSameAddress: a node that starts again before its old lease has ended hides the old identity.
func TestSameAddress(t *testing.T) {
	s := newServer(t)
	o := options(s.open())
	old := join(t, o)
	old.Crash()
	m := join(t, o)
	awaitMembers(t, m, old, m)
	if at, ok := m.View().At(o.Address); !ok || at.ID != m.Self().ID {
		t.Fatalf("%+v", at)
	}
	if owner, ok := m.View().Owner("chat", "lobby"); !ok || owner.ID != m.Self().ID {
		t.Fatalf("%+v", owner)
	}
	if len(m.View().Ring.Nodes()) != 1 {
		t.Fatal(m.View().Ring.Nodes())
	}
}

func TestOptions(t *testing.T) {
	s := newServer(t)
	c := s.open()
	for name, change := range map[string]func(*member.Options){
		"no redis":        func(o *member.Options) { o.Redis = nil },
		"no address":      func(o *member.Options) { o.Address = "" },
		"no port":         func(o *member.Options) { o.Address = "a" },
		"port 0":          func(o *member.Options) { o.Address = "a:0" },
		"no host":         func(o *member.Options) { o.Address = ":1" },
		"space":           func(o *member.Options) { o.Address = "a b:1" },
		"hash":            func(o *member.Options) { o.Address = "a#b:1" },
		"long address":    func(o *member.Options) { o.Address = strings.Repeat("a", member.MaxAddress-1) + ":1" },
		"brace":           func(o *member.Options) { o.Prefix = "a{b" },
		"long prefix":     func(o *member.Options) { o.Prefix = strings.Repeat("a", member.MaxPrefix+1) },
		"weight":          func(o *member.Options) { o.Weight = 1001 },
		"short lease":     func(o *member.Options) { o.Lease = member.MinLease - 1 },
		"long lease":      func(o *member.Options) { o.Lease = member.MaxLease + 1 },
		"too much to say": func(o *member.Options) { o.Meta.URL = strings.Repeat("x", member.MaxRecord) },
		"above":           func(o *member.Options) { o.Above = 1 << 52 },
	} {
		o := options(c)
		change(&o)
		_, err := member.Join(t.Context(), o)
		if e := (*member.Error)(nil); !errors.Is(err, member.ErrOptions) || !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := options(c)
	o.Address = strings.Repeat("a", member.MaxAddress-2) + ":1"
	o.Prefix = strings.Repeat("p", member.MaxPrefix)
	o.Above = 1<<52 - 1
	m := join(t, o)
	if id := m.Self().ID; len(id) > member.MaxID || m.Self().Generation != 1<<52 {
		t.Fatal(len(id), id, m.Self().Generation)
	}
	if _, _, err := member.ParseID(m.Self().ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := member.Join(ctx, options(c)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
