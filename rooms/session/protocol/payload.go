package protocol

import (
	"encoding/base64"

	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// Format says what a payload's bytes are.
type Format uint8

// The formats.
const (
	// FormatNone: there is no payload.
	FormatNone Format = 0
	// FormatJSON: one JSON value.
	FormatJSON Format = 1
	// FormatBytes: opaque bytes; base64 in the JSON form.
	FormatBytes Format = 2
)

// A Payload is what a message carries for the kind and its clients. The zero value is no
// payload.
type Payload struct {
	Format Format
	Data   []byte
}

// JSONPayload returns a payload of one JSON value. The caller vouches for it.
func JSONPayload[S ~string | ~[]byte](data S) Payload {
	return Payload{Format: FormatJSON, Data: []byte(data)}
}

// BytesPayload returns a payload of opaque bytes.
func BytesPayload(data []byte) Payload { return Payload{Format: FormatBytes, Data: data} }

// Valid reports whether p is well-formed: nothing, one JSON value nested at most
// [jsonx.MaxDepth] deep, or bytes.
func (p Payload) Valid() error {
	switch p.Format {
	case FormatNone:
		if len(p.Data) > 0 {
			return &Error{Field: "payload", Reason: "bytes without a format"}
		}
	case FormatJSON:
		if err := jsonx.Valid(p.Data); err != nil {
			return &Error{Field: "data", Reason: "not valid", Err: err}
		}
	case FormatBytes:
	default:
		return &Error{Field: "payload", Reason: "unknown format"}
	}
	return nil
}

// appendJSON appends p as the last field of an object that has others before it.
func (p Payload) appendJSON(b []byte) []byte {
	switch p.Format {
	case FormatJSON:
		b = append(b, `,"data":`...)
		b = append(b, p.Data...)
	case FormatBytes:
		b = append(b, `,"bytes":"`...)
		b = base64.StdEncoding.AppendEncode(b, p.Data)
		b = append(b, '"')
	}
	return b
}

// appendBinary appends p as the rest of a message.
func (p Payload) appendBinary(b []byte) []byte {
	b = append(b, byte(p.Format))
	if p.Format == FormatNone {
		return b
	}
	return append(b, p.Data...)
}
