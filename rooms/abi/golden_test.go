package abi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/abijson"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew")

const goldenFile = "testdata/golden.json"

// golden is the form of testdata/golden.json, which testdata/README.md describes.
type golden struct {
	ABI           string         `json:"abi"`
	Events        []goldenValue  `json:"events"`
	Effects       []goldenValue  `json:"effects"`
	Batches       []goldenValue  `json:"batches"`
	EffectBatches []goldenValue  `json:"effectBatches"`
	ListRequests  []goldenValue  `json:"listRequests"`
	ListResponses []goldenValue  `json:"listResponses"`
	Manifests     []goldenValue  `json:"manifests"`
	Refused       []goldenReject `json:"refused"`
}

type goldenValue struct {
	Name  string          `json:"name"`
	Hex   string          `json:"hex"`
	Value json.RawMessage `json:"value"`
}

type goldenReject struct {
	Name  string `json:"name"`
	What  string `json:"what"`
	Hex   string `json:"hex"`
	Error string `json:"error"`
	Field string `json:"field"`
}

func build() golden {
	g := golden{ABI: abi.ImportModule}
	for _, s := range events {
		g.Events = append(g.Events, goldenValue{s.name, hex.EncodeToString(abi.AppendEvent(nil, s.value)), abijson.Event(s.value)})
	}
	for _, s := range effects {
		g.Effects = append(g.Effects, goldenValue{s.name, hex.EncodeToString(abi.AppendEffect(nil, s.value)), abijson.Effect(s.value)})
	}
	for _, s := range batches() {
		g.Batches = append(g.Batches, goldenValue{s.name, hex.EncodeToString(abi.AppendBatch(nil, s.value)), abijson.Value(s.value)})
	}
	for _, s := range effectBatches() {
		g.EffectBatches = append(g.EffectBatches, goldenValue{s.name, hex.EncodeToString(abi.AppendEffects(nil, s.value)), abijson.Value(&s.value)})
	}
	for _, s := range listRequests {
		g.ListRequests = append(g.ListRequests, goldenValue{s.name, hex.EncodeToString(abi.AppendListRequest(nil, s.value)), abijson.Value(s.value)})
	}
	for _, s := range listResponses {
		g.ListResponses = append(g.ListResponses, goldenValue{s.name, hex.EncodeToString(abi.AppendListResponse(nil, s.value)), abijson.Value(s.value)})
	}
	for _, s := range manifests {
		full := *s.value
		full.Kinds = nil
		for _, k := range s.value.Kinds {
			full.Kinds = append(full.Kinds, k.WithDefaults())
		}
		value, err := json.Marshal(full)
		if err != nil {
			panic(err)
		}
		g.Manifests = append(g.Manifests, goldenValue{s.name, hex.EncodeToString(abi.AppendManifest(nil, s.value)), value})
	}
	for _, r := range refused {
		_, err := decodeAny(r.what, r.bytes)
		var field *abi.FieldError
		if !errors.As(err, &field) {
			panic("not refused: " + r.name)
		}
		kind := "malformed"
		if errors.Is(err, abi.ErrLimit) {
			kind = "limit"
		}
		g.Refused = append(g.Refused, goldenReject{r.name, r.what, hex.EncodeToString(r.bytes), kind, field.Field})
	}
	return g
}

// decodeAny decodes and encodes again.
func decodeAny(what string, b []byte) (again []byte, err error) {
	switch what {
	case "event":
		v, err := abi.DecodeEvent(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendEvent(nil, v), nil
	case "effects":
		v, err := abi.DecodeEffects(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendEffects(nil, v), nil
	case "batch":
		v, err := abi.DecodeBatch(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendBatch(nil, v), nil
	case "listRequest":
		v, err := abi.DecodeListRequest(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendListRequest(nil, &v), nil
	case "listResponse":
		v, err := abi.DecodeListResponse(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendListResponse(nil, &v), nil
	case "manifest":
		v, err := abi.DecodeManifest(b)
		if err != nil {
			return nil, err
		}
		return abi.AppendManifest(nil, v), nil
	}
	panic(what)
}

// TestGoldenFile holds the encoding still: a change of any byte changes the file, and with it
// every host and guest in another language.
func TestGoldenFile(t *testing.T) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(build()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(goldenFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the encoding differs from %s; if that is meant, run the test with -update and tell the other hosts", goldenFile)
	}
}

// TestGoldenBytes decodes every golden value, compares it with its description, and encodes it
// again to the same bytes.
func TestGoldenBytes(t *testing.T) {
	raw, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	check := func(group string, list []goldenValue, decode func(b []byte) (json.RawMessage, []byte, error)) {
		if len(list) == 0 {
			t.Errorf("%s: nothing to check", group)
		}
		for _, v := range list {
			b, err := hex.DecodeString(v.Hex)
			if err != nil {
				t.Fatal(err)
			}
			form, again, err := decode(b)
			switch {
			case err != nil:
				t.Errorf("%s, %s: %v", group, v.Name, err)
			case !sameJSON(form, v.Value):
				t.Errorf("%s, %s:\n got %s\nwant %s", group, v.Name, form, v.Value)
			case !bytes.Equal(again, b):
				t.Errorf("%s, %s: encoded again\n got %x\nwant %x", group, v.Name, again, b)
			}
		}
	}
	check("events", g.Events, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeEvent(b)
		if err != nil {
			return nil, nil, err
		}
		return abijson.Event(v), abi.AppendEvent(nil, v), abi.CheckEvent(v)
	})
	check("effects", g.Effects, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeEffects(append([]byte{1}, b...))
		if err != nil {
			return nil, nil, err
		}
		return abijson.Effect(v[0]), abi.AppendEffect(nil, v[0]), nil
	})
	check("batches", g.Batches, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeBatch(b)
		if err != nil {
			return nil, nil, err
		}
		return abijson.Value(v), abi.AppendBatch(nil, v), nil
	})
	check("effect batches", g.EffectBatches, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeEffects(b)
		return abijson.Value(&v), abi.AppendEffects(nil, v), err
	})
	check("list requests", g.ListRequests, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeListRequest(b)
		return abijson.Value(&v), abi.AppendListRequest(nil, &v), err
	})
	check("list responses", g.ListResponses, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeListResponse(b)
		return abijson.Value(&v), abi.AppendListResponse(nil, &v), err
	})
	check("manifests", g.Manifests, func(b []byte) (json.RawMessage, []byte, error) {
		v, err := abi.DecodeManifest(b)
		if err != nil {
			return nil, nil, err
		}
		again := abi.AppendManifest(nil, v)
		for i := range v.Kinds {
			v.Kinds[i] = v.Kinds[i].WithDefaults()
		}
		form, err := json.Marshal(v)
		return form, again, err
	})
	for _, r := range g.Refused {
		b, err := hex.DecodeString(r.Hex)
		if err != nil {
			t.Fatal(err)
		}
		want := abi.ErrMalformed
		if r.Error == "limit" {
			want = abi.ErrLimit
		}
		_, err = decodeAny(r.What, b)
		var field *abi.FieldError
		if !errors.Is(err, want) || !errors.As(err, &field) || field.Field != r.Field {
			t.Errorf("refused, %s: got %v, want %s in %s", r.Name, err, r.Error, r.Field)
		}
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}
