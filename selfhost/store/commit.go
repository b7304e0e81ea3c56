package store

import (
	"fmt"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Limits of a commit, beside those of [abi].
const (
	// MaxCommitBytes bounds the keys, values and outbox rows of one commit: what one
	// batch of effects can hold, and the host's own share.
	MaxCommitBytes = abi.MaxEffects + 64<<10
	// MaxHost bounds [Commit.Host].
	MaxHost = 16 << 10
	// MaxOutboxRow bounds one row of the outbox: a tell and its address.
	MaxOutboxRow = abi.MaxTell + 4<<10
	// MaxOutboxRead bounds the rows of one answer of [Room.Outbox].
	MaxOutboxRead = 1024
	// MaxNumber bounds commit numbers, so that [OutboxID] fits 64 bits.
	MaxNumber = 1<<50 - 1
)

// Durability says when a commit may be answered.
type Durability uint8

const (
	// Durable answers after the commit survives a loss of power.
	Durable Durability = iota
	// Relaxed answers once the commit is handed to the engine, which writes it down in
	// the background: it survives the room, and a crash may lose the newest of them
	// (never one without all later ones of the room). Behind a durable commit of the
	// same room that still waits, it waits too.
	Relaxed
)

// Op is what a [Write] does.
type Op uint8

const (
	// Put writes Key and Value.
	Put Op = iota + 1
	// Delete removes Key.
	Delete
	// DeleteRange removes the rows from Key up to, not including, End. An empty End means
	// to the last row.
	DeleteRange
)

// A Write changes the room's rows. Writes of a commit apply in their order.
type Write struct {
	Op         Op
	Key, Value []byte
	End        []byte // of DeleteRange
}

// A Commit is what one turn changes, atomically.
type Commit struct {
	// Number follows the room's last commit's. An empty commit's is not looked at.
	Number uint64
	// Time is the turn's, in milliseconds since 1970. A time before the last commit's
	// is stored as the last commit's.
	Time uint64
	// Writes change the rows.
	Writes []Write
	// Alarm, if not nil, replaces the alarm; the zero Alarm clears it.
	Alarm *Alarm
	// Host, if not nil, replaces the few bytes that the host keeps for itself beside the
	// room's rows (at most [MaxHost]); if empty, it clears them. The room cannot read it.
	Host []byte
	// Outbox adds rows; row i gets the id [OutboxID](Number, i). At most
	// [abi.MaxEffectCount] rows.
	Outbox [][]byte
	// OutboxDone removes rows by their ids. An id that is not there does nothing.
	OutboxDone []uint64
	// Durability says when the commit may be answered.
	Durability Durability
}

// An OutboxRow is a durable effect that is still to be executed.
type OutboxRow struct {
	// ID is unique in the room for ever, and rises.
	ID   uint64
	Data []byte
}

// OutboxID returns the id of a commit's row i of the outbox, 0 <= i < 16,384.
func OutboxID(number uint64, i int) uint64 { return number<<14 | uint64(i) }

// Empty reports whether c changes nothing. An empty commit takes no number.
func (c *Commit) Empty() bool {
	return len(c.Writes) == 0 && c.Alarm == nil && c.Host == nil && len(c.Outbox) == 0 && len(c.OutboxDone) == 0
}

// Size returns the bytes that c weighs against [MaxCommitBytes] and against the
// store's bounds on what waits.
func (c *Commit) Size() int {
	n := len(c.Host) + 8*len(c.OutboxDone)
	for i := range c.Writes {
		w := &c.Writes[i]
		n += len(w.Key) + len(w.Value) + len(w.End)
	}
	for _, row := range c.Outbox {
		n += len(row)
	}
	return n
}

// Check returns nil or an error that wraps [ErrInvalid] and names the first limit
// that c crosses. Engines call it on every commit.
func (c *Commit) Check() error {
	switch {
	case c.Time > abi.MaxTime:
		return invalid("time %d is beyond %d", c.Time, uint64(abi.MaxTime))
	case len(c.Host) > MaxHost:
		return invalid("host data of %d bytes, at most %d", len(c.Host), MaxHost)
	case len(c.Outbox) > abi.MaxEffectCount:
		return invalid("%d outbox rows, at most %d", len(c.Outbox), abi.MaxEffectCount)
	case c.Durability > Relaxed:
		return invalid("durability %d", c.Durability)
	case c.Size() > MaxCommitBytes:
		return invalid("%d bytes, at most %d", c.Size(), MaxCommitBytes)
	}
	if a := c.Alarm; a != nil && (a.Scheduled > abi.MaxTime || a.Due > abi.MaxTime || a.Scheduled == 0 && *a != Alarm{}) {
		return invalid("alarm %+v", *a)
	}
	for i := range c.Writes {
		w := &c.Writes[i]
		switch {
		case w.Op < Put || w.Op > DeleteRange:
			return invalid("write %d: operation %d", i, w.Op)
		case w.Op != DeleteRange && len(w.Key) == 0:
			return invalid("write %d: empty key", i)
		case w.Op != DeleteRange && len(w.Key) > abi.MaxKey:
			return invalid("write %d: key over %d bytes", i, abi.MaxKey)
		case len(w.Key) > abi.MaxBound || len(w.End) > abi.MaxBound:
			return invalid("write %d: bound over %d bytes", i, abi.MaxBound)
		case w.Op == Put && len(w.Key)+len(w.Value) > abi.MaxKeyValue:
			return invalid("write %d: key and value of %d bytes, at most %d", i, len(w.Key)+len(w.Value), abi.MaxKeyValue)
		}
	}
	for i, row := range c.Outbox {
		if len(row) > MaxOutboxRow {
			return invalid("outbox row %d of %d bytes, at most %d", i, len(row), MaxOutboxRow)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
