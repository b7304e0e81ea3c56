package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/conformance"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
)

// TestConformance runs the suite that every host must pass.
func TestConformance(t *testing.T) { conformance.Run(t, newWorkerd(t)) }

// TestRandomBatches records made-up traffic on wazero and repeats it on workerd: the same module gives the same
// effects, byte for byte.
func TestRandomBatches(t *testing.T) {
	w, guests := newWorkerd(t), wazero(t)
	for _, seed := range seeds(t, 15) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := conformance.RecordRandom(t, guests, seed, 60)
			r.Check(t, w)
		})
	}
}

// TestRandomRooms lets made-up clients come, talk and go in a room on wazero, around which package host is the host,
// and in a Durable Object: they get the same.
func TestRandomRooms(t *testing.T) {
	w, guests := newWorkerd(t), wazero(t)
	for _, seed := range seeds(t, 4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			conformance.Compare(t, guests.Room(t, "probe"), w.Room(t, "probe"), seed, 150)
		})
	}
}

// seeds are n new ones, or the one that ORIEL_TEST_SEED says.
func seeds(t *testing.T, n int) []uint64 {
	if s := os.Getenv("ORIEL_TEST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return []uint64{seed}
	}
	list := make([]uint64, n)
	for i := range list {
		list[i] = rand.Uint64()
	}
	return list
}

// wazero runs the module that the worker runs, as it was before edge/build.sh wrote its fuel into it.
func wazero(t *testing.T) conformance.Guests {
	t.Helper()
	binary, err := os.ReadFile("../build/test/conformance.wasm.plain")
	if err != nil {
		t.Fatal(err)
	}
	r, err := runtime.New(t.Context(), runtime.Options{CacheDir: "../build/test/cache", Untimed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	m, err := r.Load(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	return conformance.Guests{New: func(t testing.TB) host.Guest {
		room, err := m.NewRoom("conformance")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = room.Close() })
		return room
	}}
}
