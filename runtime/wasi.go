package runtime

import (
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime/internal/wasm"
)

// Error numbers of WASI preview 1.
const (
	wasiOK      = 0
	wasiBadFile = 8
	wasiInvalid = 28
)

// environment is what a guest sees: the Go runtime of a guest reads its collector's
// pace from it. 25 keeps a room's heap small, and with it the pages that it changes.
const environment = "GOGC=25\x00"

// wasiImports are the functions of WASI preview 1 that the runtime of Go asks for, and
// no others. A room has no files, no arguments, and no way to wait.
var wasiImports = hostModule{"wasi_snapshot_preview1", []hostFunction{
	{"args_sizes_get", i32s(2), i32, wasiNoArgs},
	{"args_get", i32s(2), i32, func(_ *instance, s []uint64) { s[0] = wasiOK }},
	{"environ_sizes_get", i32s(2), i32, wasiEnvironSizes},
	{"environ_get", i32s(2), i32, wasiEnviron},
	{"clock_time_get", []wasm.ValueType{wasm.I32, wasm.I64, wasm.I32}, i32, wasiClock},
	{"random_get", i32s(2), i32, wasiRandom},
	{"sched_yield", nil, i32, func(_ *instance, s []uint64) { s[0] = wasiOK }},
	{"poll_oneoff", i32s(4), i32, wasiPoll},
	{"proc_exit", i32, nil, wasiExit},
	{"fd_write", i32s(4), i32, wasiWrite},
	{"fd_close", i32, i32, wasiNoFile},
	{"fd_read", i32s(4), i32, wasiNoFile},
	{"fd_fdstat_get", i32s(2), i32, wasiNoFile},
	{"fd_fdstat_set_flags", i32s(2), i32, wasiNoFile},
	{"fd_prestat_get", i32s(2), i32, wasiNoFile},
	{"fd_prestat_dir_name", i32s(3), i32, wasiNoFile},
}}

func wasiNoFile(_ *instance, stack []uint64) { stack[0] = wasiBadFile }

// wasiBytes is bytes, or a halt.
func (in *instance) wasiBytes(name string, ptr uint64, length uint32) []byte {
	b, ok := in.bytes(uint32(ptr), length)
	if !ok {
		in.halt(host.CauseGarbage, "%s: a pointer leads outside of the memory", name)
	}
	return b
}

func (in *instance) putU32(name string, ptr uint64, v uint32) {
	binary.LittleEndian.PutUint32(in.wasiBytes(name, ptr, 4), v)
}

func wasiNoArgs(in *instance, stack []uint64) {
	in.putU32("args_sizes_get", stack[0], 0)
	in.putU32("args_sizes_get", stack[1], 0)
	stack[0] = wasiOK
}

func wasiEnvironSizes(in *instance, stack []uint64) {
	in.putU32("environ_sizes_get", stack[0], 1)
	in.putU32("environ_sizes_get", stack[1], uint32(len(environment)))
	stack[0] = wasiOK
}

func wasiEnviron(in *instance, stack []uint64) {
	copy(in.wasiBytes("environ_get", stack[1], uint32(len(environment))), environment)
	in.putU32("environ_get", stack[0], uint32(stack[1]))
	stack[0] = wasiOK
}

// wasiClock serves the clocks. The wall clock is the turn's time. The monotonic clock
// begins with it and moves only when a poll waited; see [Room.Turn].
func wasiClock(in *instance, stack []uint64) {
	t := &in.in
	var now uint64
	switch uint32(stack[0]) {
	case 0:
		now = t.time
	case 1:
		now = t.monotonic
	default:
		stack[0] = wasiInvalid
		return
	}
	binary.LittleEndian.PutUint64(in.wasiBytes("clock_time_get", stack[2], 8), now)
	stack[0] = wasiOK
}

