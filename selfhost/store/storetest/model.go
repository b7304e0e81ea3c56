package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A model is what one room must hold after each of its commits.
type model struct {
	id   store.RoomID
	room store.Room
	past []modelState // by commit number; past[0] is the empty room
	void bool         // a commit was made to fail

	mu      sync.Mutex // guards below, which answers change
	durable uint64     // greatest number answered with nil to a durable commit
	applied uint64     // greatest number answered with nil
	failed  bool
}

type modelState struct {
	rows   map[string]string
	outbox map[uint64]string
	alarm  store.Alarm
	host   string
	time   uint64
}

func (s modelState) clone() modelState {
	s.rows, s.outbox = maps.Clone(s.rows), maps.Clone(s.outbox)
	return s
}

func (m *model) now() *modelState { return &m.past[len(m.past)-1] }

// testModel drives a store with random commits, reads, faults, resets and crashes
// that lose some of what the engine need not have kept, and compares it with maps.
func testModel(t *testing.T, e Engine) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for i := range seeds {
		seed := uint64(time.Now().UnixNano()) + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			runModel(t, e, rng)
		})
	}
}

func runModel(t *testing.T, e Engine, rng *rand.Rand) {
	var hold Gate
	o := Options{Fault: hold.Fault, Crashes: true}
	if rng.IntN(2) == 0 {
		o.CacheBytes = 16 * 2000 // a few rows
	}
	place := e(t, o)
	s := place.Store(t)
	models := make([]*model, 3)
	for i := range models {
		models[i] = &model{id: store.RoomID{Kind: "k", Name: strings.Repeat("r", i+1)}, past: []modelState{{rows: map[string]string{}, outbox: map[uint64]string{}}}}
		models[i].room = Open(t, s, models[i].id)
	}
	for step := range 1200 {
		m := models[rng.IntN(len(models))]
		switch k := rng.IntN(100); {
		case k < 45:
			m.commit(rng, rng.IntN(40) == 0, &hold)
		case k < 60:
			m.checkList(t, rng)
		case k < 88:
			m.checkGet(t, rng)
		case k < 90:
			m.reopen(t, s)
		case k < 97:
			m.settle(t)
		case step%10 == 0:
			// A crash: some of what was not synced is there, some is not.
			for _, m := range models {
				m.mu.Lock()
			}
			place.Crash(t, rng)
			durable := make([]uint64, len(models))
			for i, m := range models {
				durable[i] = m.durable
			}
			for _, m := range models { // what is answered from now on came after the crash
				m.mu.Unlock()
			}
			s = place.Recover(t)
			hold.forget()
			for i, m := range models {
				m.recover(t, s, durable[i])
			}
			checkIndex(t, s, models)
		}
	}
	for _, m := range models {
		m.settle(t)
	}
	checkIndex(t, s, models)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func key(rng *rand.Rand) string { return string(rune('a' + rng.IntN(20))) }

func (m *model) commit(rng *rand.Rand, fault bool, hold *Gate) {
	if m.void {
		m.room.Commit(store.Commit{Number: uint64(len(m.past)), Writes: []store.Write{Put("void", "")}}, func(err error) {
			if err == nil {
				panic("a void commit succeeded")
			}
		})
		return
	}
	st := m.now().clone()
	n := uint64(len(m.past))
	c := store.Commit{Number: n, Time: uint64(rng.IntN(1000))}
	for range rng.IntN(6) {
		switch rng.IntN(6) {
		case 0:
			k := key(rng)
			c.Writes = append(c.Writes, Delete(k))
			delete(st.rows, k)
		case 1:
			a, b := key(rng), key(rng)
			if rng.IntN(8) == 0 {
				b = ""
			}
			c.Writes = append(c.Writes, DeleteRange(a, b))
			maps.DeleteFunc(st.rows, func(k, _ string) bool { return k >= a && (b == "" || k < b) })
		default:
			k, v := key(rng), fmt.Sprintf("%d.%d", n, len(c.Writes))
			if rng.IntN(20) == 0 {
				v = strings.Repeat(v, rng.IntN(20_000))
			}
			c.Writes = append(c.Writes, Put(k, v))
			st.rows[k] = v
		}
	}
	if rng.IntN(4) == 0 {
		a := store.Alarm{Scheduled: uint64(rng.IntN(9)), Due: uint64(rng.IntN(9))}
		if a.Scheduled == 0 {
			a = store.Alarm{}
		}
		c.Alarm, st.alarm = &a, a
	}
	if rng.IntN(8) == 0 {
		st.host = fmt.Sprint("host", n)
		c.Host = []byte(st.host)
	}
	for id := range st.outbox {
		if rng.IntN(2) == 0 {
			c.OutboxDone = append(c.OutboxDone, id)
			delete(st.outbox, id)
		}
	}
	for i := range rng.IntN(3) {
		c.Outbox = append(c.Outbox, []byte{byte(i)})
		st.outbox[store.OutboxID(n, i)] = string([]byte{byte(i)})
	}
	if rng.IntN(3) == 0 {
		c.Durability = store.Relaxed
	}
	if c.Empty() {
		m.room.Commit(c, func(error) {})
		return
	}
	st.time = max(st.time, c.Time)
	if fault {
		hold.Fail(m.id, n, ErrFault)
		m.void = true
	}
	m.past = append(m.past, st)
	m.room.Commit(c, func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if err != nil {
			m.failed = true
			return
		}
		m.applied = n
		if c.Durability == store.Durable {
			m.durable = n
		}
	})
}

