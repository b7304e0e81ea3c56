package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

// lanes is how many pipelines may be on their way at the same time, and as many more of what is
// retried.
const lanes = 4

// termBytes is the random part of a token.
const termBytes = 16

// A Store is one node's view of the rooms in a Redis. Its methods may be called from any goroutine.
//
// Locks are taken in this order: roomsMu, room.mu, lane.mu, answers.mu; keeper.mu, statsMu and those
// of package rows are innermost.
type Store struct {
	client  goredis.UniversalClient
	opts    Options
	cluster string // the id in the record of the prefix
	cache   *rows.Cache
	lanes   [lanes]*lane
	answers answers
	keeper  keeper

	format atomic.Int32 // to write; there is but one yet

	ctx    context.Context // ends with the store
	cancel context.CancelFunc
	wg     sync.WaitGroup // the store's goroutines

	roomsMu sync.Mutex // guards rooms
	rooms   map[store.RoomID]*room

	gone    atomic.Pointer[error] // why nothing is taken any more
	stopped chan struct{}         // closed by stop
	stopErr atomic.Pointer[error]
	ending  sync.Once

	health
	counters
}

var _ store.Shared = (*Store)(nil)

// Open returns the store of a node. It reads, or writes, the record of the prefix, and fails with
// [redis.ErrForeign] if that is another cluster's, and with [store.ErrFormat] if it is of a newer format.
// The client stays the caller's, and should be one of [redis.New].
func Open(ctx context.Context, client goredis.UniversalClient, o Options) (*Store, error) {
	s, err := open(ctx, client, o.withDefaults())
	if err != nil {
		return nil, &store.Error{Op: "open", Err: err}
	}
	return s, nil
}

func open(ctx context.Context, client goredis.UniversalClient, o Options) (*Store, error) {
	switch {
	case !validNode(o.Node):
		return nil, fmt.Errorf("%w: node %q", store.ErrInvalid, o.Node)
	case o.Alive == nil:
		return nil, fmt.Errorf("%w: nobody to ask whether a node is alive", store.ErrInvalid)
	}
	record, err := join(ctx, client, o.Prefix, o.Cluster)
	if err != nil {
		return nil, err
	}
	s := &Store{
		client: client, opts: o, cluster: record.Cluster,
		cache: rows.NewCache(o.CacheBytes), rooms: make(map[store.RoomID]*room), stopped: make(chan struct{}),
	}
	s.format.Store(1)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.answers.init(s)
	s.keeper.init(s)
	for i := range s.lanes {
		l := &lane{s: s}
		l.work.L = &l.mu
		s.lanes[i] = l
		s.wg.Go(func() { l.run(wayReady) })
		s.wg.Go(func() { l.run(wayRetried) })
	}
	s.wg.Go(s.keeper.run)
	s.lost = make(chan struct{}, 1)
	s.wg.Go(s.probe)
	return s, nil
}

// join is [redis.Join], with the store's word for a newer format.
func join(ctx context.Context, client goredis.UniversalClient, prefix, cluster string) (redis.Record, error) {
	r, err := redis.Join(ctx, client, prefix, cluster)
	if errors.Is(err, redis.ErrFormat) {
		err = fmt.Errorf("%w: %w", store.ErrFormat, err)
	}
	return r, err
}

// checkRecord stops the store if the prefix is not this program's any more: a newer one has changed
// the format, or the Redis is another one. A record that is gone is written again.
func (s *Store) checkRecord() {
	_, err := join(s.ctx, s.client, s.opts.Prefix, s.cluster)
	if errors.Is(err, redis.ErrFormat) || errors.Is(err, redis.ErrForeign) {
		s.stop(err)
	}
}

// SetFormat says which format to write from now on, at most [redis.Writes]. Every node reads it, and the
// record of the prefix says so ([redis.Raise]). It begins with 1, which every program reads.
func (s *Store) SetFormat(format int) { s.format.Store(int32(min(format, redis.Writes))) }

func (s *Store) laneOf(id store.RoomID) *lane { return s.lanes[shardOf(id)%lanes] }

// halted returns why nothing is taken any more, or nil.
func (s *Store) halted() error {
	if err := s.gone.Load(); err != nil {
		return *err
	}
	return nil
}

// Fence ends the store because the node's lease is not certain any more: every commit that waits and
// every later one is answered with an error that wraps [store.ErrFenced]. A commit that is on its
// way may still be applied, until another node has taken the room. It does not wait for anything.
func (s *Store) Fence() { s.halt(fmt.Errorf("%w: the node's lease is lost", store.ErrFenced)) }

// stop ends the store for good.
func (s *Store) stop(cause error) {
	s.ending.Do(func() {
		err := fmt.Errorf("%w: %w", store.ErrStopped, cause)
		s.stopErr.Store(&err)
		s.halt(err)
		close(s.stopped)
	})
}

