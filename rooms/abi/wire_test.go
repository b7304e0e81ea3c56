package abi_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestUvarint(t *testing.T) {
	for _, tt := range []struct {
		v    uint64
		want []byte
	}{
		{0, []byte{0}},
		{127, []byte{0x7f}},
		{128, []byte{0x80, 1}},
		{300, []byte{0xac, 2}},
		{1<<14 - 1, []byte{0xff, 0x7f}},
		{1 << 14, []byte{0x80, 0x80, 1}},
		{1<<56 - 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
		{1 << 56, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}},
		{1 << 63, []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}},
		{math.MaxUint64, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
	} {
		got := abi.AppendUvarint(nil, tt.v)
		if !bytes.Equal(got, tt.want) || abi.UvarintLen(tt.v) != len(got) {
			t.Errorf("%d: %x of length %d, want %x", tt.v, got, abi.UvarintLen(tt.v), tt.want)
		}
		put := make([]byte, len(got)+1)
		put[len(got)] = 'x'
		if abi.PutUvarint(put, tt.v); string(put) != string(tt.want)+"x" {
			t.Errorf("%d: put %x, want %x", tt.v, put, tt.want)
		}
		d := abi.NewDecoder(got)
		if v := d.Uvarint("v", math.MaxUint64); v != tt.v || d.End("v") != nil {
			t.Errorf("%x: %d, %v", got, v, d.Err())
		}
	}
}

func TestDecoderKeepsTheFirstFault(t *testing.T) {
	d := abi.NewDecoder([]byte{2, 'a'})
	d.String("first", 10)
	d.Uvarint("second", 10)
	d.Limit("third", "no")
	d.Malformed("fourth", "no")
	var field *abi.FieldError
	if !errors.As(d.End("fifth"), &field) || field.Field != "first" || d.Len() != 0 {
		t.Errorf("got %v with %d bytes left", d.Err(), d.Len())
	}
	if d.Byte("x") != 0 || d.Bool("x") || d.Bytes("x", 9) != nil || d.Fixed("x", 1) != nil || d.Count("x", 9) != 0 {
		t.Error("a read after a fault is not zero")
	}
}

func TestDecodedBytesDoNotGrowIntoTheInput(t *testing.T) {
	in := []byte{1, 'a', 'b'}
	d := abi.NewDecoder(in)
	v := d.Bytes("v", 1)
	_ = append(v, 'X')
	if in[2] != 'b' {
		t.Error("appending to a decoded slice wrote into the input")
	}
}

// TestHostileCounts decodes inputs whose counts claim far more than they hold.
func TestHostileCounts(t *testing.T) {
	start := func(count uint64, rest int) []byte {
		b := []byte{1, 1, 'k', 1, 'r', 1, 0, 0}
		b = abi.AppendUvarint(b, count)
		b = append(b, make([]byte, rest)...)
		return append(abi.AppendUvarint(nil, uint64(len(b))), b...)
	}
	in := start(abi.MaxConnections, abi.MaxConnections) // 8 bytes each are the least
	got := testing.AllocsPerRun(10, func() {
		if _, err := abi.DecodeEvent(in); !errors.Is(err, abi.ErrMalformed) {
			t.Fatal(err)
		}
	})
	if got > 8 {
		t.Errorf("%v allocations for a count that cannot be", got)
	}
	bytes := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = abi.DecodeEvent(in)
		}
	}).AllocedBytesPerOp()
	if bytes > 4096 {
		t.Errorf("%d bytes allocated for a count that cannot be", bytes)
	}
}