func (m *model) checkGet(t *testing.T, rng *rand.Rand) {
	t.Helper()
	if m.void {
		return // what a room reads before its reset is not stated
	}
	k := key(rng)
	want, wantOK := m.now().rows[k]
	if v, ok, hit := m.room.GetCached([]byte(k)); hit && (ok != wantOK || string(v) != want) {
		t.Fatalf("cached %s is %.20q %v, want %.20q %v", k, v, ok, want, wantOK)
	}
	v, ok, err := m.room.Get(ctx, []byte(k))
	if err != nil || ok != wantOK || string(v) != want {
		t.Fatalf("%s is %.20q %v %v, want %.20q %v", k, v, ok, err, want, wantOK)
	}
}

func (m *model) checkList(t *testing.T, rng *rand.Rand) {
	t.Helper()
	if m.void {
		return
	}
	q := abi.ListRequest{Limit: 1 + rng.IntN(25), Reverse: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		q.Start = []byte(key(rng))
	}
	if rng.IntN(2) == 0 {
		q.End = []byte(key(rng))
	}
	rows := m.now().rows
	keys := slices.Sorted(maps.Keys(rows))
	keys = slices.DeleteFunc(keys, func(k string) bool {
		return k < string(q.Start) || len(q.End) > 0 && k >= string(q.End)
	})
	if q.Reverse {
		slices.Reverse(keys)
	}
	res, err := m.room.List(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	if n := min(len(keys), q.Limit); len(res.Entries) != n || res.More != (n < len(keys)) {
		t.Fatalf("%+v: %d rows, more %v, want %d of %d", q, len(res.Entries), res.More, n, len(keys))
	}
	for i, e := range res.Entries {
		if string(e.Key) != keys[i] || string(e.Value) != rows[keys[i]] {
			t.Fatalf("%+v: row %d is %q, want %q", q, i, e.Key, keys[i])
		}
	}
}

// settle waits for all answers, and resets the room if one was an error.
func (m *model) settle(t *testing.T) {
	t.Helper()
	_ = Wait(m.room, store.Commit{})
	m.mu.Lock()
	applied, failed := m.applied, m.failed
	m.failed, m.void = false, false
	m.mu.Unlock()
	if !failed {
		if applied != uint64(len(m.past)-1) {
			t.Fatalf("%d commits answered, want %d", applied, len(m.past)-1)
		}
		return
	}
	st, err := m.room.Reset(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if st.Number != applied {
		t.Fatalf("number %d after a failure, want %d", st.Number, applied)
	}
	m.past = m.past[:applied+1]
	m.check(t, st)
}

func (m *model) check(t *testing.T, st store.State) {
	t.Helper()
	want := m.now()
	if st.Alarm != want.alarm || string(st.Host) != want.host || st.Time != want.time || st.HasOutbox != (len(want.outbox) > 0) {
		t.Fatalf("state %+v, want %+v", st, want)
	}
	rows, _, err := m.room.Outbox(ctx, 0, store.MaxOutboxRead)
	if err != nil || len(rows) != len(want.outbox) {
		t.Fatalf("outbox %v %v, want %v", rows, err, want.outbox)
	}
	for _, row := range rows {
		if want.outbox[row.ID] != string(row.Data) {
			t.Fatalf("outbox row %d", row.ID)
		}
	}
	if got := All(t, m.room); len(got) != len(want.rows) {
		t.Fatalf("%d rows, want %d", len(got), len(want.rows))
	}
	for k, v := range want.rows {
		if got := Get(t, m.room, k); got != v {
			t.Fatalf("%s is %.20q, want %.20q", k, got, v)
		}
	}
}

// recover opens the room after a crash: it holds all that was durable, and of the rest a
// beginning.
func (m *model) recover(t *testing.T, s store.Store, durable uint64) {
	t.Helper()
	m.room = Open(t, s, m.id)
	st := m.room.State()
	if st.Number < durable || st.Number >= uint64(len(m.past)) {
		t.Fatalf("number %d after a crash, want %d to %d", st.Number, durable, len(m.past)-1)
	}
	m.past = m.past[:st.Number+1]
	m.durable, m.applied, m.failed = st.Number, st.Number, false
	m.void = false
	m.check(t, st)
}

// reopen closes the room and opens it again.
func (m *model) reopen(t *testing.T, s store.Store) {
	t.Helper()
	m.settle(t)
	if err := m.room.Close(); err != nil {
		t.Fatal(err)
	}
	m.room = Open(t, s, m.id)
	m.check(t, m.room.State())
}

// checkIndex looks for the rooms that have something due.
func checkIndex(t *testing.T, s store.Store, models []*model) {
	t.Helper()
	index, ok := s.(store.Index)
	if !ok {
		checkClaim(t, s.(store.Shared), models)
		return
	}
	due, boxes := map[store.RoomID]uint64{}, map[store.RoomID]bool{}
	for a, err := range index.Alarms(ctx, 1<<64-1) {
		if err != nil {
			t.Fatal(err)
		}
		if due[a.Room] != 0 {
			t.Fatalf("%s has two alarms", a.Room)
		}
		due[a.Room] = a.Due
	}
	for id, err := range index.Outboxes(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		boxes[id] = true
	}
	for _, m := range models {
		if due[m.id] != m.now().alarm.Due || boxes[m.id] != (len(m.now().outbox) > 0) {
			t.Fatalf("%s: due %d, outbox %v, want %+v", m.id, due[m.id], boxes[m.id], m.now())
		}
	}
}

// checkClaim waits until every room with something due was claimed: all alarms of the model are
// long past.
func checkClaim(t *testing.T, s store.Shared, models []*model) {
	t.Helper()
	missing := map[store.RoomID]bool{}
	for _, m := range models {
		if m.now().alarm.Due != 0 || len(m.now().outbox) > 0 {
			missing[m.id] = true
		}
	}
	for deadline := time.Now().Add(time.Minute); len(missing) > 0; time.Sleep(5 * time.Millisecond) {
		ids, err := s.Claim(ctx, store.MaxClaim)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			delete(missing, id)
		}
		if time.Now().After(deadline) {
			t.Fatalf("never claimed: %v", missing)
		}
	}
}
