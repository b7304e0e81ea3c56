package redis

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

func isFenced(err error) bool { return errors.Is(err, store.ErrFenced) }

// GetCached implements host.CachedStorage.
func (r *room) GetCached(key []byte) (value []byte, ok, hit bool) {
	value, ok, hit, _ = r.lookup(key)
	if hit {
		r.s.cacheHits.Add(1)
	}
	return bytes.Clone(value), ok, hit
}

// lookup looks for a row in memory. retired is for remember.
func (r *room) lookup(key []byte) (value []byte, ok, hit bool, retired uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if value, ok, hit = r.overlay.Get(key); hit {
		return value, ok, hit, 0
	}
	value, ok, hit = r.cache.Get(key)
	return value, ok, hit, r.retired
}

// Get implements host.Storage.
func (r *room) Get(ctx context.Context, key []byte) (value []byte, ok bool, err error) {
	value, ok, err = r.get(ctx, key)
	if err != nil {
		return nil, false, &store.Error{Op: "get", Room: r.id, Err: err}
	}
	return value, ok, nil
}

func (r *room) get(ctx context.Context, key []byte) (value []byte, ok bool, err error) {
	if err := r.reading(ctx); err != nil {
		return nil, false, err
	}
	if len(key) > abi.MaxKey {
		return nil, false, fmt.Errorf("%w: key of %d bytes", store.ErrInvalid, len(key))
	}
	value, ok, hit, retired := r.lookup(key)
	if hit {
		r.s.cacheHits.Add(1)
		return bytes.Clone(value), ok, nil
	}
	r.s.cacheMisses.Add(1)
	err = r.s.ask(ctx, func(ctx context.Context) error {
		v, err := r.s.client.HGet(ctx, r.keys[1], string(key)).Bytes()
		if errors.Is(err, goredis.Nil) {
			value, ok = nil, false
			return nil
		}
		value, ok = v, err == nil
		return err
	})
	if err != nil {
		return nil, false, err
	}
	r.remember(key, value, ok, retired)
	return bytes.Clone(value), ok, nil
}

// remember caches what was read, unless a commit came between.
func (r *room) remember(key, value []byte, ok bool, retired uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired == retired && !r.closed {
		r.cache.Put(rows.Row{Key: string(key), Value: value, Deleted: !ok})
	}
}

// reading says why nothing can be read.
func (r *room) reading(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.s.halted()
}

// List implements host.Storage.
func (r *room) List(ctx context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	res, err := r.list(ctx, q)
	if err != nil {
		return abi.ListResponse{}, &store.Error{Op: "list", Room: r.id, Err: err}
	}
	return res, nil
}

func (r *room) list(ctx context.Context, q abi.ListRequest) (res abi.ListResponse, err error) {
	if err := r.reading(ctx); err != nil {
		return res, err
	}
	if q.Limit < 1 || q.Limit > abi.MaxListEntries || len(q.Start) > abi.MaxBound || len(q.End) > abi.MaxBound {
		return res, fmt.Errorf("%w: list of %d rows", store.ErrInvalid, q.Limit)
	}
	if len(q.End) > 0 && bytes.Compare(q.Start, q.End) >= 0 {
		return res, nil
	}
	// First what is pending, then what Redis has: a commit that is applied in between is then in
	// both, and not in neither.
	r.mu.Lock()
	over := r.overlay.Snapshot(q.Start, q.End, q.Reverse)
	r.mu.Unlock()
	src := &source{
		ctx: ctx, r: r, start: string(q.Start), end: string(q.End), reverse: q.Reverse,
		page: min(q.Limit+over.Len()+1, abi.MaxListEntries), more: true,
	}
	return rows.List(ctx, src, over, q.Limit, q.Reverse)
}

// A source gives a room's rows to [rows.List], page by page: from memory if the room is there as a
// whole, else from Redis.
type source struct {
	ctx        context.Context
	r          *room
	start, end string // of what is left
	reverse    bool
	page       int
	rows       []rows.Row // rows[0] is the row
	more       bool       // there may be others behind them
	err        error
}

