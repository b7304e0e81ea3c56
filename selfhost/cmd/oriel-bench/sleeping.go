package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
)

// sharers is how many connections share a room in the other half of the comparison.
const sharers = 8

// sleeping measures what a sleeping room costs beyond its connections: connections that sit each
// in a room of its own, beside as many that share an eighth of the rooms, on a whole node.
func sleeping(ctx context.Context, binary []byte, connections int) error {
	dir, err := os.MkdirTemp(".", "oriel-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shared, err := asleep(ctx, binary, filepath.Join(dir, "shared"), connections, func(i int) string { return "room-" + strconv.Itoa(i/sharers) })
	if err != nil {
		return err
	}
	own, err := asleep(ctx, binary, filepath.Join(dir, "own"), connections, func(i int) string { return "room-" + strconv.Itoa(i) })
	if err != nil {
		return err
	}
	figure("sleeping_rooms", float64(connections), "rooms")
	figure("sleeping_room_with_connection_and_client", own, "bytes")
	figure("sleeping_eighth_of_a_room_with_the_same", shared, "bytes")
	figure("sleeping_room_beyond_its_connection", (own-shared)*sharers/(sharers-1), "bytes")
	return nil
}

// asleep connects clients, waits until their rooms sleep, and returns the memory for each client: Go's
// heap, and what rooms still hold.
func asleep(ctx context.Context, binary []byte, dir string, connections int, room func(int) string) (float64, error) {
	n, err := openNode(ctx, binary, dir)
	if err != nil {
		return 0, err
	}
	defer n.close()
	before, rooms, err := held()
	if err != nil {
		return 0, err
	}
	clients := make([]*client.Client, connections)
	defer func() {
		for _, c := range clients {
			if c != nil {
				c.Abandon()
			}
		}
	}()
	for i := range clients {
		if clients[i], err = n.client("user-"+strconv.Itoa(i), room(i)); err != nil {
			return 0, err
		}
		if err := clients[i].Ready(ctx); err != nil {
			return 0, err
		}
	}
	// A room sleeps 10 s after its last event, and the end of the time for hello is one.
	for until := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		m, err := anonymous()
		if err != nil {
			return 0, err
		}
		if m.rooms <= rooms {
			break
		}
		if time.Now().After(until) {
			return 0, errors.New("the rooms do not fall asleep")
		}
	}
	after, _, err := held()
	return float64(after-before) / float64(connections), err
}

// held is the heap after a collection with the memory of rooms, and the latter alone.
func held() (total, rooms int64, err error) {
	goruntime.GC()
	goruntime.GC() // what finalizers and pools held goes later
	debug.FreeOSMemory()
	var s goruntime.MemStats
	goruntime.ReadMemStats(&s)
	m, err := anonymous()
	return int64(s.HeapAlloc) + m.rooms, m.rooms, err
}
