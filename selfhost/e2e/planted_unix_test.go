//go:build unix

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/redis/redistest"
	"github.com/oriel-rooms/oriel/selfhost/store"
	redisstore "github.com/oriel-rooms/oriel/selfhost/store/redis"
)

// TestPlanted is the test of the torture test: each fault is planted in the oriel binary, the situation is
// forced in which it does harm, and what checks the torture has to find it. In the same situation
// nothing is found of the product as it is.
func TestPlanted(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another binary")
	}
	t.Parallel()
	for _, c := range []struct {
		name      string
		situation func(*stage)
		faults    map[string][]string // and what is found of each
	}{
		{"commits arrive late", (*stage).late, map[string][]string{
			"":                  nil,
			"token not checked": {"was acknowledged", "reader: the reader heard", " writes commit "},
			"blind retry":       {"was acknowledged", "reader: the reader heard", " writes commit "},
		}},
		{"a commit arrives twice", (*stage).twice, map[string][]string{
			"":                          nil,
			"commit number not checked": {"is at 8 and at 9", "commits: "},
		}},
		{"the owner stands still", (*stage).frozen, map[string][]string{
			"":            nil,
			"fencing off": {"was acknowledged", " writes commit "},
		}},
		{"events are under way in a drain", (*stage).drained, map[string][]string{
			"":                       nil,
			"hand-over without seal": {`publish {"id":"bob/3"}`},
		}},
	} {
		for fault, want := range c.faults {
			t.Run(c.name+"/"+cmp.Or(fault, "no fault"), func(t *testing.T) {
				t.Parallel()
				s := newStage(t, fault)
				c.situation(s)
				found := s.audit()
				for _, f := range found {
					if fault == "" {
						t.Error(f)
					} else {
						t.Log("found: ", f)
					}
				}
				for _, w := range want {
					if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, w) }) {
						t.Errorf("nothing like %q is found", w)
					}
				}
			})
		}
	}
}

// A stage is a room of two nodes: one owns it, and is where ann is connected; bob and a reader
// are at the other.
type stage struct {
	*fleet
	owner, other *peer
	limit        time.Duration // for what should happen; a fault may keep it from happening

	room     string
	id       store.RoomID
	record   func() redisstore.Record
	witness  *witness
	mark     func(word string)
	way      *redistest.Proxy // ann's way to the owner
	ann, bob *client.Client
	hearing  *client.Client
	reader   *reader
	ledger   ledger
	open     sync.WaitGroup // publishes without an answer

	mu    sync.Mutex // guards found
	found []string
}

func newStage(t *testing.T, fault string) *stage {
	f := newFleet(t, 2, time.Second, redistest.Durable, "--module", built.kinds, "--drain-timeout", "10s")
	s := &stage{fleet: f, owner: f.nodes[0], other: f.nodes[1], limit: patience, reader: &reader{}}
	if fault != "" {
		binary, err := faulty()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range f.nodes {
			p.oriel, p.env = binary, []string{"ORIEL_PLANTED=" + fault}
		}
		s.limit = 10 * time.Second
	}
	s.id = roomOf(s.owner, f.nodes)
	s.room = s.id.String()
	f.start()
	direct := f.redis.Client(t)
	s.record = func() redisstore.Record {
		r, err := redisstore.Inspect(context.Background(), direct, redis.DefaultPrefix, s.id)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	s.mark = func(word string) { _ = direct.Echo(context.Background(), word) }
	s.witness = newWitness(t, f.redis.Addr)
	s.way = redistest.NewProxy(t, s.owner.addr)
	through := &node{t: t, addr: s.way.Addr, http: s.owner.http}
	s.hearing = s.other.client(s.room, "reader", s.reader.options)
	ready(t, s.hearing)
	s.ann, s.bob = through.client(s.room, "ann"), s.other.client(s.room, "bob")
	ready(t, s.ann)
	ready(t, s.bob)
	for n := range 3 {
		<-s.publish(s.ann, "ann", n)
		<-s.publish(s.bob, "bob", n)
	}
	if r := s.record(); !strings.HasPrefix(r.Owner.Node, s.owner.links.Addr+"#") {
		t.Fatalf("the room is at %q", r.Owner.Node)
	}
	return s
}

func (s *stage) find(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = append(s.found, fmt.Sprintf(format, args...))
}

// publish publishes; the channel is closed when it is answered, or was not for too long.
func (s *stage) publish(c *client.Client, from string, n int) <-chan struct{} {
	done := make(chan struct{})
	data := fmt.Sprintf(`{"id":"%s/%d"}`, from, n)
	s.open.Go(func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), s.limit)
		defer cancel()
		offset, err := c.Publish(ctx, "message", protocol.JSONPayload(data))
		if err != nil {
			s.find("publish %s: %v", data, err)
			return
		}
		s.ledger.add(claim{offset: offset, data: data, from: from, n: n})
	})
	return done
}

