package gateway

import (
	"bytes"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestFrameHeads(t *testing.T) {
	tests := []struct {
		size int
		head []byte
	}{
		{0, []byte{0x81, 0}},
		{125, []byte{0x81, 125}},
		{126, []byte{0x81, 126, 0, 126}},
		{65535, []byte{0x81, 126, 0xff, 0xff}},
		{65536, []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
		{abi.MaxMessage, []byte{0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 0}},
	}
	for _, tt := range tests {
		data := bytes.Repeat([]byte("x"), tt.size)
		f := NewFrame(abi.Text, "", data)
		if !bytes.HasPrefix(f.wire, tt.head) || !bytes.Equal(f.wire[len(tt.head):], data) {
			t.Errorf("size %d: head %x, want %x", tt.size, f.wire[:min(10, len(f.wire))], tt.head)
		}
	}
	if f := NewFrame(abi.Binary, "k", []byte("x")); f.wire[0] != 0x82 || f.Key() != "k" || f.Len() != 3 {
		t.Errorf("binary frame %x", f.wire)
	}
}

// TestFrameCopiesItsData lets a room reuse its buffer.
func TestFrameCopiesItsData(t *testing.T) {
	data := []byte("before")
	f := NewFrame(abi.Text, "", data)
	copy(data, "after!")
	if !bytes.HasSuffix(f.wire, []byte("before")) {
		t.Errorf("the frame changed to %q", f.wire)
	}
}

func TestBatchJoinsUpToItsLimit(t *testing.T) {
	half := NewFrame(abi.Binary, "", make([]byte, maxJoined/2-4))
	if b := NewBatch(half, half); b.Len() != maxJoined || len(b.wire) != maxJoined {
		t.Errorf("%d bytes are not joined", b.Len())
	}
	more := NewFrame(abi.Binary, "", make([]byte, maxJoined/2-3))
	if b := NewBatch(half, more); b.Len() != maxJoined+1 || b.wire != nil {
		t.Errorf("%d bytes are joined", b.Len())
	}
	if b := NewBatch(half); &b.wire[0] != &half.wire[0] {
		t.Error("a batch of one frame copies it")
	}
	if b := NewBatch(); b.Len() != 0 {
		t.Error("an empty batch has bytes")
	}
}

func FuzzControlFrame(f *testing.F) {
	f.Add([]byte{0x88, 2, 3, 0xe8})
	f.Add([]byte{0x89, 126, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		op, payload, ok := controlFrame(b)
		if !ok {
			return
		}
		if op < 8 || len(payload) > 125 || !bytes.Equal(appendFrame(nil, op, payload)[1:], b[1:]) {
			t.Errorf("%x was taken for a control frame", b)
		}
	})
}
