package redis

import (
	"errors"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// An outcome says what is known of a command after its error. The package documentation has the
// table.
type outcome uint8

const (
	// answered: it ran, and the answer is its own.
	answered outcome = iota
	// unknownScript: it did not run, and will with its source.
	unknownScript
	// later: it did not run, and may in a while.
	later
	// unsure: it may have run, or may still.
	unsure
	// refused: it did not run, and somebody has to do something about it.
	refused
)

// laterCodes are answers of a Redis that starts, fails over, moves a slot or is busy. NOAUTH and
// WRONGPASS are those of one whose password is being changed.
var laterCodes = []string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "NOREPLICAS", "UNBLOCKED", "NOAUTH", "WRONGPASS",
}

func judge(err error) outcome {
	var reply goredis.Error
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, goredis.Nil):
		return answered
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrFenced):
		return refused
	case errors.As(err, &reply):
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, goredis.ErrPoolTimeout), errors.Is(err, goredis.ErrPoolExhausted):
		return later
	default:
		return unsure
	}
	if redis.NoScript(err) {
		return unknownScript
	}
	text := err.Error()
	for _, code := range laterCodes {
		if hasCode(text, code) {
			return later
		}
	}
	if strings.Contains(text, "max number of clients reached") {
		return later
	}
	return refused
}

// hasCode reports whether an error of Redis is of a code. Before 7.0 one that came up in a script
// begins with ERR and has its own code further on.
func hasCode(text, code string) bool {
	return strings.HasPrefix(text, code+" ") || text == code || strings.Contains(text, ": -"+code+" ")
}

// readable makes an error of Redis one that the store says.
func readable(err error) error {
	if err != nil && hasCode(err.Error(), "CORRUPT") {
		return corrupt("a row without a value")
	}
	return err
}
