package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

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
	fail := func(err error) ([]byte, bool, error) {
		return nil, false, &store.Error{Op: "get", Room: r.id, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	if len(key) > abi.MaxKey {
		return fail(fmt.Errorf("%w: key of %d bytes", store.ErrInvalid, len(key)))
	}
	end, err := r.s.use()
	if err != nil {
		return fail(err)
	}
	defer end()
	value, ok, hit, retired := r.lookup(key)
	if hit {
		r.s.cacheHits.Add(1)
		return bytes.Clone(value), ok, nil
	}
	r.s.cacheMisses.Add(1)
	v, closer, err := r.s.db.Get(append(bytes.Clone(r.rows), key...))
	switch {
	case err == nil:
		value, ok = bytes.Clone(v), true
		err = closer.Close()
	case errors.Is(err, engine.ErrNotFound):
		err = nil
	}
	if err != nil {
		return fail(err)
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

// List implements host.Storage.
func (r *room) List(ctx context.Context, q abi.ListRequest) (abi.ListResponse, error) {
	res, err := r.list(ctx, q)
	if err != nil {
		return abi.ListResponse{}, &store.Error{Op: "list", Room: r.id, Err: err}
	}
	return res, nil
}

func (r *room) list(ctx context.Context, q abi.ListRequest) (res abi.ListResponse, err error) {
	if err := ctx.Err(); err != nil {
		return res, err
	}
	if q.Limit < 1 || q.Limit > abi.MaxListEntries || len(q.Start) > abi.MaxBound || len(q.End) > abi.MaxBound {
		return res, fmt.Errorf("%w: list of %d rows", store.ErrInvalid, q.Limit)
	}
	bound, ok := r.bound(q.Start, q.End)
	if !ok {
		return res, nil
	}
	end, err := r.s.use()
	if err != nil {
		return res, err
	}
	defer end()
	// First what is pending, then the engine's view: a commit that becomes durable in
	// between is then in both, and not in neither.
	r.mu.Lock()
	over := r.overlay.Snapshot(q.Start, q.End, q.Reverse)
	r.mu.Unlock()
	it, err := r.s.db.NewIter(&engine.IterOptions{
		LowerBound: append(bytes.Clone(r.rows), q.Start...),
		UpperBound: bound,
	})
	if err != nil {
		return res, err
	}
	res, err = rows.List(ctx, &source{it: it, prefix: len(r.rows), reverse: q.Reverse}, over, q.Limit, q.Reverse)
	return res, errors.Join(err, it.Close())
}

// A source gives the engine's rows to [rows.List].
type source struct {
	it      *engine.Iterator
	prefix  int
	reverse bool
	began   bool
}

// Next implements [rows.Source].
func (s *source) Next() bool {
	first := !s.began
	s.began = true
	switch {
	case first && s.reverse:
		return s.it.Last()
	case first:
		return s.it.First()
	case s.reverse:
		return s.it.Prev()
	}
	return s.it.Next()
}

// Key implements [rows.Source].
func (s *source) Key() []byte { return s.it.Key()[s.prefix:] }

// Value implements [rows.Source].
func (s *source) Value() ([]byte, error) { return s.it.ValueAndErr() }

// Err implements [rows.Source].
func (s *source) Err() error { return s.it.Error() }

// Outbox implements [store.Room].
func (r *room) Outbox(ctx context.Context, after uint64, limit int) (rows []store.OutboxRow, more bool, err error) {
	err = ctx.Err()
	if err == nil && (limit < 1 || limit > store.MaxOutboxRead) {
		err = fmt.Errorf("%w: %d rows", store.ErrInvalid, limit)
	}
	if err == nil {
		var end func()
		if end, err = r.s.use(); err == nil {
			defer end()
			r.mu.Lock()
			durable := r.durable
			r.mu.Unlock()
			rows, more, err = r.readOutbox(after, limit, durable)
		}
	}
	if err != nil {
		return nil, false, &store.Error{Op: "outbox", Room: r.id, Err: err}
	}
	return rows, more, nil
}

// readOutbox reads the rows of commits up to number last; limit may be 0. The store is in
// use.
func (r *room) readOutbox(from uint64, limit int, last uint64) (rows []store.OutboxRow, more bool, err error) {
	if from >= store.OutboxID(last, abi.MaxEffectCount-1) {
		return nil, false, nil
	}
	prefix := roomKey(spaceOutbox, r.id)
	end := after(prefix)
	if last < store.MaxNumber {
		end = binary.BigEndian.AppendUint64(bytes.Clone(prefix), store.OutboxID(last+1, 0))
	}
	it, err := r.s.db.NewIter(&engine.IterOptions{
		LowerBound: binary.BigEndian.AppendUint64(bytes.Clone(prefix), from+1),
		UpperBound: end,
	})
	if err != nil {
		return nil, false, err
	}
	for valid := it.First(); valid; valid = it.Next() {
		_, id, err := parseOutboxKey(it.Key())
		if err != nil {
			return nil, false, errors.Join(err, it.Close())
		}
		if len(rows) == limit {
			more = true
			break
		}
		data, err := it.ValueAndErr()
		if err != nil {
			return nil, false, errors.Join(err, it.Close())
		}
		rows = append(rows, store.OutboxRow{ID: id, Data: bytes.Clone(data)})
	}
	return rows, more, errors.Join(it.Error(), it.Close())
}
