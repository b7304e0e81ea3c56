package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

func TestMembersLimit(t *testing.T) {
	b := newBench(t, func(c *host.Config) { c.Kind.Members = 2 })
	r := b.run(connect(1), connect(2), connect(3))
	b.expect("start:cold[] +1 +2")
	if len(r.Turns) != 2 || !r.Turns[0].Decision {
		t.Fatalf("%+v", r.Turns)
	}
	if e := r.Turns[0].Effects[0].(*abi.CloseEffect); e.Connection != 3 || e.Code != abi.CodeRoomFull {
		t.Errorf("%+v", e)
	}
	b.run(gone(1))
	b.run(connect(4))
	b.expect("-1 +4")
}

func TestTableSizeLimit(t *testing.T) {
	big := func(id uint64) abi.Event {
		e := connectWith(id, fmt.Sprint("attach ", abi.MaxAttachment))
		e.Connection.Claims = make([]byte, abi.MaxClaims)
		return e
	}
	b := newBench(t)
	rejected, refused, admitted := 0, 0, 0
	for id := uint64(1); id <= 430; id++ {
		r := b.run(big(id))
		switch {
		case len(r.Rejections) > 0:
			rejected++
		case r.Turns[0].Decision:
			refused++
		default:
			admitted++
		}
	}
	// 4 MiB in connections of about 10 KiB.
	if admitted < 380 || admitted > 410 || rejected == 0 {
		t.Errorf("%d admitted, %d refused, %d rejected", admitted, refused, rejected)
	}
	b.room.Sleep()
	b.guest.sizes = nil
	b.run(message(1, "x"))
	if got := b.guest.sizes[0]; got > abi.MaxBatch/2+1024 {
		t.Errorf("a start of %d bytes", got)
	}
	// Attaching the same size again grows nothing, and twice in a turn counts once.
	if r := b.run(message(1, fmt.Sprint("attach2 ", abi.MaxAttachment))); len(r.Rejections) != 0 {
		t.Errorf("%+v", r.Rejections)
	}
	r := b.run(message(1, "attach 1"), message(2, "attach 1"))
	if len(r.Rejections) != 0 {
		t.Errorf("%+v", r.Rejections)
	}
}

func TestTableSizeLimitWithinOneBatch(t *testing.T) {
	b := newBench(t)
	var events []abi.Event
	for id := uint64(1); id <= 450; id++ { // attachments of 3.7 MB, and claims of 0.9 MB
		e := connectWith(id, fmt.Sprint("attach ", abi.MaxAttachment))
		e.Connection.Claims = make([]byte, abi.MaxClaims)
		events = append(events, e)
	}
	r := b.run(events...)
	if len(r.Rejections) == 0 || r.Err != nil {
		t.Errorf("%d rejections, %v", len(r.Rejections), r.Err)
	}
	b.room.Sleep()
	b.guest.sizes = nil
	b.run(&abi.TickEvent{})
	if got := b.guest.sizes[0]; got > abi.MaxBatch/2+1024 || got < abi.MaxBatch/2-50_000 {
		t.Errorf("a start of %d bytes", got)
	}
}

func TestTableSizeFollowsThoseWhoLeave(t *testing.T) {
	b := newBench(t)
	for id := uint64(1); id <= 1000; id++ {
		r := b.run(connectWith(id, fmt.Sprint("attach ", abi.MaxAttachment)), gone(id))
		if len(r.Rejections) > 0 || r.Turns[0].Decision {
			t.Fatalf("connection %d was refused", id)
		}
		if r := b.run(connectWith(10_000+id, "tag"), message(10_000+id, fmt.Sprint("attach ", abi.MaxAttachment))); len(r.Rejections) > 0 {
			t.Fatalf("connection %d was refused", 10_000+id)
		}
		if r := b.run(message(10_000+id, "attach 0")); len(r.Rejections) > 0 {
			t.Fatal("an empty attachment is refused")
		}
		b.run(gone(10_000 + id))
	}
}

func TestBatchesAreCut(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.guest.batches, b.guest.sizes = nil, nil
	var many []abi.Event
	for range 3000 {
		many = append(many, message(1, "x"))
	}
	r := b.run(many...)
	n := 0
	for _, size := range b.guest.batches {
		n += size
		if size > 128 {
			t.Errorf("a batch of %d events", size)
		}
	}
	if n != 3000 || len(r.Turns) != 24 {
		t.Errorf("%d events in %d turns", n, len(r.Turns))
	}
	b.guest.batches, b.guest.sizes = nil, nil
	var large []abi.Event
	for range 10 {
		large = append(large, message(1, strings.Repeat("x", abi.MaxMessage)))
	}
	if r := b.run(large...); len(r.Rejections) != 0 || r.Err != nil {
		t.Errorf("%+v", r.Err)
	}
	for _, size := range b.guest.sizes {
		if size > abi.MaxBatch {
			t.Errorf("a batch of %d bytes", size)
		}
	}
	if len(b.guest.batches) != 10 {
		t.Errorf("%v", b.guest.batches)
	}
}

