package rooms

import (
	"runtime"
	"unsafe"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// This file is the guest's side of ABI.md for Go: the exports that a host calls and the
// imports that a room's reads become. It is built for WebAssembly only.

//go:wasmimport oriel_room_v1 storage_get
func storageGet(key unsafe.Pointer, keyLen uint32, dst unsafe.Pointer, dstCap uint32) int32

//go:wasmimport oriel_room_v1 storage_list
func storageList(request unsafe.Pointer, requestLen uint32, dst unsafe.Pointer, dstCap uint32) int32

//go:wasmimport oriel_room_v1 log
func hostLog(level int32, line unsafe.Pointer, n uint32)

// guest is the memory's one instance: an export has no receiver to keep it in.
var guest struct {
	instance Instance // its module is nil before the first call
	inbox    []byte
	reads    []byte // receives rows before they are copied out
	manifest []byte
	buffers  *buffers
	percent  int32 // of the collector, while it is stopped
	baseline int   // goroutines while an export runs and no handler has started any
	unyielded
}

// buffers is all that a usual turn reads and writes beside the room itself, in one page of
// 4 KiB: what a room changes in the image that it shares with others is counted in pages. What
// a larger turn needs is allocated, and given back.
type buffers struct {
	inbox   [1024]byte
	out     [1664]byte
	scratch [896]byte
	reads   [512]byte
}

// Hosts set the collector of a Go guest by its environment (GOGC=25: rooms are many and small, and a
// tight heap costs less than the collections do). Calling debug.SetGCPercent for it here would bring
// fmt and os into every module.

// setGCPercent is debug.SetGCPercent without what package debug brings along.
//
//go:linkname setGCPercent runtime/debug.setGCPercent
func setGCPercent(percent int32) int32

// collect stops the collector, after what it has begun, or lets it go on.
func collect(on bool) {
	if on {
		setGCPercent(guest.percent)
	} else {
		guest.percent = setGCPercent(-1)
	}
}

//go:wasmexport oriel_manifest
func exportManifest() uint64 {
	guest.manifest = abi.AppendManifest(guest.manifest[:0], program.Manifest())
	ensureInstance()
	// A host that keeps this memory as the image of every room calls the manifest last: leave it
	// tidy. The rehearsal after the collections gives the allocator back what they took from it.
	guest.instance.Rehearse()
	runtime.GC()
	runtime.GC()
	guest.instance.Rehearse()
	guest.instance.Prepare()
	return address(guest.manifest)
}

//go:wasmexport oriel_inbox
func exportInbox(size uint32) unsafe.Pointer {
	if size > abi.MaxBatch {
		// This call also keeps one import of the ABI in modules whose rooms read nothing and
		// log nothing: hosts tell the ABI's version by the imports.
		imports{}.Log(abi.LogError, "rooms: the host asked for an inbox beyond the limit")
		return nil
	}
	ensureInstance()
	if cap(guest.inbox) > keepBuffer {
		guest.inbox = guest.buffers.inbox[:]
	}
	if uint32(cap(guest.inbox)) < size {
		guest.inbox = make([]byte, max(size, 4096))
	}
	return unsafe.Pointer(unsafe.SliceData(guest.inbox))
}

//go:wasmexport oriel_turn
func exportTurn(n uint32) uint64 {
	if n > uint32(cap(guest.inbox)) || guest.instance.module == nil {
		panic("rooms: the host sent more than the inbox holds")
	}
	return address(guest.instance.Turn(guest.inbox[:n]))
}

func ensureInstance() {
	if guest.instance.module == nil {
		b := new(buffers)
		i := &guest.instance
		*i = *NewInstance(&program, imports{})
		i.home, i.out, i.scratch = b.out[:0], b.out[:0], b.scratch[:0]
		i.afterTurn, i.collect = yield, collect
		guest.buffers, guest.inbox, guest.reads = b, b.inbox[:], b.reads[:]
		guest.baseline = runtime.NumGoroutine()
	}
}

// unyielded is what has happened since the collector was last given time.
type unyielded struct{ turns, bytes int }

// The collector gets time after so much.
const (
	yieldTurns = 64
	yieldBytes = 32 << 10 // of batches and effects, which is about in proportion to what is allocated
)

// yield lets the collector finish what it began, after some turns or one large one: it is a
// third of the cost of a small turn. It finds goroutines that a handler left behind: they would run
// in the middle of somebody else's turn.
func yield() {
	u := &guest.unyielded
	u.turns++
	u.bytes += len(guest.instance.out) + guest.instance.batch.Size()
	left := runtime.NumGoroutine() > guest.baseline
	if u.turns < yieldTurns && u.bytes < yieldBytes && !left {
		return
	}
	*u = unyielded{}
	runtime.Gosched() // goroutines that have nothing left to do may end
	if runtime.NumGoroutine() > guest.baseline {
		panic("rooms: a goroutine outlived its turn")
	}
}

func address(b []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))<<32 | uint64(len(b))
}

// imports is the Host behind the wasm imports.
type imports struct{}

func (imports) Get(key string) ([]byte, bool) {
	n := read(func(dst unsafe.Pointer, size uint32) int32 {
		return storageGet(unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)), dst, size)
	})
	if n < 0 {
		return nil, false
	}
	value := append(make([]byte, 0, n), guest.reads[:n]...)
	shrink()
	return value, true
}

func (imports) List(q abi.ListRequest) abi.ListResponse {
	request := abi.AppendListRequest(nil, &q)
	n := read(func(dst unsafe.Pointer, size uint32) int32 {
		return storageList(unsafe.Pointer(unsafe.SliceData(request)), uint32(len(request)), dst, size)
	})
	if n < 0 {
		panic("rooms: the host refused a list request")
	}
	out, err := abi.DecodeListResponse(append([]byte(nil), guest.reads[:n]...))
	shrink()
	if err != nil {
		panic("rooms: the host sent a bad list: " + err.Error())
	}
	return out
}

func (imports) Log(level abi.LogLevel, line string) {
	hostLog(int32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

// read calls an import until its answer fits into the buffer.
func read(call func(dst unsafe.Pointer, size uint32) int32) int32 {
	for {
		n := call(unsafe.Pointer(unsafe.SliceData(guest.reads)), uint32(len(guest.reads)))
		if n <= int32(len(guest.reads)) {
			return n
		}
		guest.reads = make([]byte, n)
	}
}

func shrink() {
	if len(guest.reads) > keepBuffer {
		guest.reads = guest.buffers.reads[:]
	}
}
