package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// broadcast measures what a message to many members costs beside one node: the bytes on a link, which
// must not depend on the number of members, and the time.
func broadcast(ctx context.Context, f *fleet, members int) error {
	one, err := newAudience(ctx, f, "one-node")
	if err != nil {
		return err
	}
	defer one.close()
	three, err := newAudience(ctx, f, "three-nodes")
	if err != nil {
		return err
	}
	defer three.close()
	for _, n := range []int{members / 100, members / 10, members} {
		if err := three.grow(f, n, f.nodes); err != nil {
			return err
		}
		if err := three.settle(ctx); err != nil {
			return err
		}
		perMessage, err := three.linkBytes(ctx, f)
		if err != nil {
			return err
		}
		figure(fmt.Sprintf("link_bytes_per_message_%d_members", n), perMessage, "bytes")
	}
	if err := one.grow(f, members, []*peer{one.owner}); err != nil {
		return err
	}
	if err := one.settle(ctx); err != nil {
		return err
	}
	var first, all, last [2][]time.Duration
	for i := range 100 {
		for j, a := range []*audience{one, three} {
			got, err := a.publish(ctx)
			if err != nil {
				return err
			}
			if i < 10 { // warm-up
				continue
			}
			slices.Sort(got)
			first[j] = append(first[j], got[0])
			all[j] = append(all[j], got...)
			last[j] = append(last[j], got[len(got)-1])
			time.Sleep(30 * time.Millisecond) // the kind takes 50 messages a second of a connection
		}
	}
	figure("broadcast_members", float64(members), "members")
	for j, name := range []string{"one_node", "three_nodes"} {
		figure("broadcast_"+name+"_first_member_p50", percentile(first[j], 50), "us")
		figure("broadcast_"+name+"_p50", percentile(all[j], 50), "us")
		figure("broadcast_"+name+"_last_member_p50", percentile(last[j], 50), "us")
	}
	figure("broadcast_added_by_nodes_first_member_p50", percentile(first[1], 50)-percentile(first[0], 50), "us")
	figure("broadcast_added_by_nodes_p50", percentile(all[1], 50)-percentile(all[0], 50), "us")
	return nil
}

// An audience is the members of one room, and who publishes there, through the room's owner.
type audience struct {
	room      string
	owner     *peer
	publisher *client.Client
	members   []net.Conn
	reading   sync.WaitGroup
	sent      int
	now       atomic.Pointer[round]
}

// A round is one message on its way to every member.
type round struct {
	text string // what marks it
	sent time.Time
	got  []time.Duration // by member
	left atomic.Int64
	done chan struct{}
}

func newAudience(ctx context.Context, f *fleet, room string) (*audience, error) {
	a := &audience{room: room}
	c, err := f.client(ctx, f.nodes[0], "publisher", room)
	if err != nil {
		return nil, err
	}
	if a.owner, err = f.owner(ctx, room); err == nil && a.owner != f.nodes[0] {
		c.Abandon()
		c, err = f.client(ctx, a.owner, "publisher", room)
	}
	if a.publisher = c; err != nil {
		return nil, err
	}
	return a, nil
}

func (a *audience) close() {
	a.publisher.Abandon()
	for _, c := range a.members {
		_ = c.Close()
	}
	a.reading.Wait()
}

