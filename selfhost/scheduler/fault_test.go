package scheduler_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

var errAsked = errors.New("as the test asked")

// hookStore is a store whose rooms do what a test wants beside their work. Nil hooks do nothing.
type hookStore struct {
	store.Store
	open  func(store.RoomID) error
	close func(store.RoomID)
	busy  func(store.RoomID) bool
}

func (s *hookStore) Open(ctx context.Context, id store.RoomID) (store.Room, error) {
	if s.open != nil {
		if err := s.open(id); err != nil {
			return nil, err
		}
	}
	r, err := s.Store.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	return &hookRoom{r, s}, nil
}

type hookRoom struct {
	store.Room
	s *hookStore
}

func (r *hookRoom) Busy() bool {
	if r.s.busy != nil {
		return r.s.busy(r.ID())
	}
	return r.Room.Busy()
}

func (r *hookRoom) Close() error {
	if r.s.close != nil {
		r.s.close(r.ID())
	}
	return r.Room.Close()
}

func memory(t *testing.T, fault func(store.RoomID, uint64) error) *pebble.Store {
	t.Helper()
	s, err := pebble.OpenMemory(pebble.Options{Fault: fault})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRoomThatDoesNotOpen has clients wait behind an Open that fails: each is told, also those
// of the later batches.
func TestRoomThatDoesNotOpen(t *testing.T) {
	const names, each = 5, 4
	gate := make(chan struct{})
	s := &hookStore{Store: memory(t, nil), open: func(store.RoomID) error { <-gate; return errAsked }}
	n := open(t, desks(rooms.Options{}), s)
	var clients []*client
	for i := range names {
		for range each {
			clients = append(clients, n.dial("desk", strconv.Itoa(i), "ann"))
		}
	}
	close(gate)
	for _, c := range clients {
		if code := c.closed(); code != abi.CodeRoomUnavailable {
			t.Fatal(code)
		}
	}
}

// TestFailedCommitWhileTheRoomWaits makes a commit fail whose delivery the room's next turn
// waits for, because the store is behind.
func TestFailedCommitWhileTheRoomWaits(t *testing.T) {
	for range 20 {
		var armed atomic.Bool
		asked, held := make(chan struct{}, 1), make(chan struct{})
		s := &hookStore{
			Store: memory(t, func(store.RoomID, uint64) error {
				if armed.CompareAndSwap(true, false) {
					close(held)
					<-asked
					return errAsked
				}
				return nil
			}),
			busy: func(store.RoomID) bool {
				select {
				case asked <- struct{}{}:
				default:
				}
				return true
			},
		}
		n := open(t, desks(rooms.Options{}), s)
		ann := n.dial("desk", "one", "ann")
		ann.expect("welcome ann")
		select { // the connect's own turn may have asked
		case <-asked:
		default:
		}
		armed.Store(true)
		ann.send("count")
		<-held
		ann.send("say after")
		for got := ""; got != "rejected: storage_unavailable: count"; {
			got = ann.receive()
		}
		n.stop()
	}
}

// TestOutboxRowDoneWhileTheRoomLeaves has the news that a row is done come at the moment at which
// the room is put away: the room must neither lose it nor stay for ever.
func TestOutboxRowDoneWhileTheRoomLeaves(t *testing.T) {
	var sched atomic.Pointer[scheduler.Scheduler]
	var once sync.Once
	id := store.RoomID{Kind: "desk", Name: "one"}
	var opened atomic.Int64
	s := &hookStore{
		Store: memory(t, nil),
		open:  func(store.RoomID) error { opened.Add(1); return nil },
		close: func(store.RoomID) { once.Do(func() { sched.Load().Told(id, store.OutboxID(1, 0)) }) },
	}
	n := open(t, desks(rooms.Options{SleepAfter: time.Millisecond}), s)
	sched.Store(n.scheduler)
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	_ = ann.ws.Close(1000, "")
	await(t, func() bool { return opened.Load() == 2 && n.scheduler.Stats().Rooms == 0 })
}

// TestRowDoneOfARoomThatDoesNotOpen: the row stays in the outbox, and the room does not spin.
func TestRowDoneOfARoomThatDoesNotOpen(t *testing.T) {
	s := &hookStore{Store: memory(t, nil), open: func(store.RoomID) error { return errAsked }}
	n := open(t, desks(rooms.Options{}), s)
	n.scheduler.Told(store.RoomID{Kind: "desk", Name: "one"}, store.OutboxID(1, 0))
	await(t, func() bool { return n.scheduler.Stats().Rooms == 0 })
}

// moody is a room that may refuse to take anybody up, and then to start.
type moody struct {
	desk
	broken *atomic.Bool
}

func (m *moody) Start(*rooms.Room) { m.mood() }

func (m *moody) mood() {
	if m.broken.Load() {
		panic("as asked")
	}
}

func (m *moody) Connect(r *rooms.Room, c *rooms.Connection) error {
	m.mood()
	return m.desk.Connect(r, c)
}

func (m *moody) Request(r *rooms.Room, q *rooms.Request) {
	r.Storage().Put("asked", []byte("yes"))
	q.Respond(http.StatusOK, "text/plain", nil)
}

// TestRefusalsSurviveAFailedCommit: the room does not start again while a commit is on its way that
// then fails. Who waited to be let in is refused all the same, and does not wait for ever.
func TestRefusalsSurviveAFailedCommit(t *testing.T) {
	var broken atomic.Bool
	held, gate := make(chan struct{}), make(chan struct{})
	s := memory(t, func(store.RoomID, uint64) error {
		close(held)
		<-gate
		return errAsked
	})
	m := &rooms.Module{}
	m.Register("desk", func() rooms.Kind { return &moody{broken: &broken} }, rooms.Options{})
	n := open(t, m, s)
	status := make(chan int, 1)
	go func() {
		code, _ := n.get("desk/one/write")
		status <- code
	}()
	<-held
	broken.Store(true)
	ann := n.dial("desk", "one", "ann")
	await(t, func() bool { return n.scheduler.Stats().StartFailures > 0 })
	close(gate)
	if code := ann.closed(); code != abi.CodeRoomUnavailable {
		t.Fatal(code)
	}
	if code := <-status; code != http.StatusServiceUnavailable {
		t.Fatal(code)
	}
}

// stubborn answers a message that was rejected with one more write.
type stubborn struct{ desk }

func (s *stubborn) Rejected(r *rooms.Room, code abi.Code, e abi.Event) {
	r.Storage().Put("rejected", []byte("yes"))
	s.desk.Rejected(r, code, e)
}

// TestCommitsThatGoOnFailing: each failure makes the room write again, which fails again. It must not
// take a core.
func TestCommitsThatGoOnFailing(t *testing.T) {
	const failures = 6
	var armed atomic.Bool
	var failed atomic.Int64
	s := memory(t, func(store.RoomID, uint64) error {
		if armed.Load() && failed.Add(1) <= failures {
			return errAsked
		}
		return nil
	})
	m := &rooms.Module{}
	m.Register("desk", func() rooms.Kind { return &stubborn{} }, rooms.Options{})
	n := open(t, m, s)
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	armed.Store(true)
	began := time.Now()
	ann.send("count")
	ann.expect("rejected: storage_unavailable: count")
	if took := time.Since(began); took < 310*time.Millisecond { // 10 + 20 + 40 + 80 + 160
		t.Fatalf("%d failures took only %s", failures, took)
	}
}

// TestLongestBound: the ends of a range may be a byte longer than a key, in reads and in writes.
func TestLongestBound(t *testing.T) {
	m := &rooms.Module{}
	m.Register("desk", func() rooms.Kind { return ranger{} }, rooms.Options{})
	n := open(t, m, nil)
	ann := n.dial("desk", "one", "ann")
	ann.send("go")
	ann.expect("1 then 0")
}

type ranger struct{}

func (ranger) Message(r *rooms.Room, c *rooms.Connection, _ rooms.Message) {
	last := string(bytes.Repeat([]byte{'z'}, 900))
	after := string(bytes.Repeat([]byte{'z'}, abi.MaxBound))
	count := func() int {
		rows, _ := r.Storage().List(rooms.ListOptions{Start: last, End: after})
		return len(rows)
	}
	r.Storage().Put(last, []byte("x"))
	before := count()
	r.Storage().DeleteRange(last, after)
	c.Send(rooms.Text(strconv.Itoa(before) + " then " + strconv.Itoa(count())))
}
