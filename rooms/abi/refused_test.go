package abi_test

import "slices"

// refused are encodings that every decoder, in every language, must refuse. They stand in
// testdata/golden.json with the sort of error and the field.
var refused = []struct {
	name, what string
	bytes      []byte
}{
	{"nothing at all", "event", nil},
	{"no type", "event", []byte{0}},
	{"type 0", "event", []byte{1, 0}},
	{"reserved event 11", "event", []byte{1, 11}},
	{"reserved event 12", "event", []byte{1, 12}},
	{"unknown event", "event", []byte{1, 15}},
	{"presence of a user without a name", "event", raw(13, 1, 0, 1)},
	{"presence of more users than bytes", "event", raw(13, 2, 1, 'a', 1)},
	{"presence of 1,001 users", "event", raw(13, 0xe9, 7)},
	{"presence that is neither", "event", raw(13, 1, 1, 'a', 2)},
	{"notified without a connection", "event", raw(14, 0, 0, 0, 1, 'e', 1, 0)},
	{"notified by a kind without a room", "event", raw(14, 1, 1, 'k', 0, 1, 'e', 1, 0)},
	{"notified by a room without a kind", "event", raw(14, 1, 0, 1, 'r', 1, 'e', 1, 0)},
	{"notified of nothing", "event", raw(14, 1, 0, 0, 0, 1, 0)},
	{"notified of a blank", "event", raw(14, 1, 0, 0, 1, ' ', 1, 0)},
	{"notified in no encoding", "event", raw(14, 1, 0, 0, 1, 'e', 0, 0)},
	{"notified, not UTF-8", "event", raw(14, 1, 0, 0, 1, 'e', 1, 1, 0xff)},
	{"watch of nobody", "effects", effect(15, 0, 1)},
	{"watch on and off", "effects", effect(15, 1, 'a', 2)},
	{"notify nobody", "effects", effect(16, 0, 1, 'e', 1, 0)},
	{"notify of a quote", "effects", effect(16, 1, 'a', 1, '"', 1, 0)},
	{"notify, not UTF-8", "effects", effect(16, 1, 'a', 1, 'e', 1, 1, 0xff)},
	{"size beyond the input", "event", []byte{3, 6, 0}},
	{"size before the last field's end", "event", []byte{3, 3, 7, 1}},
	{"a byte after the last field", "event", []byte{3, 6, 0, 0}},
	{"a byte after the event", "event", []byte{2, 6, 0, 0}},
	{"integer not in its shortest form", "event", []byte{3, 6, 0x80, 0}},
	{"integer over 64 bits", "event", raw(3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 1, 0)},
	{"integer of 11 bytes", "event", raw(3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 0)},
	{"connection 0", "event", raw(3, 0, 1, 0)},
	{"neither text nor binary", "event", raw(3, 7, 3, 0)},
	{"encoding 0", "event", raw(3, 7, 0, 0)},
	{"text that is not UTF-8", "event", raw(3, 7, 1, 1, 0xff)},
	{"a string that is not UTF-8", "event", raw(4, 7, 0xe8, 7, 2, 0xc3, 0x28, 1)},
	{"a boolean of 2", "event", raw(4, 7, 0xe8, 7, 0, 2)},
	{"a code over 4999", "event", raw(4, 7, 0x88, 0x27, 0, 1)},
	{"start without a name", "event", raw(1, 0, 1, 'r', 1, 0, 0, 0)},
	{"start of a room with a slash", "event", raw(1, 1, 'k', 3, 'a', '/', 'b', 1, 0, 0, 0)},
	{"start of a room ..", "event", raw(1, 1, 'k', 2, '.', '.', 1, 0, 0, 0)},
	{"start for no reason", "event", raw(1, 1, 'k', 1, 'r', 0, 0, 0, 0)},
	{"start for reason 6", "event", raw(1, 1, 'k', 1, 'r', 6, 0, 0, 0)},
	{"more connections than bytes", "event", raw(1, 1, 'k', 1, 'r', 1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0)},
	{"a request's path without a slash", "event", raw(7, 1, 3, 'G', 'E', 'T', 1, 'x', 0, 0, 0, 0, 0)},
	{"a header with a line break", "event", raw(7, 1, 3, 'G', 'E', 'T', 0, 0, 0, 0, 1, 1, 'a', 2, '\r', '\n', 0)},
	{"a header with a space in its name", "event", raw(7, 1, 3, 'G', 'E', 'T', 0, 0, 0, 0, 1, 2, 'a', ' ', 0, 0)},
	{"a tick with 2^32 missed", "event", raw(6, 0x80, 0x80, 0x80, 0x80, 0x10)},
	{"a time of 2^53", "event", raw(5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10, 0)},

	{"no count", "effects", nil},
	{"a count beyond the input", "effects", []byte{1}},
	{"a byte after the last effect", "effects", []byte{0, 0}},
	{"effect 0", "effects", effect(0)},
	{"unknown effect", "effects", effect(15)},
	{"send to 0", "effects", effect(1, 0, 1, 0, 0)},
	{"send of text that is not UTF-8", "effects", effect(1, 7, 1, 0, 1, 0xff)},
	{"broadcast except 0", "effects", effect(2, 1, 0, 0, 0, 1, 0, 0)},
	{"close with 1005", "effects", effect(3, 7, 0xed, 7, 0)},
	{"close with 1006", "effects", effect(3, 7, 0xee, 7, 0)},
	{"close with 0", "effects", effect(3, 7, 0, 0)},
	{"put without a key", "effects", effect(4, 0, 0)},
	{"a range that ends before it starts", "effects", effect(6, 1, 'b', 1, 'a')},
	{"a tick of 9 ms", "effects", effect(11, 9)},
	{"a tick of 60,001 ms", "effects", effect(11, 0xe1, 0xd4, 3)},
	{"an answer of status 199", "effects", effect(12, 1, 0xc7, 1, 0, 0)},
	{"an answer of status 600", "effects", effect(12, 1, 0xd8, 4, 0, 0)},
	{"11 tags", "effects", effect(9, 7, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
	{"tell nobody", "effects", effect(13, 0, 0, 0)},
	{"join of 0", "effects", effect(14, 0)},

	{"handle 0", "batch", slices.Concat([]byte{0, 0}, make([]byte, 32), []byte{0, 0})},
	{"a short seed", "batch", slices.Concat([]byte{1, 0}, make([]byte, 31))},
	{"a store of 2", "batch", slices.Concat([]byte{1, 0}, make([]byte, 32), []byte{2, 0})},
	{"more events than bytes", "batch", slices.Concat([]byte{1, 0}, make([]byte, 32), []byte{0, 1})},
	{"1,025 events", "batch", slices.Concat([]byte{1, 0}, make([]byte, 32), []byte{0, 0x81, 8}, slices.Repeat([]byte{1, 9}, 1025))},

	{"a list of 0 rows", "listRequest", []byte{0, 0, 0, 0}},
	{"a list of 1,001 rows", "listRequest", []byte{0, 0, 0xe9, 7, 0}},
	{"more rows than bytes", "listResponse", []byte{2, 1, 'k', 0}},

	{"a manifest of nothing", "manifest", []byte(`{}`)},
	{"an unknown option", "manifest", []byte(`{"shareable":true,"kinds":[{"name":"a","colour":1}]}`)},
	{"two kinds of one name", "manifest", []byte(`{"shareable":true,"kinds":[{"name":"a"},{"name":"a"}]}`)},
	{"a kind without a name", "manifest", []byte(`{"shareable":true,"kinds":[{}]}`)},
	{"two manifests", "manifest", []byte(`{"shareable":true,"kinds":[{"name":"a"}]}{}`)},
	{"32,769 members", "manifest", []byte(`{"shareable":true,"kinds":[{"name":"a","members":32769}]}`)},
}

// raw is an event of short fields.
func raw(fields ...byte) []byte { return append([]byte{byte(len(fields))}, fields...) }

// effect is a batch of one effect of short fields.
func effect(fields ...byte) []byte { return append([]byte{1, byte(len(fields))}, fields...) }
