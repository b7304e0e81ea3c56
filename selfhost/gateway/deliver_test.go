package gateway

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// mailbox is a Rooms hook with a bounded mailbox that somebody else empties.
type mailbox struct {
	mu    sync.Mutex // guards the fields below
	limit int
	held  []string
	room  chan struct{}
	waits chan struct{} // somebody has found it full, and waits
}

func (m *mailbox) message(_ *Connection, _ abi.Encoding, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) == m.limit {
		return fmt.Errorf("room x: %w", ErrMailboxFull)
	}
	m.held = append(m.held, string(data))
	return nil
}

func (m *mailbox) space(*Connection) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.held) < m.limit {
		return closedChan
	}
	select {
	case m.waits <- struct{}{}:
	default:
	}
	return m.room
}

func (m *mailbox) empty() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.held
	m.held = nil
	close(m.room)
	m.room = make(chan struct{})
	return held
}

func newMailbox(limit int) (*mailbox, *fakeRooms) {
	m := &mailbox{limit: limit, room: make(chan struct{}), waits: make(chan struct{}, 1)}
	rooms := newFakeRooms()
	rooms.onMessage, rooms.space = m.message, m.space
	return m, rooms
}

// TestBackPressure: while the mailbox is full the client waits, and nothing is lost or reordered.
func TestBackPressure(t *testing.T) {
	m, rooms := newMailbox(2)
	srv := start(t, setup{rooms: rooms, options: Options{MailboxWait: patience, Heartbeat: tenBeats, beats: noBeats}})
	r, _ := srv.openRaw("/v1/rooms/echo/room")
	for i := range 5 {
		r.write(frame(fin|opText, fmt.Append(nil, i)))
	}
	var got []string
	for len(got) < 4 {
		receive(t, m.waits) // the reader has found it full
		// Its silence is our doing: no heartbeat ends it.
		srv.beat(40)
		got = append(got, m.empty()...)
	}
	r.write(closeFrame(abi.CodeNormal, ""))
	srv.closedAs(abi.CodeNormal, true)
	got = append(got, m.empty()...)
	if fmt.Sprint(got) != "[0 1 2 3 4]" {
		t.Errorf("the room got %v", got)
	}
	if st := srv.g.Stats(); st.MailboxWaits == 0 {
		t.Error("no wait was counted")
	}
}

// TestBackPressureEnds: a mailbox that stays full costs the sender its connection.
func TestBackPressureEnds(t *testing.T) {
	_, rooms := newMailbox(0)
	srv := start(t, setup{rooms: rooms, options: Options{MailboxWait: time.Millisecond}})
	r, _ := srv.openRaw("/v1/rooms/echo/room")
	r.write(frame(fin|opText, []byte("x")))
	if reason := r.expectClose(abi.CodeOverloaded); abi.RetryHint(reason) == 0 {
		t.Errorf("reason %q has no hint", reason)
	}
	r.write(closeFrame(abi.CodeOverloaded, ""))
	srv.closedAs(abi.CodeOverloaded, true)
}

// TestCloseDuringBackPressure frees the reader at once.
func TestCloseDuringBackPressure(t *testing.T) {
	m, rooms := newMailbox(0)
	srv := start(t, setup{rooms: rooms, options: Options{MailboxWait: time.Hour}})
	r, c := srv.openRaw("/v1/rooms/echo/room")
	r.write(frame(fin|opText, []byte("x")))
	receive(t, m.waits)
	c.Close(abi.CodeKicked, "")
	r.expectClose(abi.CodeKicked)
	r.write(closeFrame(abi.CodeKicked, ""))
	srv.closedAs(abi.CodeKicked, true)
}
