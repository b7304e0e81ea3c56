package runtime_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime"
)

// BenchmarkDensity keeps rooms awake and counts the memory that they take: the anonymous
// pages of their mappings, not the image's. Its settings are in the environment:
//
//	ORIEL_BENCH_MODULE   a module; default the tests' guest
//	ORIEL_BENCH_KIND     the kind; default the module's first
//	ORIEL_BENCH_ROOMS    how many; default 1,000
//	ORIEL_BENCH_MEMBERS  connections of each; default 4
//	ORIEL_BENCH_MESSAGES messages of each room; default 10
//	ORIEL_BENCH_HELLO    a first message of each connection, if not empty
//	ORIEL_BENCH_MESSAGE  a message; %d becomes the number of the sender's message, from 1
//
// Run it with -benchtime 1x.
func BenchmarkDensity(b *testing.B) {
	count := func(name string, value int) int {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
		return value
	}
	rooms, members, messages := count("ORIEL_BENCH_ROOMS", 1000), count("ORIEL_BENCH_MEMBERS", 4), count("ORIEL_BENCH_MESSAGES", 10)
	hello, message := os.Getenv("ORIEL_BENCH_HELLO"), os.Getenv("ORIEL_BENCH_MESSAGE")
	if message == "" {
		message = "echo message %d"
	}
	r := newRuntime(b, runtime.Options{WarmUp: warmUp(hello, message)})
	m := load(b, r, module(b))
	if err := m.WarmUpError(); err != nil {
		b.Log(err)
	}
	kind := m.Manifest().Kinds[0]
	if name := os.Getenv("ORIEL_BENCH_KIND"); name != "" {
		for _, k := range m.Manifest().Kinds {
			if k.Name == name {
				kind = k
			}
		}
	}
	protocol := ""
	if len(kind.Protocols) > 0 {
		protocol = kind.Protocols[0]
	}
	for b.Loop() {
		before := anonymous(b)
		awake := make([]*runtime.Room, rooms)
		for i := range awake {
			awake[i] = newRoom(b, m, "")
			d := driver{b: b, room: awake[i], batch: abi.Batch{Handle: uint64(i + 1), Time: 1_790_000_000_000}}
			d.turn(&abi.StartEvent{Kind: kind.Name, Room: fmt.Sprint("room-", i), Reason: abi.StartCold, Term: "t"})
			for id := 1; id <= members; id++ {
				d.turn(&abi.ConnectEvent{Connection: abi.Connection{ID: uint64(id), User: fmt.Sprint("user-", id), Protocol: protocol, Since: d.batch.Time}})
				if hello != "" {
					d.turn(&abi.MessageEvent{Connection: uint64(id), Encoding: abi.Text, Data: []byte(hello)})
				}
			}
			for n := range messages {
				text := strings.ReplaceAll(message, "%d", strconv.Itoa(n/members+1))
				d.turn(&abi.MessageEvent{Connection: uint64(n%members + 1), Encoding: abi.Text, Data: []byte(text)})
			}
		}
		used := anonymous(b) - before
		b.ReportMetric(float64(used)/1024/float64(rooms), "KiB/room")
		b.ReportMetric(float64(used)/(1<<20), "MiB")
		folded := 0
		began := time.Now()
		for _, room := range awake {
			room.Fold()
			folded += room.Folded()
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/float64(rooms), "us/fold")
		b.ReportMetric(float64(folded)/1024/float64(rooms), "folded-KiB/room")
		b.ReportMetric(float64(folded)/(1<<20), "folded-MiB")
		began = time.Now()
		for i, room := range awake {
			(&driver{b: b, room: room, batch: abi.Batch{Handle: uint64(i + 1), Time: 1_800_000_000_000}}).turn(&abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte(`{"type":"ping"}`)})
		}
		b.ReportMetric(float64(time.Since(began).Microseconds())/float64(rooms), "us/unfold+turn")
		for _, room := range awake {
			room.Close()
		}
	}
}

// warmUp returns a warm-up that speaks the rooms' protocol.
func warmUp(hello, message string) func(*abi.Manifest) [][]byte {
	if hello == "" {
		return nil
	}
	return func(m *abi.Manifest) (batches [][]byte) {
		for i, k := range m.Kinds {
			turn := abi.Batch{Handle: 1<<63 + uint64(i), Time: 1_700_000_000_000}
			add := func(e abi.Event) {
				turn.Time++
				turn.Events = []abi.Event{e}
				batches = append(batches, abi.AppendBatch(nil, &turn))
			}
			protocol := ""
			if len(k.Protocols) > 0 {
				protocol = k.Protocols[0]
			}
			add(&abi.StartEvent{Kind: k.Name, Room: "warm-up", Reason: abi.StartCold, Term: "t"})
			for id := range uint64(4) {
				add(&abi.ConnectEvent{Connection: abi.Connection{ID: id + 1, User: fmt.Sprint("user-", id), Protocol: protocol, Since: 1}})
				add(&abi.MessageEvent{Connection: id + 1, Encoding: abi.Text, Data: []byte(hello)})
			}
			for n := range 16 {
				add(&abi.MessageEvent{Connection: uint64(n%4 + 1), Encoding: abi.Text, Data: []byte(strings.ReplaceAll(message, "%d", strconv.Itoa(n/4+1)))})
			}
			add(&abi.ForgetEvent{})
		}
		return batches
	}
}

// driver feeds one room with events, one to a turn.
type driver struct {
	b     *testing.B
	room  *runtime.Room
	batch abi.Batch
}

func (d *driver) turn(e abi.Event) {
	d.batch.Time++
	d.batch.Events = []abi.Event{e}
	out, err := d.room.Turn(context.Background(), abi.AppendBatch(nil, &d.batch), rows{})
	if err == nil {
		_, err = abi.DecodeEffects(out)
	}
	if err != nil {
		d.b.Fatal(err)
	}
}

// anonymous returns the bytes of anonymous memory in the mappings of memory images.
func anonymous(b *testing.B) (n int64) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		b.Skip(err)
	}
	defer f.Close()
	image := false
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if name, rest, ok := strings.Cut(line, ":"); ok && !strings.Contains(name, " ") {
			if image && name == "Anonymous" {
				kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				n += kb << 10
			}
		} else {
			image = strings.Contains(line, "memfd:oriel-image")
		}
	}
	return n
}