// Next implements [rows.Source].
func (s *source) Next() bool {
	if len(s.rows) > 0 {
		s.rows = s.rows[1:]
	}
	for len(s.rows) == 0 {
		if !s.more || s.err != nil {
			return false
		}
		s.fetch()
	}
	return true
}

func (s *source) fetch() {
	found, whole := s.r.cache.Page(s.start, s.end, s.reverse, s.page)
	if s.more = len(found) == s.page; !whole {
		found, s.more, s.err = s.r.page(s.ctx, s.start, s.end, s.reverse, s.page)
	}
	s.rows = found
	if len(found) == 0 {
		return
	}
	if last := found[len(found)-1].Key; s.reverse {
		s.end = last
		s.more = s.more && s.start < s.end
	} else {
		s.start = last + "\x00"
		s.more = s.more && (s.end == "" || s.start < s.end)
	}
}

// Key implements [rows.Source].
func (s *source) Key() []byte { return []byte(s.rows[0].Key) }

// Value implements [rows.Source].
func (s *source) Value() ([]byte, error) { return s.rows[0].Value, nil }

// Err implements [rows.Source].
func (s *source) Err() error { return s.err }

// page reads rows from Redis.
func (r *room) page(ctx context.Context, start, end string, reverse bool, n int) (found []rows.Row, more bool, err error) {
	command, from, to := "ZRANGEBYLEX", lexFrom(start), lexTo(end)
	if reverse {
		command, from, to = "ZREVRANGEBYLEX", to, from
	}
	err = r.s.ask(ctx, func(ctx context.Context) error {
		reply, err := listScript.Run(ctx, r.s.client, r.keys[1:3], command, from, to, n, abi.MaxListBytes)
		if err == nil {
			found, more, err = parseList(reply)
		}
		return err
	})
	return found, more, err
}

// maxOutboxBytes bounds the rows of one answer of Outbox.
const maxOutboxBytes = 4 << 20

// Outbox implements [store.Room]. It returns fewer rows than asked for where they are large.
func (r *room) Outbox(ctx context.Context, after uint64, limit int) (found []store.OutboxRow, more bool, err error) {
	err = r.reading(ctx)
	if err == nil && (limit < 1 || limit > store.MaxOutboxRead) {
		err = fmt.Errorf("%w: %d rows", store.ErrInvalid, limit)
	}
	if err == nil {
		r.mu.Lock()
		last := store.OutboxID(r.durable, abi.MaxEffectCount-1)
		r.mu.Unlock()
		if after >= last {
			return nil, false, nil
		}
		from, to := outboxBounds(after+1, last)
		err = r.s.ask(ctx, func(ctx context.Context) error {
			reply, err := outboxScript.Run(ctx, r.s.client, r.keys[3:], from, to, limit, maxOutboxBytes)
			if err == nil {
				found, more, err = parseOutbox(reply)
			}
			return err
		})
	}
	if err != nil {
		return nil, false, &store.Error{Op: "outbox", Room: r.id, Err: err}
	}
	return found, more, nil
}

// readMeta reads where the room stands, for a reset. It needs no script: only the owner writes.
func (r *room) readMeta(ctx context.Context) (m meta, err error) {
	err = r.s.ask(ctx, func(ctx context.Context) error {
		pipe := r.s.client.Pipeline()
		record := redis.NewCommand(ctx, "hmget", r.keys[0], "o", "n", "t", "a", "h")
		boxed := redis.NewCommand(ctx, "zcard", r.keys[3])
		_ = pipe.Process(ctx, record)
		_ = pipe.Process(ctx, boxed)
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		m, err = parseRecord(record.Val(), boxed.Val(), token(r.owner))
		return err
	})
	return m, err
}

// parseRecord parses the fields of a room's record that a reset reads.
func parseRecord(record, boxed any, owner string) (meta, error) {
	list, _ := record.([]any)
	d := &decoder{rest: append(list[:len(list):len(list)], boxed)}
	has := d.text("owner", maxNode+64)
	m := d.meta()
	if d.err == nil && has != owner {
		return meta{}, fmt.Errorf("%w: the record names %.400q", store.ErrFenced, has)
	}
	return m, d.err
}
