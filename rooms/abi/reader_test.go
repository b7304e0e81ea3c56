package abi_test

import (
	"bytes"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// readBatch decodes a batch with r and encodes what it read, event by event: they are valid
// only until the next.
func readBatch(r *abi.BatchReader, b []byte) ([]byte, error) {
	if err := r.Reset(b); err != nil {
		return nil, err
	}
	var events []byte
	n := 0
	for {
		e, err := r.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		n++
		events = abi.AppendEvent(events, e)
	}
	head := r.Head
	out := abi.AppendBatch(nil, &head)
	out = abi.AppendUvarint(out[:len(out)-1], uint64(n)) // the head alone ends with a count of 0
	return append(out, events...), nil
}

// TestBatchReader reads every golden batch twice with the same reader, so that nothing of an
// earlier event shows in a later one.
func TestBatchReader(t *testing.T) {
	var r abi.BatchReader
	for range 2 {
		for _, s := range batches() {
			in := abi.AppendBatch(nil, s.value)
			out, err := readBatch(&r, in)
			if err != nil || !bytes.Equal(in, out) || r.Size() != len(in) {
				t.Errorf("%s: %v\n got %x\nwant %x", s.name, err, out, in)
			}
		}
	}
	var empty abi.BatchReader
	if e, err := empty.Next(); e != nil || err != nil {
		t.Errorf("an empty reader: %v, %v", e, err)
	}
}

// FuzzBatchReader holds the reader equal to DecodeBatch, also after it has read another batch.
func FuzzBatchReader(f *testing.F) {
	for _, s := range batches() {
		f.Add(abi.AppendBatch(nil, s.value))
	}
	for _, r := range refused {
		if r.what == "batch" {
			f.Add(r.bytes)
		}
	}
	all := abi.AppendBatch(nil, batches()[3].value)
	f.Fuzz(func(t *testing.T, b []byte) {
		var r abi.BatchReader
		if _, err := readBatch(&r, all); err != nil {
			t.Fatal(err)
		}
		_, want := abi.DecodeBatch(b)
		out, got := readBatch(&r, b)
		if (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
			t.Fatalf("the reader says %v, DecodeBatch %v", got, want)
		}
		if got == nil && !bytes.Equal(out, b) {
			t.Fatalf("read and encoded again\n got %x\nwant %x", out, b)
		}
	})
}

// Every effect appends itself as AppendEffect does.
func TestEffectsAppendThemselves(t *testing.T) {
	for _, s := range effects {
		e, ok := s.value.(interface{ Append([]byte) []byte })
		if !ok {
			t.Errorf("%s has no Append", s.value.Type())
			continue
		}
		if got, want := e.Append([]byte("before")), abi.AppendEffect([]byte("before"), s.value); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %x\nwant %x", s.name, got, want)
		}
	}
}
