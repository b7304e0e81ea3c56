package conformance

import (
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/internal/abijson"
)

//go:embed testdata/recordings/*.json
var recordings embed.FS

const recordingDir = "testdata/recordings"

// A Recording is what one room was given and what it answered, from its first start on. The form of
// its file is described in testdata/recordings/README.md.
type Recording struct {
	ABI   string `json:"abi"`
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Steps []Step `json:"steps"`
}

// A Step is one turn, or a sleep.
type Step struct {
	// Sleep is true if the room's memory was given back before the next turn; all else is empty then.
	Sleep bool `json:"sleep,omitempty"`
	// Batch is the encoded batch, in hex, and Events a description of its events.
	Batch  string            `json:"batch,omitempty"`
	Events []json.RawMessage `json:"events,omitempty"`
	// Effects are the encoded effects, in hex, and EffectList a description.
	Effects    string            `json:"effects,omitempty"`
	EffectList []json.RawMessage `json:"effectList,omitempty"`
	// Trap is the cause if the turn trapped: there are no effects then, and the memory is gone.
	Trap host.Cause `json:"trap,omitempty"`
}

// Recordings returns the recordings that hosts have to repeat.
func Recordings() ([]Recording, error) {
	files, err := recordings.ReadDir(recordingDir)
	if err != nil {
		return nil, err
	}
	var list []Recording
	for _, f := range files {
		b, err := recordings.ReadFile(path.Join(recordingDir, f.Name()))
		if err != nil {
			return nil, err
		}
		var r Recording
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("conformance: %s: %w", f.Name(), err)
		}
		list = append(list, r)
	}
	return list, nil
}

func runRecordings(t *testing.T, d Driver) {
	list, err := Recordings()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < len(scenarios) {
		t.Errorf("%d recordings of %d scenarios", len(list), len(scenarios))
	}
	for _, r := range list {
		t.Run(r.Name, func(t *testing.T) {
			if r.ABI != abi.ImportModule {
				t.Fatalf("recorded for %s", r.ABI)
			}
			r.Check(t, d)
		})
	}
}

// Check replays a recording on a host and compares the effects byte by byte.
func (r *Recording) Check(t testing.TB, d Driver) {
	t.Helper()
	answers := d.Replay(t, r.Steps)
	if len(answers) != len(r.Steps) {
		t.Fatalf("%d answers to %d steps", len(answers), len(r.Steps))
	}
	for i, a := range answers {
		switch s := r.Steps[i]; {
		case a.Trap != s.Trap:
			t.Fatalf("step %d of %s: got a trap for %q (%s), want %q", i, r.Name, a.Trap, a.Message, s.Trap)
		case a.Effects != s.Effects:
			t.Fatalf("step %d of %s: other effects\n got %s\nwant %s", i, r.Name, describe(a.Effects), describe(s.Effects))
		}
	}
}

// replay gives every batch to a guest, as testdata/recordings/README.md says.
func replay(t testing.TB, g host.Guest, steps []Step) []Answer {
	t.Helper()
	var storage rows
	answers := make([]Answer, len(steps))
	for i, s := range steps {
		if s.Sleep {
			g.Sleep()
			continue
		}
		batch, err := hex.DecodeString(s.Batch)
		if err != nil {
			t.Fatal(err)
		}
		out, err := g.Turn(context.Background(), batch, &storage)
		var trap *host.Trap
		switch {
		case errors.As(err, &trap):
			answers[i] = Answer{Trap: trap.Cause, Message: trap.Message}
			continue
		case err != nil:
			t.Fatalf("step %d: %v", i, err)
		}
		answers[i].Effects = hex.EncodeToString(out)
		effects, err := abi.DecodeEffects(out)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		for _, e := range effects {
			storage.write(e)
		}
	}
	return answers
}

func describe(encoded string) string {
	b, err := hex.DecodeString(encoded)
	if err != nil {
		return err.Error()
	}
	effects, err := abi.DecodeEffects(b)
	if err != nil {
		return err.Error()
	}
	return string(abijson.Value(&effects))
}

// A recorder is a guest that writes down what another guest is given and answers.
type recorder struct {
	guest host.Guest
	steps []Step
	awake bool
	err   error
}

// Turn implements host.Guest.
func (r *recorder) Turn(ctx context.Context, batch []byte, storage host.Storage) ([]byte, error) {
	s := Step{Batch: hex.EncodeToString(batch)}
	b, err := abi.DecodeBatch(batch)
	if err != nil {
		return nil, err
	}
	for _, e := range b.Events {
		s.Events = append(s.Events, abijson.Event(e))
	}
	out, err := r.guest.Turn(ctx, batch, storage)
	var trap *host.Trap
	switch {
	case errors.As(err, &trap):
		s.Trap, r.awake = trap.Cause, false
	case err != nil:
		r.err = err
	default:
		effects, derr := abi.DecodeEffects(out)
		if derr != nil {
			r.err = derr
		}
		s.Effects, r.awake = hex.EncodeToString(out), true
		for _, e := range effects {
			s.EffectList = append(s.EffectList, abijson.Effect(e))
		}
	}
	r.steps = append(r.steps, s)
	return out, err
}

// Sleep implements host.Guest.
func (r *recorder) Sleep() {
	if r.awake {
		r.steps = append(r.steps, Step{Sleep: true})
	}
	r.awake = false
	r.guest.Sleep()
}

// recorded is when all recordings take place.
var recorded = time.UnixMilli(1_790_000_000_000).UTC()

// Record runs the scenarios on a host and returns their recordings, in the order of their names.
// The files in testdata are those of the native host.
func Record(t testing.TB, d Guests) []Recording {
	var list []Recording
	for _, s := range scenarios {
		list = append(list, record(t, d, s))
	}
	return list
}

func record(t testing.TB, d Guests, s scenario) Recording {
	t.Helper()
	rec := &recorder{guest: d.New(t)}
	s.run(d.room(t, rec, kindOf(s.kind), recorded))
	if rec.err != nil {
		t.Fatalf("%s: %v", s.name, rec.err)
	}
	return Recording{ABI: abi.ImportModule, Name: s.name, Kind: kindOf(s.kind), Steps: rec.steps}
}
