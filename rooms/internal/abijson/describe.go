// Package abijson writes the values of the turn as JSON for golden files: the form that
// tests in other languages compare their own decoding with. It is for tests and tools, never for
// a hot path.
//
// The rules, which testdata/README.md of package abi repeats:
//
//   - an event or effect is an object with its "type", by name, and its fields in the order of
//     ABI.md, under their names in lower camel case;
//   - an integer is a string of decimal digits, because JavaScript's numbers cannot hold all of
//     64 bits;
//   - bytes are a string of lower-case hex digits;
//   - an encoding is "text" or "binary", a start reason "cold", "wake", "trap", "moved" or
//     "replaced";
//   - strings, booleans and lists are themselves; an empty list is [].
package abijson

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Event returns the JSON form of an event.
func Event(e abi.Event) json.RawMessage { return item(e.Type().String(), e) }

// Effect returns the JSON form of an effect.
func Effect(e abi.Effect) json.RawMessage { return item(e.Type().String(), e) }

// Value returns the JSON form of any other value of package abi: a batch, a list.
func Value(v any) json.RawMessage {
	var b bytes.Buffer
	write(&b, reflect.Indirect(reflect.ValueOf(v)))
	return b.Bytes()
}

// Reason is the word of a start reason.
func Reason(r abi.StartReason) string {
	return [...]string{"", "cold", "wake", "trap", "moved", "replaced"}[r]
}

func item(name string, v any) json.RawMessage {
	var b bytes.Buffer
	b.WriteString(`{"type":` + strconv.Quote(name))
	fields(&b, reflect.ValueOf(v).Elem(), true)
	b.WriteByte('}')
	return b.Bytes()
}

func fields(b *bytes.Buffer, v reflect.Value, comma bool) {
	for i := range v.NumField() {
		if comma {
			b.WriteByte(',')
		}
		comma = true
		b.WriteString(strconv.Quote(fieldName(v.Type().Field(i).Name)) + ":")
		write(b, v.Field(i))
	}
}

// fieldName makes lower camel case: ID is id, StoreAway is storeAway.
func fieldName(s string) string {
	r := []rune(s)
	for i := range r {
		if i > 0 && i+1 < len(r) && unicode.IsLower(r[i+1]) || unicode.IsLower(r[i]) {
			break
		}
		r[i] = unicode.ToLower(r[i])
	}
	return string(r)
}

func write(b *bytes.Buffer, v reflect.Value) {
	switch x := v.Interface().(type) {
	case abi.Event:
		b.Write(Event(x))
		return
	case abi.Effect:
		b.Write(Effect(x))
		return
	case abi.Encoding:
		b.WriteString(map[abi.Encoding]string{abi.Text: `"text"`, abi.Binary: `"binary"`}[x])
		return
	case abi.StartReason:
		b.WriteString(strconv.Quote(Reason(x)))
		return
	case []byte:
		b.WriteString(strconv.Quote(hex.EncodeToString(x)))
		return
	case [abi.SeedSize]byte:
		b.WriteString(strconv.Quote(hex.EncodeToString(x[:])))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.String:
		text, err := json.Marshal(v.String())
		if err != nil {
			panic(err)
		}
		b.Write(text)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		b.WriteString(strconv.Quote(strconv.FormatUint(v.Uint(), 10)))
	case reflect.Int, reflect.Int64:
		b.WriteString(strconv.Quote(strconv.FormatInt(v.Int(), 10)))
	case reflect.Struct:
		b.WriteByte('{')
		fields(b, v, false)
		b.WriteByte('}')
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, v.Index(i))
		}
		b.WriteByte(']')
	default:
		panic(fmt.Sprintf("abijson: %s has no form", v.Type()))
	}
}