func TestTheLargestBatch(t *testing.T) {
	b := newBench(t)
	var events []abi.Event
	for id := uint64(1); id <= 500; id++ {
		events = append(events, connectWith(id, fmt.Sprint("attach ", 8100)))
	}
	b.run(events...)
	var lost []abi.Event
	for range 6 {
		lost = append(lost, message(1, strings.Repeat("x", abi.MaxMessage)))
	}
	b.room.Void(&b.durable, 0, lost, abi.CodeStorageUnavailable)
	b.guest.sizes = nil
	q := &abi.RequestEvent{ID: 1, Method: "POST", Path: "/x", Body: make([]byte, abi.MaxBody)}
	for range abi.MaxHeaders {
		q.Headers = append(q.Headers, abi.Header{Name: strings.Repeat("a", abi.MaxHeader), Value: strings.Repeat("v", abi.MaxHeader)})
	}
	if r := b.run(q); r.Err != nil || len(r.Rejections) != 0 {
		t.Fatalf("%v, %d rejections", r.Err, len(r.Rejections))
	}
	for _, got := range b.guest.sizes {
		if got > abi.MaxBatch {
			t.Errorf("a batch of %d bytes", got)
		}
	}
	if n := strings.Count(b.guest.words(), "rejected("); n != 6 {
		t.Errorf("the room heard of %d rejections", n)
	}
}

func TestMalformedEventsNeverReachTheRoom(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event abi.Event
		code  abi.Code // of the close, or of the answer
	}{
		{"text that is not UTF-8", &abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte{0xff}}, abi.CodeInvalidUTF8},
		{"a message too large", &abi.MessageEvent{Connection: 1, Encoding: abi.Binary, Data: make([]byte, abi.MaxMessage+1)}, abi.CodeTooBig},
		{"a message of no encoding", &abi.MessageEvent{Connection: 1}, abi.CodeMalformed},
		{"a long query", connectWith(9, strings.Repeat("q", abi.MaxQuery+1)), abi.CodeTooLarge},
		{"a query that is not UTF-8", connectWith(9, "\xff"), abi.CodeMalformed},
		{"a bad path", &abi.RequestEvent{ID: 9, Method: "GET", Path: "x"}, abi.CodeMalformed},
		{"a large body", &abi.RequestEvent{ID: 9, Method: "GET", Body: make([]byte, abi.MaxBody+1)}, abi.CodeTooLarge},
		{"a told of a bad name", &abi.ToldEvent{FromKind: "/", FromRoom: "r"}, 0},
		{"a start", &abi.StartEvent{Kind: "k", Room: "r", Reason: abi.StartCold}, 0},
		{"a forget", &abi.ForgetEvent{}, 0},
		{"a rejected", &abi.RejectedEvent{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.run(connect(1), connect(2))
			b.guest.words()
			r := b.run(message(2, "before"), tt.event, message(2, "after"))
			closes := ""
			if tt.code != 0 && tt.event.Type() == abi.EventMessage {
				closes = " -1"
			}
			b.expect("m2:before m2:after" + closes)
			if len(r.Rejections) != 1 || r.Rejections[0].Trap.Cause != host.CauseEvent || !r.Rejections[0].Known || b.guest.slept != 0 {
				t.Fatalf("%+v", r.Rejections)
			}
			if tt.code == 0 {
				return
			}
			switch e := r.Turns[0].Effects[0].(type) {
			case *abi.CloseEffect:
				if e.Code != tt.code || !r.Turns[0].Decision {
					t.Errorf("%+v", e)
				}
			case *abi.RespondEffect:
				if e.Status != uint64(tt.code.Info().Status) {
					t.Errorf("%+v", e)
				}
			}
			if b.durable.Len() != b.room.Connections().Len() {
				t.Errorf("tables of %d and %d", b.durable.Len(), b.room.Connections().Len())
			}
		})
	}
}

func TestCloseEventsAreMadeToFit(t *testing.T) {
	b := newBench(t)
	b.run(connect(1))
	b.guest.words()
	r := b.run(&abi.CloseEvent{Connection: 1, Code: 65535, Reason: strings.Repeat("\xff", 300)})
	b.expect("-1")
	if e := r.Turns[0].Events[0].(*abi.CloseEvent); e.Code != abi.CodeProtocolError || len(e.Reason) > abi.MaxCloseReason {
		t.Errorf("%+v", e)
	}
}

func TestCulpritsOutliveTheProcess(t *testing.T) {
	b := newBench(t)
	r := b.run(told(3, "panic"), told(4, "x"))
	if len(r.Rejections) != 1 || r.Rejections[0].Known {
		t.Fatalf("%+v", r.Rejections)
	}
	kept := b.room.Culprits()
	if len(kept) != 1 {
		t.Fatalf("%d culprits", len(kept))
	}
	next := newBench(t, func(c *host.Config) { c.Culprits = kept })
	r = next.run(told(3, "panic"), told(4, "x"), told(3, "other"))
	if len(r.Rejections) != 1 || !r.Rejections[0].Known {
		t.Errorf("%+v", r.Rejections)
	}
	next.expect("start:cold[] rejected(told rejected) told4 told3")
	// A client's message is asked again: the room may do better with it later.
	r = next.run(connect(1), message(1, "panic"))
	if len(next.room.Culprits()) != 1 || r.Rejections[0].Known {
		t.Errorf("%d culprits", len(next.room.Culprits()))
	}
	for i := range uint64(20) {
		next.run(told(100+i, "panic"))
	}
	if got := next.room.Culprits(); len(got) != 16 || slices.Contains(got, kept[0]) {
		t.Errorf("%d culprits, or the oldest is still among them", len(got))
	}
	many := newBench(t, func(c *host.Config) { c.Culprits = append(kept, make([][32]byte, 20)...) })
	if got := many.room.Culprits(); len(got) != 16 {
		t.Errorf("%d culprits", len(got))
	}
}

func TestDoubleAndUnknownConnections(t *testing.T) {
	b := newBench(t)
	b.run(connect(1), connect(1))
	b.run(connect(1), message(5, "x"), gone(6))
	b.expect("start:cold[] +1")
}