// wasiRandom serves randomness: in a turn from a ChaCha8 stream whose key is the SHA-256 of the
// turn's seed and a label, so that it repeats with the batch but is not the stream that the guest makes
// of the seed itself; while a module starts, from the system.
func wasiRandom(in *instance, stack []uint64) {
	b := in.wasiBytes("random_get", stack[0], uint32(stack[1]))
	in.pay(len(b))
	t := &in.in
	if t.starting {
		_, _ = crand.Read(b) // never fails, by its documentation
	} else {
		if t.random == nil {
			t.random = rand.NewChaCha8(sha256.Sum256(append([]byte("oriel wasi random_get\x00"), t.seed[:]...)))
		}
		_, _ = t.random.Read(b) // never fails
	}
	stack[0] = wasiOK
}

// maxPolls bounds the short waits of one turn. A panic of Go needs one.
const maxPolls = 8

// maxPoll is the longest wait that is let through, in nanoseconds: 1 ms.
const maxPoll = 1_000_000

// wasiPoll is poll_oneoff(in, out, n, result). One clock of at most 1 ms is let through,
// because Go sleeps that long before it reports a panic; the room's clock moves, nobody waits.
// Anything else is a room that sleeps or blocks.
func wasiPoll(in *instance, stack []uint64) {
	const subscription, event = 48, 32
	t := &in.in
	if uint32(stack[2]) != 1 {
		in.halt(host.CauseBlocked, "the room waits for %d things", uint32(stack[2]))
	}
	sub := in.wasiBytes("poll_oneoff", stack[0], subscription)
	if sub[8] != 0 { // the tag: 0 is a clock
		in.halt(host.CauseBlocked, "the room waits for a file")
	}
	timeout := binary.LittleEndian.Uint64(sub[24:])
	if binary.LittleEndian.Uint16(sub[40:])&1 != 0 { // an absolute time
		now := t.monotonic
		if binary.LittleEndian.Uint32(sub[16:]) == 0 {
			now = t.time
		}
		timeout -= min(timeout, now)
	}
	if timeout > 0 { // the scheduler of Go looks for work with a timeout of 0, as often as it likes
		t.polls++
	}
	if timeout > maxPoll || t.polls > maxPolls {
		in.halt(host.CauseBlocked, "the room sleeps or waits; a turn has to end by itself")
	}
	t.monotonic += timeout
	out := in.wasiBytes("poll_oneoff", stack[1], event)
	clear(out)
	copy(out, sub[:8]) // the user's data
	in.putU32("poll_oneoff", stack[3], 1)
	stack[0] = wasiOK
}

func wasiExit(in *instance, stack []uint64) {
	in.in.exited, in.in.exitCode = true, uint32(stack[0])
	panic(errHalt)
}

// wasiWrite is fd_write(fd, vectors, n, written). Standard output and error go to the
// log; the text of a panic comes this way.
func wasiWrite(in *instance, stack []uint64) {
	fd, n := uint32(stack[0]), uint32(stack[2])
	if fd != 1 && fd != 2 {
		stack[0] = wasiBadFile
		return
	}
	if n > 1024 { // IOV_MAX of most systems
		stack[0] = wasiInvalid
		return
	}
	vectors := in.wasiBytes("fd_write", stack[1], 8*n)
	in.pay(16 * len(vectors)) // there may be nothing in them
	written := 0
	for ; len(vectors) > 0; vectors = vectors[8:] {
		length := binary.LittleEndian.Uint32(vectors[4:])
		text := in.wasiBytes("fd_write", uint64(binary.LittleEndian.Uint32(vectors)), length)
		in.pay(len(text))
		in.in.write(text)
		written += len(text)
	}
	in.putU32("fd_write", stack[3], uint32(written))
	stack[0] = wasiOK
}

// write keeps the first of what a turn writes.
func (t *turnState) write(text []byte) {
	t.output = append(t.output, text[:min(len(text), maxOutput-len(t.output))]...)
}

// logOutput makes log lines of what the room wrote to standard output and error.
func (t *turnState) logOutput() {
	for line := range splitLines(t.output) {
		t.journal.add(abi.LogInfo, line)
	}
}
