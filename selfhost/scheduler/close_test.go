package scheduler_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// TestRequestsAtTheEnd: when the scheduler closes, a request whose turn is on its way to the disk gets
// its answer, and one that the room has not answered is told that there will be none.
func TestRequestsAtTheEnd(t *testing.T) {
	held, gate := make(chan struct{}), make(chan struct{})
	m := &rooms.Module{}
	m.Register("desk", func() rooms.Kind { return clerk{} }, rooms.Options{SleepAfter: time.Millisecond})
	n := open(t, m, memory(t, func(store.RoomID, uint64) error {
		close(held)
		<-gate
		return nil
	}))
	ask := func(path string) chan int {
		status := make(chan int, 1)
		go func() {
			code, _ := n.get("desk/one/" + path)
			status <- code
		}()
		return status
	}
	never := ask("never")
	await(t, func() bool { return n.scheduler.Stats().Turns == 1 })
	write := ask("write")
	<-held
	closed := make(chan error, 1)
	go func() { closed <- n.scheduler.Close(deadline(t)) }()
	await(t, func() bool { code, _ := n.get("desk/two/x"); return code == http.StatusServiceUnavailable })
	close(gate)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if code := <-write; code != http.StatusOK {
		t.Errorf("the request that was written: %d", code)
	}
	if code := <-never; code != http.StatusServiceUnavailable {
		t.Errorf("the request without an answer: %d", code)
	}
}

// clerk answers and keeps what is to be written, and nothing else.
type clerk struct{}

func (clerk) Request(r *rooms.Room, q *rooms.Request) {
	switch q.Path {
	case "/write":
		r.Storage().Put("asked", []byte("yes"))
		q.Respond(http.StatusOK, "text/plain", nil)
	case "/x":
		q.Respond(http.StatusOK, "text/plain", nil)
	}
}
