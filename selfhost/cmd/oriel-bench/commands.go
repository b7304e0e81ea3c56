package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// commands counts what nodes ask of Redis for a message and for a room that wakes: what a node sends, and
// not what scripts do in Redis.
func commands(ctx context.Context, f *fleet) error {
	m, err := newMonitor(f.redis.Addr)
	if err != nil {
		return err
	}
	defer m.close()
	var heard atomic.Int64
	reader, err := f.client(ctx, f.nodes[1], "reader", "counted", func(o *client.Options) {
		o.Event = func(*protocol.Event) { heard.Add(1) }
		o.Signal = func(*protocol.Signal) { heard.Add(1) }
	})
	if err != nil {
		return err
	}
	defer reader.Abandon()
	const writers = 40
	var c [writers]*client.Client
	for i := range c {
		if c[i], err = f.client(ctx, f.nodes[i%len(f.nodes)], fmt.Sprint("writer-", i), "counted"); err != nil {
			return err
		}
		defer c[i].Abandon()
	}
	time.Sleep(time.Second)
	const messages = 100
	// each has count messages sent, one way, and returns the commands of the room for each of them.
	each := func(count int64, send func() error) (float64, error) {
		before, heardBefore := m.of("{chat/counted}"), heard.Load()
		if err := send(); err != nil {
			return 0, err
		}
		for until := time.Now().Add(patience); heard.Load() < heardBefore+count; time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				return 0, fmt.Errorf("%d of %d messages arrived", heard.Load()-heardBefore, count)
			}
		}
		time.Sleep(50 * time.Millisecond) // the monitor lags
		return float64(m.of("{chat/counted}")-before) / float64(count), nil
	}
	alone, err := each(messages, func() error {
		for range messages {
			if _, err := c[0].Publish(ctx, "message", message); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond) // the kind takes 50 messages a second of a connection
		}
		return nil
	})
	if err != nil {
		return err
	}
	together, err := each(messages*writers, func() error {
		var wg sync.WaitGroup
		errs := make(chan error, writers)
		for _, c := range c {
			wg.Go(func() {
				for range messages {
					if _, err := c.Publish(ctx, "message", message); err != nil {
						errs <- err
						return
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		return <-errs
	})
	if err != nil {
		return err
	}
	ephemeral, err := each(messages, func() error {
		for i := range messages {
			if err := c[1].Signal("typing", protocol.JSONPayload(fmt.Sprint(i%2 == 0))); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		return err
	}
	figure("redis_commands_per_publish", alone, "commands")
	figure(fmt.Sprintf("redis_commands_per_publish_of_%d_writers", writers), together, "commands")
	figure("redis_commands_per_ephemeral_message", ephemeral, "commands")

	const rooms = 50
	most, all := 0, 0
	for i := range rooms {
		room := fmt.Sprint("cold-", i)
		c, err := f.client(ctx, f.nodes[i%len(f.nodes)], "ann", room)
		if err != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
		n := m.of("{chat/" + room + "}")
		most, all = max(most, n), all+n
		c.Abandon()
	}
	figure("redis_round_trips_per_room_activation", float64(all)/rooms, "commands")
	figure("redis_round_trips_per_room_activation_most", float64(most), "commands")
	before := m.of()
	time.Sleep(2 * time.Second)
	figure("redis_commands_of_an_idle_node_per_second", float64(m.of()-before)/2/float64(len(f.nodes)), "commands")
	return m.err()
}

// A monitor sees every command that is sent to a Redis.
type monitor struct {
	conn net.Conn
	over sync.WaitGroup

	mu    sync.Mutex     // guards the fields below
	tags  map[string]int // commands by the hash tag of their first key, "" without
	broke error
}

func newMonitor(addr string) (*monitor, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	m := &monitor{conn: c, tags: make(map[string]int)}
	if _, err := c.Write([]byte("MONITOR\r\n")); err != nil {
		return nil, err
	}
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || line != "+OK\r\n" {
		return nil, fmt.Errorf("MONITOR: %q, %w", line, err)
	}
	m.over.Go(func() {
		for {
			line, err := r.ReadString('\n')
			m.mu.Lock()
			if err != nil {
				m.broke = err
				m.mu.Unlock()
				return
			}
			if _, from, ok := strings.Cut(line, " ["); ok && !strings.Contains(from[:strings.IndexByte(from, ']')+1], "lua") && !strings.Contains(line, ":presence") {
				_, tag, _ := strings.Cut(line, ":{")
				tag, _, _ = strings.Cut(tag, "}")
				if strings.HasPrefix(tag, "wake:") && !strings.Contains(line, `"set"`) {
					// Of a room that wants it; else a correction some seconds later, or what every node looks for by itself.
					_, tag, _ = strings.Cut(line, `"chat/`)
					tag, _, _ = strings.Cut("chat/"+tag, `"`)
				}
				m.tags["{"+tag+"}"]++
			}
			m.mu.Unlock()
		}
	})
	return m, nil
}

// of counts the commands whose tag begins with one of some; all if none is given.
func (m *monitor) of(some ...string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for tag, count := range m.tags {
		match := len(some) == 0
		for _, s := range some {
			match = match || strings.HasPrefix(tag, s)
		}
		if match {
			n += count
		}
	}
	return n
}

func (m *monitor) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.broke
}

func (m *monitor) close() {
	_ = m.conn.Close()
	m.over.Wait()
}
