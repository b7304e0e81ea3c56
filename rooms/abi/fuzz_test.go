package abi_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// fuzz checks one decoder: it never panics, says what is wrong with a *FieldError, and what it
// takes is encoded again to the same bytes.
func fuzz(f *testing.F, what string, seeds ...[]byte) {
	for _, b := range seeds {
		f.Add(b)
	}
	for _, r := range refused {
		if r.what == what {
			f.Add(r.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		again, err := decodeAny(what, b)
		if !bytes.Equal(before, b) {
			t.Fatal("the decoder changed its input")
		}
		var field *abi.FieldError
		if err != nil {
			if !errors.As(err, &field) || !errors.Is(err, abi.ErrMalformed) && !errors.Is(err, abi.ErrLimit) {
				t.Fatalf("an error without a field: %v", err)
			}
			return
		}
		if what != "manifest" && !bytes.Equal(again, b) {
			t.Fatalf("decoded and encoded again\n got %x\nwant %x", again, b)
		}
		if twice, err := decodeAny(what, again); err != nil || !bytes.Equal(twice, again) {
			t.Fatalf("not stable: %x, then %x, %v", again, twice, err)
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	for _, s := range events {
		f.Add(abi.AppendEvent(nil, s.value))
	}
	fuzz(f, "event")
}

func FuzzDecodeBatch(f *testing.F) {
	for _, s := range batches() {
		f.Add(abi.AppendBatch(nil, s.value))
	}
	fuzz(f, "batch")
}

func FuzzDecodeEffects(f *testing.F) {
	for _, s := range effectBatches() {
		f.Add(abi.AppendEffects(nil, s.value))
	}
	fuzz(f, "effects")
}

func FuzzDecodeListRequest(f *testing.F) {
	for _, s := range listRequests {
		f.Add(abi.AppendListRequest(nil, s.value))
	}
	fuzz(f, "listRequest")
}

func FuzzDecodeListResponse(f *testing.F) {
	for _, s := range listResponses {
		f.Add(abi.AppendListResponse(nil, s.value))
	}
	fuzz(f, "listResponse")
}

func FuzzDecodeManifest(f *testing.F) {
	for _, s := range manifests {
		f.Add(abi.AppendManifest(nil, s.value))
	}
	fuzz(f, "manifest")
}

// FuzzMessage checks that CheckEvent's short cut for messages says the same as the decoder.
func FuzzMessage(f *testing.F) {
	f.Add(uint64(1), byte(1), []byte("hi"))
	f.Add(uint64(0), byte(2), []byte{0xff})
	f.Add(uint64(1), byte(1), []byte{0xff})
	f.Add(uint64(1), byte(9), []byte(nil))
	f.Fuzz(func(t *testing.T, id uint64, encoding byte, data []byte) {
		e := &abi.MessageEvent{Connection: id, Encoding: abi.Encoding(encoding), Data: data}
		_, want := abi.DecodeEvent(abi.AppendEvent(nil, e))
		if got := abi.CheckEvent(e); !reflect.DeepEqual(got, want) && (got == nil) != (want == nil) {
			t.Fatalf("CheckEvent: %v, DecodeEvent: %v", got, want)
		}
	})
}

func FuzzCloseReason(f *testing.F) {
	f.Add("restarting; retry=1500; deploying")
	f.Fuzz(func(t *testing.T, s string) {
		if d := abi.RetryHint(s); d < 0 || d.Hours() > 1 {
			t.Fatalf("%q: %v", s, d)
		}
		cut := abi.CutReason(s)
		if len(cut) > abi.MaxCloseReason || abi.CutReason(cut) != cut {
			t.Fatalf("%q: %q", s, cut)
		}
	})
}
