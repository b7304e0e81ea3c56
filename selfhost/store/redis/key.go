package redis

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// shards is how many parts the time index has. It is part of the format.
const shards = 64

// roomKeys are the four keys of a room: meta, rows, row keys, outbox.
func roomKeys(prefix string, id store.RoomID) [4]string {
	tag := id.String()
	return [4]string{
		redis.Key(prefix, tag, ":m"), redis.Key(prefix, tag, ":r"),
		redis.Key(prefix, tag, ":k"), redis.Key(prefix, tag, ":o"),
	}
}

// shardOf returns the part of the time index that a room is in.
func shardOf(id store.RoomID) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id.String()))
	return int(h.Sum32() % shards)
}

// wakeKeys are the two keys of a shard: the index, and who wrote which entry last.
func wakeKeys(prefix string, shard int) []string {
	tag := "wake:" + strconv.Itoa(shard)
	return []string{redis.Key(prefix, tag, ""), redis.Key(prefix, tag, ":w")}
}

// parseRoom parses an entry of the time index.
func parseRoom(s string) (store.RoomID, bool) {
	kind, name, _ := strings.Cut(s, "/")
	id := store.RoomID{Kind: kind, Name: name}
	return id, id.Valid()
}

// lexFrom and lexTo are the bounds of sorted sets for start <= key < end; empty is no bound.
func lexFrom(start string) string {
	if start == "" {
		return "-"
	}
	return "[" + start
}

func lexTo(end string) string {
	if end == "" {
		return "+"
	}
	return "(" + end
}

// A row of the outbox is its id, big-endian, and its data, so that rows sort by their ids.
const outboxID = 8

func appendOutboxRow(b []byte, id uint64, data []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, id), data...)
}

// outboxBounds are the bounds of the rows from id first to last.
func outboxBounds(first, last uint64) (from, to string) {
	from = lexFrom(string(binary.BigEndian.AppendUint64(nil, first)))
	if last == 1<<64-1 {
		return from, "+"
	}
	return from, lexTo(string(binary.BigEndian.AppendUint64(nil, last+1)))
}

// A token is an owner as a record names it: node, epoch and term, apart by spaces, which none of
// them holds.
func token(o store.Owner) string {
	return o.Node + " " + strconv.FormatUint(o.Epoch, 10) + " " + o.Term
}

func parseToken(s string) (store.Owner, bool) {
	node, rest, _ := strings.Cut(s, " ")
	epoch, term, _ := strings.Cut(rest, " ")
	n, ok := parseUint(epoch, maxEpoch)
	return store.Owner{Node: node, Epoch: n, Term: term}, ok && n > 0 && validNode(node) && validTerm(term)
}

const (
	// maxNode bounds the identity of a node.
	maxNode = 300
	// maxEpoch is the greatest number that the scripts count with exactly.
	maxEpoch = 1<<53 - 1
)

func validNode(s string) bool { return s != "" && len(s) <= maxNode && printable(s) }
func validTerm(s string) bool { return len(s) == termBytes*2 && printable(s) }

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// parseUint parses a decimal number in its shortest form, of at most limit.
func parseUint(s string, limit uint64) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= limit && (s == "0" || s[0] != '0')
}
