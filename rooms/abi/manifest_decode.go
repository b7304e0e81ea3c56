//go:build !wasip1

package abi

import (
	"bytes"
	"encoding/json"
	"io"
)

// DecodeManifest decodes and validates the JSON form of at most [MaxManifest] bytes.
// Unknown fields are refused: they mean a module that asks for more than this
// host can give. Guests never decode manifests, so this is not built into them.
func DecodeManifest(b []byte) (*Manifest, error) {
	if len(b) > MaxManifest {
		return nil, &FieldError{Field: "manifest", Reason: "too large", Err: ErrLimit}
	}
	m := &Manifest{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, &FieldError{Field: "manifest", Reason: err.Error(), Err: ErrMalformed}
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, &FieldError{Field: "manifest", Reason: "trailing bytes", Err: ErrMalformed}
	}
	return m, m.Validate()
}
