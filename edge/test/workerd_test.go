package test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/conformance"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// patience bounds every wait; nothing waits for it to pass.
const patience = 60 * time.Second

// workerd is the running worker of worker.ts, and the harness that started it. It is the suite's driver.
type workerd struct {
	worker  string // address
	harness string
	http    *http.Client
}

var _ conformance.Driver = (*workerd)(nil)

func newWorkerd(t *testing.T) *workerd {
	t.Helper()
	w := &workerd{worker: os.Getenv("ORIEL_TEST_WORKER"), harness: os.Getenv("ORIEL_TEST_HARNESS"), http: &http.Client{Transport: &http.Transport{}}}
	if w.worker == "" || w.harness == "" {
		t.Skip("needs a running worker: npm run test:edge")
	}
	t.Cleanup(w.http.CloseIdleConnections)
	return w
}

// post sends a JSON body and decodes the answer into v, if v is not nil.
func (w *workerd) post(t testing.TB, address string, body, v any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	res, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err = io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", address, res.Status, b)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v: %s", address, err, b)
	}
}

// Replay implements [conformance.Driver]: on the host's own instance and store.
func (w *workerd) Replay(t testing.TB, steps []conformance.Step) (answers []conformance.Answer) {
	t.Helper()
	type step struct {
		Sleep bool   `json:"sleep"`
		Batch string `json:"batch"`
	}
	list := make([]step, len(steps))
	for i, s := range steps {
		list[i] = step{s.Sleep, s.Batch}
	}
	w.post(t, w.worker+"/replay/"+unique(), list, &answers)
	return answers
}

// Stops implements [conformance.Driver]. Only malformed events cannot happen: the platform
// replaces what is not UTF-8 in a text frame before the object sees it.
func (w *workerd) Stops(cause host.Cause) bool { return cause != host.CauseEvent }

// evict puts an object of the suite to sleep; its sockets stay.
func (w *workerd) evict(t testing.TB, name string) {
	t.Helper()
	w.post(t, w.harness+"/sleep?name="+url.QueryEscape(name), nil, nil)
}

// unique is a new name.
func unique() string { return strconv.FormatUint(rand.Uint64(), 36) }