// burst has ann publish n messages which are not answered, each in a turn of its own.
func (s *stage) burst(n int) {
	for i := range n {
		before := s.turns(s.owner)
		s.publish(s.ann, "late#"+strconv.Itoa(i), i)
		eventually(s.t, func() bool { return s.turns(s.owner) > before })
	}
}

func (s *stage) turns(p *peer) float64 {
	_, body := p.get(p.process.metrics + "/metrics")
	for line := range strings.Lines(body) {
		if v, ok := strings.CutPrefix(line, "oriel_turns_total "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
			return n
		}
	}
	return 0
}

// stranded waits until a connection to Redis is lost that carried all texts, and returns what it carried.
func (s *stage) stranded(texts ...string) (sent []byte) {
	eventually(s.t, func() bool {
		for _, sent = range s.owner.store.Stranded() {
			if whole(sent) && !slices.ContainsFunc(texts, func(text string) bool { return !bytes.Contains(sent, []byte(text)) }) {
				return true
			}
		}
		return false
	})
	return sent
}

// whole reports whether b ends with the end of a command.
func whole(b []byte) bool {
	length := func(kind byte) (n int) {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok || len(line) == 0 || line[0] != kind {
			return -1
		}
		b = rest
		n, _ = strconv.Atoi(string(line[1:]))
		return n
	}
	for len(b) > 0 {
		args := length('*')
		for range args {
			if n := length('$'); n >= 0 && n+2 <= len(b) {
				b = b[n+2:]
			} else {
				return false
			}
		}
		if args < 0 {
			return false
		}
	}
	return true
}

