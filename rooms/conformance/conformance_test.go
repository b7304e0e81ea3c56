package conformance_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/conformance"
	"github.com/oriel-rooms/oriel/rooms/conformance/kinds"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

var update = flag.Bool("update", false, "write testdata/recordings anew from the native host")

// native runs the module's Go code in this process.
var native = conformance.Guests{
	New:   func(testing.TB) host.Guest { return roomtest.NewNative(kinds.Module(), nil) },
	Next:  func(testing.TB, host.Guest) host.Guest { return roomtest.NewNative(kinds.Module(), nil) },
	Traps: conformance.Native,
}

func TestNative(t *testing.T) { conformance.Run(t, native) }

// TestRecordingsAreFresh holds the recordings equal to what the native host does now.
func TestRecordingsAreFresh(t *testing.T) {
	for _, r := range conformance.Record(t, native) {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "recordings", r.Name+".json")
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%s differs from what the native host does; if that is meant, run the test with -update", file)
		}
	}
}
