package rooms

import (
	"testing"
	"unsafe"
)

// TestBlock: a room's block is half a page of memory. The allocator has blocks of 2,048 bytes for what is
// over 1,792, and they never straddle two pages.
func TestBlock(t *testing.T) {
	if size := unsafe.Sizeof(seated{}); size <= 1792 || size > 2048-8 {
		t.Errorf("%d bytes (room %d, connection %d): change fewSeats", size, unsafe.Sizeof(Room{}), unsafe.Sizeof(Connection{}))
	}
}
