package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// indexPage is how many entries are read at a time: the engine is not held while the
// caller works on them.
const indexPage = 256

// Alarms implements [store.Store].
func (s *Store) Alarms(ctx context.Context, until uint64) iter.Seq2[store.DueAlarm, error] {
	return func(yield func(store.DueAlarm, error) bool) {
		from := []byte{spaceAlarm}
		end := []byte{spaceAlarm + 1}
		if until < 1<<64-1 {
			end = binary.BigEndian.AppendUint64([]byte{spaceAlarm}, until+1)
		}
		for {
			var page []store.DueAlarm
			err := s.scan(ctx, from, end, func(it *engine.Iterator) (next []byte, err error) {
				a, err := parseAlarmKey(it.Key())
				if err != nil {
					return nil, err
				}
				page = append(page, a)
				from = append(bytes.Clone(it.Key()), 0)
				if len(page) == indexPage {
					return nil, nil
				}
				return from, nil
			})
			if !yieldPage(page, err, "alarms", yield) || len(page) < indexPage {
				return
			}
		}
	}
}

// Outboxes implements [store.Store].
func (s *Store) Outboxes(ctx context.Context) iter.Seq2[store.RoomID, error] {
	return func(yield func(store.RoomID, error) bool) {
		from, end := []byte{spaceOutbox}, []byte{spaceOutbox + 1}
		for {
			var page []store.RoomID
			err := s.scan(ctx, from, end, func(it *engine.Iterator) (next []byte, err error) {
				id, _, err := parseOutboxKey(it.Key())
				if err != nil {
					return nil, err
				}
				page = append(page, id)
				from = after(roomKey(spaceOutbox, id))
				if len(page) == indexPage {
					return nil, nil
				}
				return from, nil
			})
			if !yieldPage(page, err, "outboxes", yield) || len(page) < indexPage {
				return
			}
		}
	}
}

// scan calls visit at the first key in [from, end), and goes on at the key that visit
// returns until that is nil.
func (s *Store) scan(ctx context.Context, from, end []byte, visit func(*engine.Iterator) (next []byte, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done, err := s.use()
	if err != nil {
		return err
	}
	defer done()
	it, err := s.db.NewIter(&engine.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return err
	}
	for valid := it.First(); valid; {
		next, err := visit(it)
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if next == nil {
			break
		}
		valid = it.SeekGE(next)
	}
	return errors.Join(it.Error(), it.Close())
}

// yieldPage hands a page to the caller, and reports whether to go on.
func yieldPage[T any](page []T, err error, op string, yield func(T, error) bool) bool {
	for _, v := range page {
		if !yield(v, nil) {
			return false
		}
	}
	if err != nil {
		var zero T
		yield(zero, &store.Error{Op: op, Err: err})
		return false
	}
	return true
}
