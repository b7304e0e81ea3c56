package protocol

import (
	"errors"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// The readers of this file are shared by the decoders of both directions. A fault stays
// in r; fault turns it into this package's error.

func fault(r *abi.Decoder) error {
	err := r.Err()
	if err == nil {
		return nil
	}
	e := &Error{Reason: err.Error()}
	if field, ok := errors.AsType[*abi.FieldError](err); ok {
		e.Field, e.Reason = field.Field, field.Reason
	}
	return e
}

func end(r *abi.Decoder) error {
	r.End("message")
	return fault(r)
}

// payload reads the rest of a message.
func payload(r *abi.Decoder, p *Payload) error {
	f := Format(r.Byte("payload"))
	if r.Err() != nil {
		return fault(r)
	}
	if f == FormatNone {
		return end(r)
	}
	v := Payload{Format: f, Data: r.Fixed("payload", r.Len())}
	if err := v.Valid(); err != nil {
		return err
	}
	*p = v
	return nil
}

func token(r *abi.Decoder, field string) string {
	v := r.Bytes(field, MaxToken)
	if !ValidToken(v) {
		r.Malformed(field, "not printable characters")
		return ""
	}
	return string(v)
}

func text(r *abi.Decoder, field string, limit int) string {
	v := r.Bytes(field, limit)
	if !utf8.Valid(v) {
		r.Malformed(field, "not UTF-8")
		return ""
	}
	return string(v)
}

func code(r *abi.Decoder) string {
	v := r.Bytes("code", MaxCode)
	if r.Err() == nil && !ValidCode(v) {
		r.Malformed("code", "not 1 to 64 of a-z 0-9 _")
	}
	return string(v)
}

func flags(r *abi.Decoder, known byte) byte {
	f := r.Byte("flags")
	if f&^known != 0 {
		r.Malformed("flags", "unknown bits")
		return 0
	}
	return f
}

func rawJSON(r *abi.Decoder, field string, limit int) []byte {
	v := r.Bytes(field, limit)
	if len(v) == 0 {
		return nil
	}
	if err := jsonx.Valid(v); err != nil {
		r.Malformed(field, "not JSON")
		return nil
	}
	return v
}
