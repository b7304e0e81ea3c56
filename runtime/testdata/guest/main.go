// Command guest is a room for tests, written straight against the ABI: a message is a
// command, and its answer is a send effect. It misbehaves when it is told to.
//
// Build it with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared.
package main

import (
	crand "crypto/rand"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

//go:wasmimport oriel_room_v1 storage_get
func storageGet(key unsafe.Pointer, keyLen uint32, dst unsafe.Pointer, dstCap uint32) int32

//go:wasmimport oriel_room_v1 storage_list
func storageList(request unsafe.Pointer, requestLen uint32, dst unsafe.Pointer, dstCap uint32) int32

//go:wasmimport oriel_room_v1 log
func hostLog(level int32, text unsafe.Pointer, length uint32)

var (
	version  = "1" // set by the linker in other versions
	inbox    []byte
	outbox   []byte
	manifest []byte
	count    int
	held     [][]byte
	born     = time.Now()
)

func answer(b []byte) uint64 {
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))<<32 | uint64(len(b))
}

//go:wasmexport oriel_manifest
func orielManifest() uint64 {
	manifest = abi.AppendManifest(nil, &abi.Manifest{SDK: "test/" + version, Shareable: true, Kinds: []abi.KindOptions{{Name: "test"}}})
	return answer(manifest)
}

//go:wasmexport oriel_inbox
func orielInbox(size uint32) uint32 {
	if int(size) > cap(inbox) {
		inbox = make([]byte, size, max(int(size), 2*cap(inbox)))
	}
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(inbox[:cap(inbox)]))))
}

//go:wasmexport oriel_turn
func orielTurn(size uint32) uint64 {
	if size == 1 { // a nop: the cost of the crossing
		return 0
	}
	batch, err := abi.DecodeBatch(inbox[:size])
	if err != nil {
		panic(err)
	}
	var effects []abi.Effect
	for _, e := range batch.Events {
		m, ok := e.(*abi.MessageEvent)
		if !ok {
			continue
		}
		name, argument, _ := strings.Cut(string(m.Data), " ")
		data, raw := command(batch, name, argument)
		if raw != 0 {
			return raw
		}
		effects = append(effects, &abi.SendEffect{Connection: m.Connection, Encoding: abi.Text, Data: data})
	}
	outbox = abi.AppendEffects(outbox[:0], effects)
	return answer(outbox)
}

type node struct{ next *node }

//go:noinline
func recurse(n int) int {
	var pad [64]int
	pad[n&63] = n
	return recurse(n+1) + pad[(n+1)&63]
}

