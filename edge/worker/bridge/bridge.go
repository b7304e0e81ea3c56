//go:build js

package bridge

import (
	"runtime"
	"unsafe"
)

const (
	// maxQuestion bounds a question, in bytes. The platform takes heads of 128 KB.
	maxQuestion = 256 << 10
	// collectEvery is after how many answers the collector gets its turn.
	collectEvery = 16
)

// desk is what the exports share: they have no receiver.
var desk struct {
	reply   func(question string) string
	inbox   []byte
	answers uint
	// said keeps the last answer in memory until the glue has read it.
	said string
}

// Serve answers the glue's questions by reply for as long as the instance lives. reply must not wait
// for anything; if it panics, the instance is gone, and the glue makes another.
func Serve(reply func(question string) string) {
	desk.reply = reply
	select {}
}

// inbox returns the place for questions of at most size bytes, which stays until it is asked for again; 0 if that is
// too large.
//
//go:wasmexport oriel_inbox
func inbox(size uint32) unsafe.Pointer {
	if size > maxQuestion {
		return nil
	}
	desk.inbox = make([]byte, size)
	return unsafe.Pointer(unsafe.SliceData(desk.inbox))
}

// answer returns the place and the length of an answer to the question in the inbox.
//
//go:wasmexport oriel_answer
func answer(size uint32) uint64 {
	desk.said = desk.reply(string(desk.inbox[:size]))
	if desk.answers++; desk.answers%collectEvery == 0 {
		runtime.Gosched() // the collector works in goroutines of its own, which run only when this one yields
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.StringData(desk.said))))<<32 | uint64(len(desk.said))
}