// grow connects members until there are n, to each node as many as to the others.
func (a *audience) grow(f *fleet, n int, nodes []*peer) error {
	const together = 32
	fresh := make([]net.Conn, n-len(a.members))
	errs := make([]error, together)
	var wg sync.WaitGroup
	for w := range together {
		wg.Go(func() {
			for i := w; i < len(fresh) && errs[w] == nil; i += together {
				fresh[i], errs[w] = a.join(f, nodes[i%len(nodes)], len(a.members)+i)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	a.members = append(a.members, fresh...)
	return nil
}

// settle waits until nothing more crosses from the owner: how many members there are goes out every quarter of a
// second, and at first their hellos wait in line.
func (a *audience) settle(ctx context.Context) error {
	const quiet = time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last, since := -1.0, time.Now()
	for time.Since(since) < quiet {
		sent, err := a.owner.figure(ctx, "oriel_cluster_sent_bytes_total")
		if err != nil {
			return err
		}
		if sent != last {
			last, since = sent, time.Now()
		}
		<-tick.C
	}
	return nil
}

// join connects one member, which does no more than it must: it is the servers that are measured.
func (a *audience) join(f *fleet, m *peer, i int) (net.Conn, error) {
	c, err := net.Dial("tcp", m.addr)
	if err != nil {
		return nil, err
	}
	arrived, err := newArrival(c.(*net.TCPConn))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c, "GET /v1/rooms/chat/%s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\nAuthorization: Bearer %s\r\n\r\n",
		a.room, m.addr, protocol.SubprotocolJSON, f.token("user-"+strconv.Itoa(i)))
	r := bufio.NewReaderSize(arrived, 1024)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("a member is answered %s", res.Status)
	}
	if err := writeFrame(c, 1, []byte(`{"type":"hello"}`)); err != nil {
		return nil, err
	}
	for {
		_, b, err := readFrame(c, r)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(b, []byte(`"welcome"`)) {
			break
		}
	}
	a.reading.Go(func() {
		for {
			_, b, err := readFrame(c, r)
			if err != nil {
				return
			}
			if now := a.now.Load(); now != nil && i < len(now.got) && bytes.Contains(b, []byte(now.text)) {
				now.got[i] = arrived.last.Sub(now.sent)
				if now.left.Add(-1) == 0 {
					close(now.done)
				}
			}
		}
	})
	return c, nil
}

// publish sends one message and returns how long it took to each member.
func (a *audience) publish(ctx context.Context) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a.sent++
	now := &round{text: fmt.Sprintf(`"text":"message %06d`, a.sent), got: make([]time.Duration, len(a.members)), done: make(chan struct{})}
	now.left.Store(int64(len(a.members)))
	a.now.Store(now)
	now.sent = time.Now().Round(0) // the kernel's times are of the wall clock too
	if _, err := a.publisher.Publish(ctx, "message", protocol.JSONPayload(`{`+now.text+` of about the length that people write"}`)); err != nil {
		return nil, err
	}
	select {
	case <-now.done:
		return now.got, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %d members did not get a message", a.room, now.left.Load())
	}
}

// linkBytes returns how many bytes of frames cross the owner's link to one other node for a message.
func (a *audience) linkBytes(ctx context.Context, f *fleet) (float64, error) {
	const messages = 20
	before, err := a.owner.figure(ctx, "oriel_cluster_sent_bytes_total")
	if err != nil {
		return 0, err
	}
	for range messages {
		if _, err := a.publish(ctx); err != nil {
			return 0, err
		}
		time.Sleep(30 * time.Millisecond)
	}
	after, err := a.owner.figure(ctx, "oriel_cluster_sent_bytes_total")
	return (after - before) / messages / float64(len(f.nodes)-1), err
}

// writeFrame writes a small WebSocket frame (RFC 6455, section 5.2) under a mask of zeros.
func writeFrame(w io.Writer, opcode byte, b []byte) error {
	_, err := w.Write(append([]byte{0x80 | opcode, 0x80 | byte(len(b)), 0, 0, 0, 0}, b...))
	return err
}

// readFrame reads the next frame of data, and answers pings. The frame is valid until the next call.
func readFrame(c net.Conn, r *bufio.Reader) (opcode byte, b []byte, err error) {
	for {
		head, err := r.Peek(2)
		if err != nil {
			return 0, nil, err
		}
		opcode, n, skip := head[0]&0xf, int(head[1]), 2
		switch n {
		case 126:
			if head, err = r.Peek(4); err != nil {
				return 0, nil, err
			}
			n, skip = int(binary.BigEndian.Uint16(head[2:])), 4
		case 127:
			return 0, nil, errors.New("a frame of over 64 KiB")
		}
		_, _ = r.Discard(skip) // has been peeked
		if n <= r.Size() {
			if b, err = r.Peek(n); err != nil {
				return 0, nil, err
			}
			_, _ = r.Discard(n)
		} else {
			b = make([]byte, n)
			if _, err = io.ReadFull(r, b); err != nil {
				return 0, nil, err
			}
		}
		switch opcode {
		case 8:
			return 0, nil, io.EOF
		case 9:
			if err := writeFrame(c, 10, b); err != nil {
				return 0, nil, err
			}
		case 10:
		default:
			return opcode, b, nil
		}
	}
}