// command returns the answer, or what the turn returns instead of effects.
func command(batch *abi.Batch, name, argument string) (data []byte, raw uint64) {
	number, _ := strconv.Atoi(argument)
	switch name {
	case "version":
		return []byte(version), 0
	case "count":
		count++
		return strconv.AppendInt(nil, int64(count), 10), 0
	case "echo":
		return []byte(argument), 0
	case "panic":
		panic("the room's own words: " + argument)
	case "nil":
		var n *node
		n.next = n
	case "divide":
		zero := len(argument)
		count = 1 / zero
	case "loop":
		for {
			count++
		}
	case "empty-loop":
		for {
		}
	case "recurse":
		recurse(0)
	case "hoard":
		for {
			held = append(held, make([]byte, 1<<20))
			held[len(held)-1][0] = 1
		}
	case "hold": // KiB
		b := make([]byte, number<<10)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
	case "churn": // allocates and lets go of large and small, with yields and collections between
		state := uint32(number)*2654435761 + 1
		for range 40 {
			state ^= state << 13
			state ^= state >> 17
			state ^= state << 5
			switch state % 5 {
			case 0:
				runtime.Gosched()
			case 1:
				held = nil
			case 2:
				for range 1000 {
					held = append(held, make([]byte, 100))
				}
			case 3:
				if state%35 == 0 {
					runtime.GC()
				}
			default:
				held = append(held, make([]byte, state%(2<<20)))
			}
			if len(held) > 5000 {
				held = nil
			}
		}
	case "wild":
		*(*byte)(unsafe.Pointer(uintptr(0xfffffff0))) = 1
	case "wild-inside": // over its own runtime's data
		for p := uintptr(1 << 20); p < 2<<20; p++ {
			*(*byte)(unsafe.Pointer(p)) = 0xff
		}
	case "exit":
		os.Exit(number)
	case "sleep": // milliseconds
		time.Sleep(time.Duration(number) * time.Millisecond)
	case "naps":
		for range number {
			time.Sleep(time.Millisecond)
		}
	case "deadlock":
		<-make(chan int)
	case "goexit":
		runtime.Goexit()
	case "goroutine":
		go func() {
			for {
				time.Sleep(time.Millisecond)
			}
		}()
	case "far": // effects outside of the memory
		return nil, 0xfffffff0<<32 | 100
	case "huge":
		return nil, 16<<32 | (abi.MaxEffects + 1)
	case "noise":
		return nil, answer([]byte{0xff, 0xff, 0xff})
	case "time":
		return fmt.Appendf(nil, "%d %d", time.Now().UnixMilli(), time.Since(born)), 0
	case "random":
		b := make([]byte, 16)
		crand.Read(b)
		return fmt.Appendf(nil, "%x", b), 0
	case "environment":
		return []byte(strings.Join(os.Environ(), " ")), 0
	case "get":
		return get(argument), 0
	case "get-far":
		storageGet(unsafe.Pointer(uintptr(0xfffffff0)), 100, nil, 0)
	case "get-long":
		b := make([]byte, abi.MaxKey+number)
		return strconv.AppendInt(nil, int64(storageGet(unsafe.Pointer(&b[0]), uint32(len(b)), nil, 0)), 10), 0
	case "get-into-far":
		b := []byte("key")
		storageGet(unsafe.Pointer(&b[0]), 3, unsafe.Pointer(uintptr(0xfffffff0)), 0xffffffff)
	case "list":
		return list(), 0
	case "list-noise":
		b := []byte{1, 2, 3}
		storageList(unsafe.Pointer(&b[0]), 3, nil, 0)
	case "log":
		b := []byte(argument)
		hostLog(int32(abi.LogWarn), unsafe.Pointer(&b[0]), uint32(len(b)))
	case "log-broken": // no UTF-8
		b := []byte{0xff}
		hostLog(int32(abi.LogInfo), unsafe.Pointer(&b[0]), 1)
	case "logs":
		b := []byte("again")
		for range number {
			hostLog(int32(abi.LogInfo), unsafe.Pointer(&b[0]), uint32(len(b)))
		}
	case "log-far":
		hostLog(0, unsafe.Pointer(uintptr(0xfffffff0)), 100)
	case "print":
		fmt.Println(argument)
	case "copy": // times 1 MiB
		a, b := make([]byte, 1<<20), make([]byte, 1<<20)
		for range number {
			copy(a, b)
		}
	case "spin": // loops
		x := uint64(88172645463325252)
		for range number {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		return strconv.AppendUint(nil, x, 10), 0
	case "maps":
		m := map[int]int{}
		for i := range number {
			m[i*7] = i
		}
		return strconv.AppendInt(nil, int64(len(m)), 10), 0
	case "strings":
		n := 0
		for i := range number {
			n += len(fmt.Sprintf("%d:%s", i, argument))
		}
		return strconv.AppendInt(nil, int64(n), 10), 0
	case "kept": // the bytes held, read again
		sum := 0
		for _, b := range held {
			for i := 0; i < len(b); i += 4096 {
				sum += int(b[i])
			}
		}
		return strconv.AppendInt(nil, int64(sum), 10), 0
	}
	return []byte("ok"), 0
}

// get asks with a small buffer first, as a guest that does not know the length does.
func get(key string) []byte {
	k := []byte(key)
	buf := make([]byte, 16)
	for {
		n := storageGet(unsafe.Pointer(unsafe.SliceData(k)), uint32(len(k)), unsafe.Pointer(&buf[0]), uint32(len(buf)))
		if n < 0 {
			return []byte("absent")
		}
		if int(n) <= len(buf) {
			return buf[:n]
		}
		buf = make([]byte, n)
	}
}

func list() []byte {
	request := abi.AppendListRequest(nil, &abi.ListRequest{Limit: 10})
	buf := make([]byte, 1<<10)
	for {
		n := storageList(unsafe.Pointer(&request[0]), uint32(len(request)), unsafe.Pointer(&buf[0]), uint32(len(buf)))
		if int(n) > len(buf) {
			buf = make([]byte, n)
			continue
		}
		r, err := abi.DecodeListResponse(buf[:n])
		if err != nil {
			panic(err)
		}
		var out []byte
		for _, e := range r.Entries {
			out = append(append(append(out, e.Key...), '='), e.Value...)
			out = append(out, ' ')
		}
		return out
	}
}

func main() {}
