// Package jsonx reads and writes small JSON values without reflection and, on the
// usual path, without an allocation. It exists because a room parses every message
// inside WebAssembly, where encoding/json takes ten times as long and adds half a
// megabyte to the module.
//
// A [Reader] walks over a value that it checks as it goes: RFC 8259, UTF-8, nested at
// most [MaxDepth] deep. The first fault is kept and every later read returns a zero
// value, so a caller checks [Reader.End] once. An [Object] appends a JSON object to a
// buffer.
//
// The package never keeps its input, has no state and starts nothing.
package jsonx
