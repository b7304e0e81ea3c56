package redis

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/redis"
	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A wake is what the time index has to have of a room.
type wake struct {
	due uint64 // 0 for no time
	box bool   // due within the claim time from now, by Redis's clock
}

func (w *wake) join(o *wake) {
	if o.due != 0 && (w.due == 0 || o.due < w.due) {
		w.due = o.due
	}
	w.box = w.box || o.box
}

// wakeCommand returns the command that changes a room's entry. putOff is for a time that is past.
func (s *Store) wakeCommand(source bool, id store.RoomID, epoch, seq uint64, mode string, w *wake, putOff time.Duration) redis.Command {
	due, box := "", ""
	if w.due != 0 {
		due = strconv.FormatUint(w.due, 10)
	}
	if w.box {
		box = millis(s.opts.ClaimTime)
	}
	return wakeScript.Command(s.ctx, source, wakeKeys(s.opts.Prefix, shardOf(id)), id.String(), epoch, seq, mode, due, box, millis(putOff))
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// indexed is what an owner knows of its room's entry in the time index.
type indexed struct {
	// due is a time at which the entry is due at the latest; 0 if none is known.
	due uint64
	// exact says that due is the entry, or that there is none if it is 0.
	exact bool
}

// wants returns what the index must have before a commit at a time is sent, and notes it as being
// there. nil if it has it already. An entry whose time has come may have been claimed, and is put
// off then.
func (x *indexed) wants(c *store.Commit, now uint64, claim time.Duration) *wake {
	has := func(due uint64) bool { return x.due > now && x.due <= due }
	var w wake
	soon := now + uint64(claim.Milliseconds())
	if a := c.Alarm; a != nil && a.Due != 0 && !has(a.Due) {
		w.due = a.Due
	}
	if len(c.Outbox) > 0 && !has(soon) {
		w.box = true
	}
	if w == (wake{}) {
		return nil
	}
	due := w.due
	if w.box && (due == 0 || soon < due) {
		due = soon
	}
	x.exact = x.exact && (x.due == 0 || x.due > now)
	if x.due <= now || due < x.due {
		x.due = due
	}
	return &w
}

// A correction is an entry as it should be.
type correction struct {
	room       *room
	epoch, seq uint64
	wake       wake
	putOff     time.Duration
	due        uint64 // the room's indexed.due after it
}

// maxCorrections bounds the corrections that wait for a Redis that is away. What is thrown away
// costs a needless start of its room.
const maxCorrections = 1 << 16

// A keeper corrects the time index behind the commits, which only make entries earlier: now and then for
// rooms that are open, at once for those that are closed.
type keeper struct {
	s    *Store
	work chan struct{} // there are corrections

	mu      sync.Mutex // guards all below
	dirty   map[*room]struct{}
	waiting []*correction
}

func (k *keeper) init(s *Store) {
	k.s, k.work, k.dirty = s, make(chan struct{}, 1), make(map[*room]struct{})
}

// mark has a room looked at.
func (k *keeper) mark(r *room) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dirty[r] = struct{}{}
}

// add has an entry corrected soon.
func (k *keeper) add(c *correction) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.dirty, c.room)
	if len(k.waiting) < maxCorrections {
		k.waiting = append(k.waiting, c)
	}
	select {
	case k.work <- struct{}{}:
	default:
	}
}

// run corrects until the store ends.
func (k *keeper) run() {
	tick := time.NewTicker(k.s.opts.ClaimTime / 4)
	defer tick.Stop()
	for {
		select {
		case <-k.s.ctx.Done():
			return
		case <-k.work:
		case <-tick.C:
			k.s.checkRecord()
			k.look()
		}
		var wait time.Duration
		for !k.send(k.s.ctx) {
			if wait = backOff(wait); !k.s.pause(wait) {
				return
			}
		}
	}
}

// look makes corrections for rooms that are at rest.
func (k *keeper) look() {
	k.mu.Lock()
	rooms := make([]*room, 0, len(k.dirty))
	for r := range k.dirty {
		rooms = append(rooms, r)
	}
	k.mu.Unlock()
	for _, r := range rooms {
		c, rest := r.correct(false)
		if !rest {
			continue // it is marked, and looked at again
		}
		k.mu.Lock()
		delete(k.dirty, r)
		if c != nil && len(k.waiting) < maxCorrections {
			k.waiting = append(k.waiting, c)
		}
		k.mu.Unlock()
	}
}

// send sends what waits, and reports false if some of it has to be sent again.
func (k *keeper) send(ctx context.Context) bool {
	for source := false; ; {
		k.mu.Lock()
		n := min(len(k.waiting), batchCommands)
		batch := k.waiting[:n:n]
		k.waiting = k.waiting[n:]
		k.mu.Unlock()
		if n == 0 {
			return true
		}
		pipe := k.s.client.Pipeline()
		cmds := make([]redis.Command, n)
		for i, c := range batch {
			cmds[i] = k.s.wakeCommand(source, c.room.id, c.epoch, c.seq, "set", &c.wake, c.putOff)
			_ = pipe.Process(ctx, cmds[i])
		}
		_, _ = pipe.Exec(ctx)
		var again []*correction
		source = false
		wait := false
		for i, c := range batch {
			switch judge(cmds[i].Err()) {
			case answered:
				c.room.corrected(c)
			case unknownScript:
				source = true
				again = append(again, c)
			case later, unsure:
				wait = true
				again = append(again, c)
			case refused: // a full Redis, say: the entry stays as it is, early
			}
		}
		k.mu.Lock()
		k.waiting = append(again, k.waiting...)
		k.mu.Unlock()
		if wait {
			return false
		}
	}
}
