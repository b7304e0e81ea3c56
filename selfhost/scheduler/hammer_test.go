package scheduler_test

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

// TestHammer counts in many rooms at once while one commit in ten fails and rooms fall asleep
// between messages: what was answered is counted once, what was rejected not at all.
func TestHammer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r, tried := rand.New(rand.NewPCG(seed, 0)), 0 // of the committer's goroutine
	s, err := pebble.OpenMemory(pebble.Options{Fault: func(store.RoomID, uint64) error {
		if tried++; tried%50 == 0 || r.IntN(10) == 0 { // some fail whatever its luck
			return errors.New("as the test asked")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := open(t, desks(rooms.Options{SleepAfter: time.Millisecond, MessagesPerSecond: 100_000, MessageBurst: 100_000}), s)
	const roomCount, perRoom, messages = 16, 2, 60
	var wg sync.WaitGroup
	for i := range roomCount {
		room := "room-" + strconv.Itoa(i)
		var mu sync.Mutex
		counted := 0
		clients := make([]*client, perRoom)
		for k := range clients {
			clients[k] = n.dial("desk", room, "user")
			clients[k].expect("welcome user")
		}
		for _, c := range clients {
			wg.Go(func() {
				mine := 0
				for range messages {
					if err := c.ws.Write(deadline(t), websocket.MessageText, []byte("count")); err != nil {
						t.Error(err)
						return
					}
					_, b, err := c.ws.Read(deadline(t))
					switch {
					case err != nil:
						t.Error(err)
						return
					case strings.HasPrefix(string(b), "n="):
						mine++
					case string(b) != "rejected: storage_unavailable: count":
						t.Errorf("%s: %q", room, b)
						return
					}
				}
				mu.Lock()
				defer mu.Unlock()
				counted += mine
			})
		}
		defer func() {
			if _, body := n.get("desk/" + room + "/n"); body != strconv.Itoa(counted) {
				t.Errorf("%s: stored %s, answered %d", room, body, counted)
			}
		}()
	}
	wg.Wait()
	if n.scheduler.Stats().VoidTurns == 0 {
		t.Error("no turn was void: the test tests nothing")
	}
}