// arrive has commands reach Redis that were on their way for long, and returns its answers.
func (s *stage) arrive(commands []byte) (answers string) {
	c, err := net.Dial("tcp", s.redis.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(append(commands, "PING\r\n"...)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 4096)
	for !strings.HasSuffix(answers, "+PONG\r\n") {
		n, err := c.Read(b)
		if err != nil {
			s.t.Fatalf("%v after %q", err, answers)
		}
		answers += string(b[:n])
	}
	if strings.Contains(answers, "NOSCRIPT") {
		s.t.Fatalf("Redis does not know the script: %q", answers)
	}
	return answers
}

// taken waits until the room's owner is another than before.
func (s *stage) taken(before redisstore.Record) {
	eventually(s.t, func() bool {
		r := s.record()
		return r.Owner.Node != "" && r.Owner != before.Owner
	})
}

// late: commits of the owner are stuck on their way to Redis, also when they are sent again; it dies, another
// node takes the room and writes; then they arrive.
func (s *stage) late() {
	before := s.record()
	s.owner.store.Strand("late#")
	s.burst(12)
	stuck := s.stranded("late#0/", "late#11/") // with the first try's answer missing, all are sent together
	s.way.Refuse(true)
	s.way.Cut()
	s.owner.kill()
	s.taken(before)
	<-s.publish(s.bob, "bob", 3)
	taken := s.record()
	if taken.Number >= before.Number+12 {
		s.t.Fatalf("commit %d by now: those from %d on are too late to do harm", taken.Number, before.Number)
	}
	s.t.Logf("commit %d before, %d now: %.100q", before.Number, taken.Number, s.arrive(stuck))
	for n := range 12 {
		<-s.publish(s.bob, "bob", 4+n)
	}
	s.owner.store.Strand("")
	s.way.Refuse(false)
	s.again()
}

// twice: a commit is stuck on its way to Redis, is sent again, and applied; later ones follow; then the
// first try arrives. The owner dies before it writes again.
func (s *stage) twice() {
	s.owner.store.Strand("late#")
	first := s.publish(s.ann, "late#0", 0)
	stuck := s.stranded("late#0/")
	s.owner.store.Strand("")
	<-first
	s.way.HoldAnswers(true) // ann does not hear of what follows
	before := s.record()
	s.publish(s.ann, "late#1", 1)
	eventually(s.t, func() bool { return s.record().Number > before.Number })
	before = s.record()
	s.t.Logf("%.100q: commit %d before, %d now", s.arrive(stuck), before.Number, s.record().Number)
	s.owner.kill()
	s.way.Cut()
	s.way.HoldAnswers(false)
	s.again()
}

// frozen: the owner stands still beyond its lease, with a commit under way; another node takes the room and
// writes; then the owner goes on.
func (s *stage) frozen() {
	before := s.record()
	s.owner.store.HoldAsks(true)
	s.burst(1)
	s.owner.process.signal(s.t, syscall.SIGSTOP)
	s.taken(before)
	for n := range 6 {
		<-s.publish(s.bob, "bob", 3+n)
	}
	s.owner.store.HoldAsks(false)
	s.owner.process.signal(s.t, syscall.SIGCONT)
	s.open.Wait()
	for n := range 8 {
		<-s.publish(s.ann, "ann", 3+n)
	}
	s.again()
}

// drained: events are on their way to the owner, over a link that is slow, while it hands its rooms over.
func (s *stage) drained() {
	hold := func(hold bool) { // whichever of the two has dialed
		s.owner.links.HoldAsks(hold)
		s.other.links.HoldAnswers(hold)
	}
	hold(true)
	last := s.publish(s.bob, "bob", 3)
	before := s.record()
	s.way.To(s.other.addr) // where ann comes back
	s.owner.process.signal(s.t, syscall.SIGTERM)
	s.taken(before)
	<-s.publish(s.ann, "ann", 3)
	<-last
	hold(false)
	if code := s.owner.process.wait(s.t); code != 0 {
		s.find("the node that drained ended with %d", code)
	}
	s.again()
}

// again kills both nodes and starts them: what is read from here on is what Redis has.
func (s *stage) again() {
	for _, p := range s.nodes {
		if p.process != nil {
			p.kill()
		}
	}
	s.start()
}

// audit is the check at the end of the torture.
func (s *stage) audit() []string {
	s.open.Wait()
	got := history(s.t, s.other.addr, s.room, token(s.t, "auditor"))
	for _, f := range faults(got, s.ledger.claims) {
		s.find("%s", f)
	}
	at := uint64(0)
	for deadline := time.Now().Add(s.limit); at < uint64(len(got)) && time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		at = s.hearing.Place().Offset
	}
	s.hearing.Abandon()
	s.reader.mu.Lock()
	for _, f := range unheard(s.reader.heard, got) {
		s.find("reader: %s", f)
	}
	for _, gap := range s.reader.gaps {
		s.find("reader: told of a gap: %v", gap)
	}
	s.reader.mu.Unlock()
	wrote, commits := s.witness.faults(s.t, s.mark)
	for _, f := range wrote {
		s.find("commits: %s", f)
	}
	s.t.Logf("%d events, %d claims, %d commits", len(got), len(s.ledger.claims), commits)
	if commits == 0 {
		s.t.Error("the witness has seen no commit")
	}
	return s.found
}
