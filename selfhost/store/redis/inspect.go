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

// Inspect reads the record of a room without taking it.
func Inspect(ctx context.Context, client goredis.UniversalClient, prefix string, id store.RoomID) (Record, error) {
	fail := func(err error) (Record, error) { return Record{}, &store.Error{Op: "inspect", Room: id, Err: err} }
	if !id.Valid() || !redis.ValidPrefix(prefix) {
		return fail(store.ErrInvalid)
	}
	got, err := client.HMGet(ctx, roomKeys(prefix, id)[0], "o", "e", "n", "t").Result()
	if err != nil {
		return fail(err)
	}
	text := func(i int) string { s, _ := got[i].(string); return s }
	var r Record
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
		return fail(store.ErrCorrupt)
	}
	return r, nil
}
