package session

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// The rows of a session room, all in the SDK's part of its storage. Numbers in keys are eight
// bytes, big-endian, so that they sort. The first three sorts of rows are read at each start, in one
// list:
//
//	sa                    state: counters and timers (state.go)
//	sb                    incarnations (incarnation.go)
//	sg time user          a user in the grace time (presence.go)
//	sh offset             an event of history (history.go)
//	sk user key           an idempotency key and its answer (idempotency.go)
//	ss session            a session (record.go)
//	sx time session       when to look at a session (shelf.go)
//	sy time user key      when to forget an idempotency key
const (
	keyState        = "sa"
	keyIncarnations = "sb"
	prefixGrace     = "sg"
	prefixEvent     = "sh"
	prefixKey       = "sk"
	prefixSession   = "ss"
	prefixSessionAt = "sx"
	prefixKeyAt     = "sy"
)

// numberKey is a prefix of two bytes and a number.
func numberKey(prefix string, n uint64) string {
	return string([]byte{prefix[0], prefix[1], byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32),
		byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// keyNumber reads the number behind a prefix of two bytes; rest is what follows it.
func keyNumber(key string) (n uint64, rest string, ok bool) {
	if len(key) < 10 {
		return 0, "", false
	}
	for i := 2; i < 10; i++ {
		n = n<<8 | uint64(key[i])
	}
	return n, key[10:], true
}

// idempotencyID names one key of one user.
func idempotencyID(user, key string) string {
	return string(append(abi.AppendString(nil, user), key...))
}