// halt answers all commits with err.
func (s *Store) halt(err error) {
	for {
		was := s.gone.Load()
		if was != nil && !errors.Is(*was, store.ErrClosed) {
			return
		}
		if s.gone.CompareAndSwap(was, &err) {
			break
		}
	}
	s.end(err)
}

func (s *Store) end(err error) {
	for _, l := range s.lanes {
		l.end(err)
	}
	s.cancel()
}

// Stopped implements [store.Store]. A Redis that is away stops nothing; a record of the prefix that
// is of a newer format or of another cluster does.
func (s *Store) Stopped() <-chan struct{} { return s.stopped }

// Err implements [store.Store].
func (s *Store) Err() error {
	if err := s.stopErr.Load(); err != nil {
		return *err
	}
	return nil
}

// Away implements [store.Store]: the last command got no answer, or one that says that nothing can be
// written now. In a Redis Cluster that may be so for some rooms only.
func (s *Store) Away() bool { return s.away.Load() || s.halted() != nil }

// Close implements [store.Store]. Rooms that are open stay this node's, until another one finds it
// dead. What Redis has not answered within [Options.CloseTime] is answered with
// [store.ErrStopped].
func (s *Store) Close() error {
	closed := error(store.ErrClosed)
	if !s.gone.CompareAndSwap(nil, &closed) && errors.Is(s.halted(), store.ErrClosed) {
		s.wg.Wait()
		return nil
	}
	late := time.AfterFunc(s.opts.CloseTime, func() {
		s.end(fmt.Errorf("%w: closed while Redis does not answer", store.ErrStopped))
	})
	s.answers.wait()
	if s.ctx.Err() == nil {
		// Best effort: what is left out costs a needless start of a room.
		_ = s.keeper.send(s.ctx)
	}
	late.Stop()
	s.end(store.ErrClosed)
	s.wg.Wait()
	if err := s.Err(); err != nil {
		return &store.Error{Op: "close", Err: err}
	}
	return nil
}

// Open implements [store.Store]. It takes one exchange with Redis where the room has no owner or was
// this node's, and three where its owner has died.
func (s *Store) Open(ctx context.Context, id store.RoomID) (store.Room, error) {
	if !id.Valid() {
		return nil, &store.Error{Op: "open", Err: fmt.Errorf("%w: room name %q", store.ErrInvalid, id.String())}
	}
	fail := func(err error) (store.Room, error) {
		return nil, &store.Error{Op: "open", Room: id, Err: err}
	}
	if err := s.halted(); err != nil {
		return fail(err)
	}
	r := newRoom(s, id)
	s.roomsMu.Lock()
	if s.rooms[id] != nil {
		s.roomsMu.Unlock()
		return fail(store.ErrOpen)
	}
	s.rooms[id] = r
	s.roomsMu.Unlock()
	if err := r.claim(ctx); err != nil {
		s.forget(id)
		return fail(err)
	}
	return r, nil
}

func (s *Store) forget(id store.RoomID) {
	s.roomsMu.Lock()
	defer s.roomsMu.Unlock()
	delete(s.rooms, id)
}

// maxWhole bounds the rows, and maxWholeBytes their bytes, that a claim answers: rooms that are
// smaller need no read at all.
const (
	maxWhole      = 256
	maxWholeBytes = 64 << 10
)

// newTerm returns the random part of a token.
func newTerm() string {
	var b [termBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// claim takes the ownership.
func (r *room) claim(ctx context.Context) error {
	term := newTerm()
	dead := ""
	limit := maxWhole
	if r.s.opts.CacheBytes < 0 {
		limit = -1
	}
	for range 4 {
		// The same claim may be repeated: it finds its own term.
		var c claimed
		err := r.s.ask(ctx, func(ctx context.Context) error {
			reply, err := claimScript.Run(ctx, r.s.client, r.keys[:], r.s.opts.Node, term, dead, limit, maxWholeBytes)
			if err == nil {
				c, err = parseClaim(reply)
			}
			return err
		})
		if err != nil {
			return err
		}
		if c.owned == "" {
			r.begin(&c, term)
			return nil
		}
		owner, ok := parseToken(c.owned)
		if !ok {
			return corrupt("owner")
		}
		// A dead node never returns and the claim names its token, so that it does not matter
		// what happens between the two.
		alive, err := r.s.opts.Alive(ctx, owner.Node)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", owner.Node, err)
		}
		if alive {
			return &store.OwnedError{Owner: owner}
		}
		dead = c.owned
	}
	return fmt.Errorf("%w: it changes hands all the time", store.ErrOwned)
}
