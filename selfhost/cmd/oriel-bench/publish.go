package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/rooms/client"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/modules"
	"github.com/oriel-rooms/oriel/selfhost/server"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

var message = protocol.JSONPayload(`{"text":"a message of about the length that people write"}`)

// publish measures a durable publish over loopback beside the disk's own fsync and the
// store's own commit, and group commit under many publishers.
func publish(ctx context.Context, binary []byte, publishers int) error {
	dir, err := os.MkdirTemp(".", "oriel-bench-") // here, not in /tmp: that may be memory
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := fsync(dir); err != nil {
		return err
	}
	if err := commits(ctx, filepath.Join(dir, "commits")); err != nil {
		return err
	}
	n, err := openNode(ctx, binary, filepath.Join(dir, "node"))
	if err != nil {
		return err
	}
	defer n.close()
	if err := n.one(ctx); err != nil {
		return err
	}
	return n.many(ctx, publishers)
}

// fsync is the floor: a small append to a file and its fsync.
func fsync(dir string) error {
	f, err := os.Create(filepath.Join(dir, "floor"))
	if err != nil {
		return err
	}
	defer f.Close()
	samples := make([]time.Duration, 0, 500)
	for range cap(samples) {
		began := time.Now()
		if _, err := f.Write(make([]byte, 256)); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		samples = append(samples, time.Since(began))
	}
	figure("fsync_floor_p50", percentile(samples, 50), "us")
	return nil
}

// commits is the store alone: one room, one commit after the other.
func commits(ctx context.Context, dir string) error {
	s, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	room, err := s.Open(ctx, store.RoomID{Kind: "chat", Name: "floor"})
	if err != nil {
		return err
	}
	samples := make([]time.Duration, 0, 500)
	answered := make(chan error, 1)
	for i := range cap(samples) {
		began := time.Now()
		room.Commit(store.Commit{Number: uint64(i + 1), Writes: []store.Write{{
			Op: store.Put, Key: []byte("k" + strconv.Itoa(i)), Value: make([]byte, 256),
		}}}, func(err error) { answered <- err })
		if err := <-answered; err != nil {
			return err
		}
		samples = append(samples, time.Since(began))
	}
	figure("store_commit_p50", percentile(samples, 50), "us")
	return room.Close()
}

// A node is a whole server in this process.
type node struct {
	server *server.Server
	secret admission.Secret
	stop   context.CancelFunc
	served chan error
}

func openNode(ctx context.Context, binary []byte, dir string) (*node, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, admission.MinSecret)
	_, _ = rand.Read(key)
	secret, err := admission.NewSecret("", key)
	if err != nil {
		return nil, err
	}
	s, err := server.New(ctx, server.Options{
		Listen: "127.0.0.1:0", Data: dir,
		Modules: []modules.Source{{Name: "bench", Read: func() ([]byte, error) { return binary, nil }}},
		Policy:  admission.Policy{Keys: admission.Secrets{secret}}, DevSecret: secret,
		Runtime: runtime.Options{},
		Gateway: gateway.Options{
			MaxSocketsPerAddress: -1, AttemptsPerSecond: -1,
		},
		DrainSpread: time.Millisecond,
		Log:         slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	n := &node{server: s, secret: secret, served: make(chan error, 1)}
	run, stop := context.WithCancel(ctx)
	n.stop = stop
	go func() { n.served <- s.Serve(run) }()
	return n, nil
}

func (n *node) close() {
	n.stop()
	if err := <-n.served; err != nil {
		fmt.Fprintln(os.Stderr, "oriel-bench:", err)
	}
}

func (n *node) client(user, room string) (*client.Client, error) {
	return client.New(client.Options{
		URL: "ws://" + n.server.Addr().String() + "/v1/rooms/chat/" + room,
		Credential: func(context.Context) (string, error) {
			return admission.Mint(n.secret, admission.Claims{User: user, Expires: time.Now().Add(time.Hour)})
		},
	})
}

// one is a single client that waits for each answer.
func (n *node) one(ctx context.Context) error {
	c, err := n.client("ann", "one")
	if err != nil {
		return err
	}
	defer c.Close()
	samples := make([]time.Duration, 0, 300)
	for i := range 30 + cap(samples) {
		began := time.Now()
		if _, err := c.Publish(ctx, "message", message); err != nil {
			return err
		}
		if i >= 30 {
			samples = append(samples, time.Since(began))
		}
		time.Sleep(20 * time.Millisecond) // the kind takes 50 messages a second of a connection
	}
	figure("publish_to_ack_p50", percentile(samples, 50), "us")
	figure("publish_to_ack_p99", percentile(samples, 99), "us")
	return nil
}

// many are publishers in a hundred rooms, each of whom waits for each answer.
func (n *node) many(ctx context.Context, publishers int) error {
	const each = 20
	var wg sync.WaitGroup
	failed := make(chan error, publishers)
	clients := make([]*client.Client, publishers)
	for i := range clients {
		c, err := n.client("user-"+strconv.Itoa(i), "many-"+strconv.Itoa(i%100))
		if err != nil {
			return err
		}
		if err := c.Ready(ctx); err != nil {
			return err
		}
		clients[i] = c
	}
	before := n.server.StoreStats()
	began := time.Now()
	for _, c := range clients {
		wg.Go(func() {
			for range each {
				if _, err := c.Publish(ctx, "message", message); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	after := n.server.StoreStats()
	for _, c := range clients {
		c.Abandon()
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	messages := float64(publishers * each)
	figure("publishers", float64(publishers), "clients")
	figure("publishers_messages", messages, "messages")
	figure("publishers_rate", messages/took.Seconds(), "messages/s")
	figure("publishers_turns_committed", float64(after.Commits-before.Commits), "turns")
	figure("publishers_fsyncs", float64(after.Groups-before.Groups), "fsyncs")
	figure("publishers_messages_per_fsync", messages/float64(after.Groups-before.Groups), "messages/fsync")
	return nil
}
