package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"
)

// A Record says whose a prefix is.
type Record struct {
	// Format is the version of what is under the prefix. It rises only once every node can read
	// the new one.
	Format int
	// Cluster is the id of the nodes that share the prefix.
	Cluster string
}

// Join reads the record of a prefix, and writes it if there is none. If cluster is not empty, the
// record must name it. It fails with [ErrFormat] for a newer format and with [ErrForeign] if the
// prefix is another cluster's or another program's; it then has changed nothing.
func Join(ctx context.Context, c goredis.UniversalClient, prefix, cluster string) (Record, error) {
	r, err := join(ctx, c, prefix, cluster)
	if err != nil {
		return Record{}, &Error{Op: "join", Err: err}
	}
	return r, nil
}

func join(ctx context.Context, c goredis.UniversalClient, prefix, cluster string) (Record, error) {
	if !ValidPrefix(prefix) {
		return Record{}, fmt.Errorf("%w: key prefix %q", ErrOptions, prefix)
	}
	key := Key(prefix, "meta", "")
	r, found, err := readRecord(ctx, c, prefix, key)
	if err != nil {
		return Record{}, err
	}
	if !found {
		id := cluster
		if id == "" {
			var b [8]byte
			_, _ = rand.Read(b[:]) // never fails
			id = hex.EncodeToString(b[:])
		}
		// Another node may do the same at this moment: the first one's id stays.
		if err := c.HSetNX(ctx, key, "cluster", id).Err(); err != nil {
			return Record{}, err
		}
		if err := c.HSetNX(ctx, key, "format", 1).Err(); err != nil { // until all agree on a newer one
			return Record{}, err
		}
		if r, found, err = readRecord(ctx, c, prefix, key); err != nil {
			return Record{}, err
		}
		if !found { // written and not there: Redis has just failed over
			return Record{}, fmt.Errorf("%s was written and is gone", key)
		}
	}
	switch {
	case r.Format < 1 || r.Cluster == "":
		return Record{}, fmt.Errorf("%w: %s is not a record of Oriel's", ErrForeign, key)
	case r.Format > Format:
		return Record{}, fmt.Errorf("%w: %q holds format %d, this program reads %d: it is older than the nodes that use it", ErrFormat, prefix, r.Format, Format)
	case cluster != "" && r.Cluster != cluster:
		return Record{}, fmt.Errorf("%w: %q belongs to the cluster %q, this node to %q", ErrForeign, prefix, r.Cluster, cluster)
	}
	return r, nil
}

var raiseScript = NewScript(`
local format = tonumber(redis.call('HGET', KEYS[1], 'format'))
if format and format < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'format', ARGV[1])
end
return 1
`)

// Raise notes in the record of a prefix that a format may be written. From then on [Join] refuses
// programs that do not read it.
func Raise(ctx context.Context, c goredis.UniversalClient, prefix string, format int) error {
	if _, err := raiseScript.Run(ctx, c, []string{Key(prefix, "meta", "")}, format); err != nil {
		return &Error{Op: "raise", Err: err}
	}
	return nil
}

// readRecord reports found also for a record that is only half written.
func readRecord(ctx context.Context, c goredis.UniversalClient, prefix, key string) (r Record, found bool, err error) {
	values, err := c.HMGet(ctx, key, "format", "cluster").Result()
	switch {
	case err != nil && goredis.HasErrorPrefix(err, "WRONGTYPE"):
		return r, false, fmt.Errorf("%w: %s under %q is not a record of Oriel's", ErrForeign, key, prefix)
	case err != nil:
		return r, false, err
	}
	return parseRecord(values)
}

func parseRecord(values []any) (r Record, found bool, err error) {
	if len(values) != 2 {
		return r, false, fmt.Errorf("%w: %d fields", ErrForeign, len(values))
	}
	if values[0] == nil {
		return r, false, nil // also a first writer that died between its two commands
	}
	format, _ := values[0].(string)
	r.Cluster, _ = values[1].(string)
	r.Format, err = strconv.Atoi(format)
	if err != nil || r.Format < 1 {
		return Record{}, true, fmt.Errorf("%w: format %.20q", ErrForeign, format)
	}
	return r, true, nil
}
