package session

import (
	"testing"
	"unsafe"
)

// TestBlock: a room's block is a page of memory. The allocator has blocks of 4,096 bytes for what is over
// 3,456, and they never straddle two pages.
func TestBlock(t *testing.T) {
	if size := unsafe.Sizeof(adapter{}); size <= 3456 || size > 4096-8 {
		t.Errorf("%d bytes (room %d, seat %d): change fewSeats", size, unsafe.Sizeof(Room{}), unsafe.Sizeof(seat{}))
	}
}
