package storetest

import (
	"errors"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Close answers what was submitted.
func testCloseAnswers(t *testing.T, e Engine) {
	var hold Gate
	hold.Close()
	s := openStore(t, e, Options{Fault: hold.Fault})
	r := Open(t, s, roomA)
	var answers []error
	for n := range uint64(5) {
		r.Commit(store.Commit{Number: n + 1, Writes: []store.Write{Put("a", "b")}}, func(err error) { answers = append(answers, err) })
	}
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	hold.Open()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if len(answers) != 5 || errors.Join(answers...) != nil {
		t.Errorf("answers %v", answers)
	}
}

func testClosed(t *testing.T, e Engine) {
	s := openStore(t, e, Options{})
	r := Open(t, s, roomA)
	if err := Wait(r, store.Commit{Number: 1, Writes: []store.Write{Put("a", "b")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !s.Away() || s.Err() != nil {
		t.Error("a closed store is away, and has not stopped")
	}
	_, _, err1 := r.Get(ctx, []byte("zz"))
	_, err2 := r.List(ctx, abi.ListRequest{Limit: 1})
	_, _, err3 := r.Outbox(ctx, 0, 1)
	_, err4 := s.Open(ctx, store.RoomID{Kind: "x", Name: "y"})
	_, err5 := r.Reset(ctx)
	err6 := Wait(r, store.Commit{Number: 2, Host: []byte{}})
	var err7 error
	switch s := s.(type) {
	case store.Index:
		for _, err := range s.Alarms(ctx, 1) {
			err7 = err
		}
	case store.Shared:
		_, err7 = s.Claim(ctx, 1)
	}
	for i, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	_ = s.Stats()
}
