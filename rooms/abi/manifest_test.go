package abi_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestManifestRoundTrip(t *testing.T) {
	for _, s := range manifests {
		got, err := abi.DecodeManifest(abi.AppendManifest(nil, s.value))
		if err != nil || !reflect.DeepEqual(got, s.value) {
			t.Errorf("%s: got %+v, %v", s.name, got, err)
		}
	}
}

func TestManifestKind(t *testing.T) {
	m := manifests[0].value
	k, ok := m.Kind("chat")
	want := abi.KindOptions{
		Name: "chat", MessageBytes: 65536, MessagesPerSecond: 50, MessageBurst: 100, Members: 10_000,
		SleepAfterMillis: 10_000, Durability: abi.Durable, QueueBytes: 1 << 20, Overflow: abi.OverflowClose,
	}
	if !ok || !reflect.DeepEqual(k, want) {
		t.Errorf("got %+v", k)
	}
	if _, ok := m.Kind("arena"); ok {
		t.Error("a kind that is not there is found")
	}
}

func TestKindOptionLimits(t *testing.T) {
	for _, tt := range []struct {
		field    string
		min, max int64
		set      func(*abi.KindOptions, int64)
	}{
		{"messageBytes", 1, abi.MaxMessage, func(o *abi.KindOptions, n int64) { o.MessageBytes = int(n) }},
		{"messagesPerSecond", 1, 100_000, func(o *abi.KindOptions, n int64) { o.MessagesPerSecond = int(n) }},
		{"messageBurst", 1, 100_000, func(o *abi.KindOptions, n int64) { o.MessageBurst = int(n) }},
		{"members", 1, abi.MaxConnections, func(o *abi.KindOptions, n int64) { o.Members = int(n) }},
		{"sleepAfter", 1, 86_400_000, func(o *abi.KindOptions, n int64) { o.SleepAfterMillis = n }},
		{"queueBytes", 4096, 64 << 20, func(o *abi.KindOptions, n int64) { o.QueueBytes = int(n) }},
	} {
		check := func(n int64) error {
			o := abi.KindOptions{Name: "k"}
			tt.set(&o, n)
			return o.Validate()
		}
		for _, n := range []int64{tt.min, tt.max} {
			if err := check(n); err != nil {
				t.Errorf("%s of %d: %v", tt.field, n, err)
			}
		}
		past := []int64{-1, tt.max + 1}
		if tt.min > 1 { // 0 means the default
			past = append(past, tt.min-1)
		}
		for _, n := range past {
			if err := check(n); !errors.Is(err, abi.ErrLimit) || !strings.Contains(err.Error(), tt.field) {
				t.Errorf("%s of %d: %v", tt.field, n, err)
			}
		}
	}
}

func TestKindOptionsRefused(t *testing.T) {
	for _, o := range []abi.KindOptions{
		{},
		{Name: "a/b"},
		{Name: "k", Durability: "perhaps"},
		{Name: "k", Overflow: "block"},
		{Name: "k", Protocols: []string{""}},
		{Name: "k", Protocols: []string{"a b"}},
		{Name: "k", Protocols: []string{"a,b"}},
		{Name: "k", Protocols: []string{text(abi.MaxProtocol + 1)}},
		{Name: "k", Protocols: make([]string, abi.MaxProtocols+1)},
	} {
		if err := o.Validate(); !errors.Is(err, abi.ErrLimit) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	full := abi.KindOptions{Name: text(abi.MaxName)}
	for i := range abi.MaxProtocols {
		full.Protocols = append(full.Protocols, fmt.Sprint(text(abi.MaxProtocol-1), i))
	}
	if err := full.Validate(); err != nil {
		t.Error(err)
	}
}

func TestManifestLimits(t *testing.T) {
	kinds := func(n int) *abi.Manifest {
		m := &abi.Manifest{}
		for i := range n {
			m.Kinds = append(m.Kinds, abi.KindOptions{Name: fmt.Sprint("k", i)})
		}
		return m
	}
	if err := kinds(abi.MaxKinds).Validate(); err != nil {
		t.Error(err)
	}
	for _, n := range []int{0, abi.MaxKinds + 1} {
		if err := kinds(n).Validate(); !errors.Is(err, abi.ErrLimit) {
			t.Errorf("%d kinds: %v", n, err)
		}
	}
	m := kinds(1)
	m.SDK = text(abi.MaxSDK)
	if err := m.Validate(); err != nil {
		t.Error(err)
	}
	m.SDK += "x"
	if err := m.Validate(); !errors.Is(err, abi.ErrLimit) {
		t.Errorf("a long sdk: %v", err)
	}
	b := abi.AppendManifest(nil, kinds(1))
	b = append(b, bytes.Repeat([]byte{' '}, abi.MaxManifest-len(b))...)
	if _, err := abi.DecodeManifest(b); err != nil {
		t.Errorf("a manifest of %d bytes: %v", len(b), err)
	}
	if _, err := abi.DecodeManifest(append(b, ' ')); !errors.Is(err, abi.ErrLimit) {
		t.Errorf("a manifest of %d bytes: %v", len(b)+1, err)
	}
}
