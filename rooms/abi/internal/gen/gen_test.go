package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// TestFilesAreFresh fails when a constant was changed and go generate ./rooms/abi was not run.
func TestFilesAreFresh(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join(root, f.path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, f.text) {
			t.Errorf("%s is stale: run go generate ./rooms/abi", f.path)
		}
	}
}

func TestLimitsAreAllRead(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	limits, err := readLimits(root)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, l := range limits {
		got[l.name] = l.value
	}
	for name, want := range map[string]int64{"MaxBatch": abi.MaxBatch, "MaxTime": abi.MaxTime, "MaxBound": abi.MaxBound, "SeedSize": abi.SeedSize, "MaxMissed": abi.MaxMissed} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
	if len(limits) < 40 {
		t.Errorf("only %d limits", len(limits))
	}
}
