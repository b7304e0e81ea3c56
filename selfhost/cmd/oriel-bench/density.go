package main

import (
	"bufio"
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/runtime"
)

// density measures what rooms cost that are awake, and then asleep: chat rooms of four members
// after ten messages each.
func density(ctx context.Context, binary []byte, rooms int) error {
	r, err := runtime.New(ctx, runtime.Options{})
	if err != nil {
		return err
	}
	defer r.Close(ctx)
	m, err := r.Load(ctx, binary)
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	before, err := anonymous()
	if err != nil {
		return err
	}
	all := make([]*chat, 0, rooms)
	created := make([]time.Duration, 0, rooms)
	for i := range rooms {
		c, err := newChat(ctx, m, strconv.Itoa(i), 4)
		if err != nil {
			return err
		}
		created = append(created, c.first)
		for range 10 {
			if err := c.run(ctx, c.next()); err != nil {
				return err
			}
		}
		all = append(all, c)
	}
	awake, err := anonymous()
	if err != nil {
		return err
	}
	figure("rooms", float64(rooms), "rooms")
	figure("room_first_turn_p50", percentile(created, 50), "us")
	figure("rooms_awake_memory", float64(awake.rooms-before.rooms)/(1<<20), "MiB")
	figure("rooms_awake_memory_each", float64(awake.rooms-before.rooms)/float64(rooms)/1024, "KiB")
	for _, c := range all {
		c.model.Sleep()
	}
	debug.FreeOSMemory()
	asleep, err := anonymous()
	if err != nil {
		return err
	}
	figure("rooms_asleep_memory", float64(max(asleep.rooms-before.rooms, 0))/(1<<20), "MiB")
	for _, c := range all {
		if err := c.room.Close(); err != nil {
			return err
		}
	}
	return nil
}

// memory is private memory of the process, in bytes.
type memory struct{ rooms, total int64 }

// anonymous reads the pages that are the process's own: of the copy-on-write views that rooms
// are, and of everything. RSS would count the shared image once per room.
func anonymous() (m memory, err error) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return m, err
	}
	defer f.Close()
	room := false
	s := bufio.NewScanner(f)
	for s.Scan() {
		line := s.Text()
		name, value, field := strings.Cut(line, ":")
		if !field || strings.Contains(name, " ") { // the head of a mapping
			room = strings.Contains(line, "/memfd:")
			continue
		}
		if name != "Anonymous" {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return m, err
		}
		m.total += kb << 10
		if room {
			m.rooms += kb << 10
		}
	}
	return m, s.Err()
}
