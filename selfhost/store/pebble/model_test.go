package pebble

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A model is what one room must hold after each of its commits.
type model struct {
	id   store.RoomID
	room *room
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

// TestModel drives a store with random commits, reads, faults, resets and crashes
// that lose some of what was not synced, and compares it with maps.
func TestModel(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	for i := range seeds {
		seed := uint64(time.Now().UnixNano()) + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			runModel(t, rng)
		})
	}
}

func runModel(t *testing.T, rng *rand.Rand) {
	var hold gate
	fs := vfs.NewCrashableMem()
	o := Options{FS: fs, Fault: hold.fault, MemTableBytes: 1 << 20, RelaxedSync: time.Millisecond}
	if rng.IntN(2) == 0 {
		o.CacheBytes = 16 * 2000 // a few rows
	}
	s, err := Open("d", o)
	if err != nil {
		t.Fatal(err)
	}
	models := make([]*model, 3)
	for i := range models {
		models[i] = &model{id: store.RoomID{Kind: "k", Name: strings.Repeat("r", i+1)}, past: []modelState{{rows: map[string]string{}, outbox: map[uint64]string{}}}}
		models[i].room = openRoom(t, s, models[i].id)
	}
	for step := range 1200 {
		m := models[rng.IntN(len(models))]
		switch k := rng.IntN(100); {
		case k < 45:
			m.commit(rng, rng.IntN(40) == 0, &hold)
		case k < 60:
			m.checkList(t, rng)
		case k < 90:
			m.checkGet(t, rng)
		case k < 97:
			m.settle(t, s)
		case step%10 == 0:
			// A crash: some of what was not synced is there, some is not.
			for _, m := range models {
				m.mu.Lock()
			}
			clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			durable := make([]uint64, len(models))
			for i, m := range models {
				durable[i] = m.durable
			}
			for _, m := range models { // what is answered from now on came after the crash
				m.mu.Unlock()
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			fs, o.FS = clone, clone
			if s, err = Open("d", o); err != nil {
				t.Fatal(err)
			}
			for i, m := range models {
				m.recover(t, s, durable[i])
			}
			checkIndex(t, s, models)
		}
	}
	for _, m := range models {
		m.settle(t, s)
	}
	checkIndex(t, s, models)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func key(rng *rand.Rand) string { return string(rune('a' + rng.IntN(20))) }

func (m *model) commit(rng *rand.Rand, fault bool, hold *gate) {
	if m.void {
		m.room.Commit(store.Commit{Number: uint64(len(m.past)), Writes: []store.Write{put("void", "")}}, func(err error) {
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
			c.Writes = append(c.Writes, del(k))
			delete(st.rows, k)
		case 1:
			a, b := key(rng), key(rng)
			if rng.IntN(8) == 0 {
				b = ""
			}
			c.Writes = append(c.Writes, delRange(a, b))
			maps.DeleteFunc(st.rows, func(k, _ string) bool { return k >= a && (b == "" || k < b) })
		default:
			k, v := key(rng), fmt.Sprintf("%d.%d", n, len(c.Writes))
			if rng.IntN(20) == 0 {
				v = strings.Repeat(v, rng.IntN(20_000))
			}
			c.Writes = append(c.Writes, put(k, v))
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
		hold.fail(m.id, n, errFault)
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
func (m *model) settle(t *testing.T, s *Store) {
	t.Helper()
	_ = wait(m.room, store.Commit{})
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
	if got := all(t, m.room); len(got) != len(want.rows) {
		t.Fatalf("%d rows, want %d", len(got), len(want.rows))
	}
	for k, v := range want.rows {
		if got := get(t, m.room, k); got != v {
			t.Fatalf("%s is %.20q, want %.20q", k, got, v)
		}
	}
}

// recover opens the room after a crash: it holds all that was durable, and of the rest a
// beginning.
func (m *model) recover(t *testing.T, s *Store, durable uint64) {
	t.Helper()
	m.room = openRoom(t, s, m.id)
	st := m.room.State()
	if st.Number < durable || st.Number >= uint64(len(m.past)) {
		t.Fatalf("number %d after a crash, want %d to %d", st.Number, durable, len(m.past)-1)
	}
	m.past = m.past[:st.Number+1]
	m.durable, m.applied, m.failed = st.Number, st.Number, false
	m.void = false
	m.check(t, st)
}

func checkIndex(t *testing.T, s *Store, models []*model) {
	t.Helper()
	due, boxes := map[store.RoomID]uint64{}, map[store.RoomID]bool{}
	for a, err := range s.Alarms(ctx, 1<<64-1) {
		if err != nil {
			t.Fatal(err)
		}
		if due[a.Room] != 0 {
			t.Fatalf("%s has two alarms", a.Room)
		}
		due[a.Room] = a.Due
	}
	for id, err := range s.Outboxes(ctx) {
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
