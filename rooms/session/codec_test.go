package session

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestAnswers remembers the last 64, in both sorts, and nothing else.
func TestAnswers(t *testing.T) {
	var a answers
	var all []answer
	for seq := uint64(1); seq <= 200; seq++ {
		v := answer{offset: seq * 1000}
		if seq%3 == 0 {
			v = answer{code: "invalid", text: fmt.Sprint("text ", seq)}
		}
		all = append(all, v)
		a.add(v)
		for back := uint64(0); back < 70; back++ {
			if back >= seq {
				break
			}
			got, ok := a.get(seq-back, seq)
			if ok != (back < protocol.MaxOpen) || ok && got != all[seq-back-1] {
				t.Fatalf("of %d, %d back: %+v %v", seq, back, got, ok)
			}
		}
	}
	if _, ok := a.get(201, 200); ok {
		t.Error("an answer that was not given yet")
	}
	a.add(answer{code: "x", text: strings.Repeat("é", 100)})
	if v, _ := a.get(201, 201); len(v.text) != maxAnswerText || strings.Trim(v.text, "é") != "" {
		t.Errorf("%d bytes", len(v.text))
	}
}

func TestIncarnationTrim(t *testing.T) {
	l := incarnations{{"a", 1}, {"b", 5}, {"c", 9}}
	for first, want := range map[uint64]int{1: 3, 5: 3, 6: 2, 9: 2, 10: 1, 100: 1} {
		if got := len(l.trim(first)); got != want {
			t.Errorf("first %d: %d are left, want %d", first, got, want)
		}
	}
}

func TestTokenOf(t *testing.T) {
	for in, want := range map[string]string{"term-1": "term-1", "n1.5:abc~": "n1.5:abc~", "": "_", "a b\"\x00é": "a_b____", strings.Repeat("x", 65): strings.Repeat("x", 64)} {
		if got := tokenOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Error
	}{
		{errors.New("words"), Error{Code: "invalid", Message: "words"}},
		{abi.CodeForbidden, Error{Code: "forbidden", Message: abi.CodeForbidden.Info().Text}},
		{fmt.Errorf("wrapped: %w", abi.CodeOverloaded), Error{Code: "overloaded", Message: abi.CodeOverloaded.Info().Text, Retryable: true, After: retryAfter}},
		{ErrTooLarge, Error{Code: "too_large", Message: abi.CodeTooLarge.Info().Text}},
		{ErrStoreAway, Error{Code: "storage_unavailable", Message: abi.CodeStorageUnavailable.Info().Text, Retryable: true, After: retryAfter}},
		{&Error{Code: "mine", Message: strings.Repeat("é", 200), After: -1}, Error{Code: "mine", Message: strings.Repeat("é", 128)}},
		{&Error{}, Error{Code: "invalid"}},
	} {
		if got := toError(c.err); *got != c.want {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}

// fuzzCodec checks that a decoder never panics and that what it accepts encodes to the same
// bytes again.
func fuzzCodec[T any](f *testing.F, seeds []T, encode func(T) []byte, decode func([]byte) (T, error)) {
	for _, s := range seeds {
		b := encode(s)
		back, err := decode(b)
		if err != nil || !reflect.DeepEqual(back, s) {
			f.Fatalf("%+v became %+v, %v", s, back, err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		if again := encode(v); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func FuzzState(f *testing.F) {
	fuzzCodec(f, []state{{first: 1}, {counts: true, alarm: 1, countsAt: 2, countsDue: 3, wholeDue: 4, ageDue: 5, sweepDue: 6, sessions: 7, keys: 8, first: 9, head: protocol.MaxInteger}},
		func(s state) []byte { return s.append(nil) }, decodeState)
}

func FuzzIncarnations(f *testing.F) {
	fuzzCodec(f, []incarnations{{}, {{"a", 1}, {"b", 7}}},
		func(l incarnations) []byte { return l.append(nil) }, decodeIncarnations)
}

func FuzzRecord(f *testing.F) {
	full := &record{user: "ann", check: 1, left: 2, seq: 3}
	full.answers.add(answer{offset: 7})
	full.answers.add(answer{code: "invalid", text: "x"})
	full.answers.add(answer{})
	fuzzCodec(f, []*record{full, {user: "", seq: 0}},
		func(r *record) []byte { return r.append(nil) },
		func(b []byte) (*record, error) {
			r, err := decodeRecord(b)
			if err == nil && len(r.answers.b) == 0 {
				r.answers.b = nil
			}
			return r, err
		})
}

func FuzzKeyed(f *testing.F) {
	fuzzCodec(f, []*keyed{{hash: 1, until: 2, answer: answer{offset: 3}, incarnation: "t"}, {answer: answer{code: "invalid", text: "x"}}},
		func(k *keyed) []byte { return k.append(nil) }, decodeKeyed)
}

func FuzzRow(f *testing.F) {
	key := numberKey(prefixEvent, 7)
	fuzzCodec(f, []*Event{
		{Name: "message", Payload: JSON(`{"a":1}`), From: "ann", Offset: 7, Time: 9},
		{Name: "b", Payload: Bytes([]byte{0}), Offset: 7},
		{Name: "c", Offset: 7},
	}, func(e *Event) []byte { return appendRow(nil, e) }, func(b []byte) (*Event, error) { return decodeRow(key, b) })
}

func FuzzAttachment(f *testing.F) {
	f.Add([]byte{attachmentVersion, byte(live), 1, 's', 0, '{', '}'})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &Member{}
		data, err := m.restore(b)
		if err != nil || len(b) == 0 {
			return
		}
		again := append([]byte{attachmentVersion, byte(m.phase)}, abi.AppendString(nil, m.session)...)
		again = append(abi.AppendUvarint(again, m.place), data...)
		if !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
