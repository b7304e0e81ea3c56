package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Record is what Redis says of one room: for operators.
type Record struct {
	// Owner is the zero value while nobody has the room.
	Owner store.Owner
	// Epoch is the last ownership's, 0 for a room that never had one.
	Epoch uint64
	// Number and Time (milliseconds since 1970) are the last commit's.
	Number, Time uint64
}

// Owner implements [store.Shared].
func (s *Store) Owner(ctx context.Context, id store.RoomID) (store.Owner, error) {
	var r Record
	err := s.halted()
	if err == nil {
		err = s.ask(ctx, func(ctx context.Context) (err error) {
			r, err = inspect(ctx, s.client, s.opts.Prefix, id)
			return err
		})
	}
	if err != nil {
		return store.Owner{}, &store.Error{Op: "owner", Room: id, Err: err}
	}
	return r.Owner, nil
}

// Inspect reads the record of a room without taking it.
func Inspect(ctx context.Context, client goredis.UniversalClient, prefix string, id store.RoomID) (Record, error) {
	r, err := inspect(ctx, client, prefix, id)
	if err != nil {
		return Record{}, &store.Error{Op: "inspect", Room: id, Err: err}
	}
	return r, nil
}

func inspect(ctx context.Context, client goredis.UniversalClient, prefix string, id store.RoomID) (r Record, err error) {
	if !id.Valid() || !redis.ValidPrefix(prefix) {
		return r, store.ErrInvalid
	}
	got, err := client.HMGet(ctx, roomKeys(prefix, id)[0], "o", "e", "n", "t").Result()
	if err != nil {
		return r, err
	}
	text := func(i int) string { s, _ := got[i].(string); return s }
	ok := true
	if text(0) != "" {
		r.Owner, ok = parseToken(text(0))
	}
	for i, field := range []*uint64{&r.Epoch, &r.Number, &r.Time} {
		if s := text(i + 1); ok && s != "" {
			*field, ok = parseUint(s, maxEpoch)
		}
	}
	if !ok {
		return Record{}, store.ErrCorrupt
	}
	return r, nil
}
